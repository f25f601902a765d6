// What all factorizing stages share: where the metric comes from, how much every linear gets, and which legs.
// svd, svd-llm, asvd, fwsvd and mpo differ in their options only, since low rank is the two-core MPO with
// legs (m, 1) x (1, n).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "methods/allocate/allocation.h"
#include "methods/factorize/legs.h"
#include "methods/factorize/truncation.h"
#include "methods/stage.h"

namespace tnb {

// In which metric the error of a matrix is measured (whitening.h).
enum class Metric {
  kFrobenius,        // |ΔW|
  kMeanAbsolute,     // |ΔW D|, D = (mean |x|)^alpha + 1e-6: ASVD
  kWeightGradients,  // |ΔW D|, D = sqrt of the rows of the empirical Fisher information: FWSVD
  kInputs,           // |ΔW L|: SVD-LLM
  kFisher,           // |Rᵀ ΔW L|
};

struct FactorizerOptions {
  Amount amount;
  std::string rank_name = "rank";
  Metric metric = Metric::kFrobenius;
  double alpha = 0.5;                   // kMeanAbsolute
  double ridge = 0, output_ridge = 0;   // fractions of the mean diagonal
  StatisticsRequest inputs, gradients;  // as far as the metric needs them
  Allocation allocation = Allocation::kUniform;
  // Legs to choose among for a shape; with several, those with the least error in the metric at equal
  // parameters.
  std::function<std::vector<Legs>(int64_t rows, int64_t cols)> legs;
};

// Error{kUsage} when an allocation other than uniform comes without `keep`.
std::unique_ptr<Stage> MakeFactorizer(FactorizerOptions options);

// Amount, metric (`whiten`), allocation and calibration of a stage with the parameters below.
FactorizerOptions OptionsFrom(const StageValues& values, const std::string& rank_name);
// whiten=none|input|fisher and what goes with it.
void AddWhitening(std::vector<ParameterDescription>& parameters);
// alloc, for a stage whose metric is fixed.
void AddAllocation(std::vector<ParameterDescription>& parameters);

}  // namespace tnb
