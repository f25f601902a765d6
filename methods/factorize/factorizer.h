// What all factorizing stages share: where the metric comes from, how much every linear gets, and which form.
// They differ in their options only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "methods/allocate/allocation.h"
#include "methods/factorize/form.h"
#include "methods/factorize/metric.h"
#include "methods/factorize/sparse_part.h"
#include "methods/stage.h"

namespace tnb {

struct FactorizerOptions {
  Amount amount;
  std::string rank_name = "rank";
  MetricOptions metric;
  Allocation allocation = Allocation::kUniform;
  SparseOptions sparse;
  std::string permute = "none";  // permutation.h
  // Forms to choose among for a linear of this shape; of several, the one with the least error in the metric
  // at equal parameters.
  std::function<std::vector<std::shared_ptr<const Form>>(const LinearSlot& slot, int64_t rows, int64_t cols)>
      forms;
};

// Error{kUsage} when an allocation other than uniform comes without `keep`.
std::unique_ptr<Stage> MakeFactorizer(FactorizerOptions options);

// Name, group, amount (`rank_name`, keep, error) and the default selector.
StageDescription DescribeFactorization(const std::string& name, const std::string& summary,
                                       const std::string& rank_name, const std::string& reference);
// Amount, metric (`whiten`), allocation and calibration of a stage with the parameters below.
FactorizerOptions OptionsFrom(const StageValues& values, const std::string& rank_name);
// whiten=none|input|fisher and what goes with it.
void AddWhitening(std::vector<ParameterDescription>& parameters);
// permute: the order of rows and columns.
void AddPermutation(std::vector<ParameterDescription>& parameters);
// sweeps, for chains.
void AddSweeps(std::vector<ParameterDescription>& parameters);
int64_t SweepsFrom(const StageValues& values);
// alloc, for a stage whose metric is fixed.
void AddAllocation(std::vector<ParameterDescription>& parameters);

}  // namespace tnb
