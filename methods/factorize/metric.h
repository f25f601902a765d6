// The metric in which the error of a matrix is measured (whitening.h), and where it comes from: statistics of
// a calibration text.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "methods/factorize/whitening.h"
#include "methods/stage.h"

namespace tnb {

enum class MetricKind {
  kFrobenius,        // |ΔW|
  kMeanAbsolute,     // |ΔW D|, D = (mean |x|)^alpha + 1e-6: ASVD
  kWeightGradients,  // |ΔW D|, D = sqrt of the rows of the empirical Fisher information: FWSVD
  kInputs,           // |ΔW L|: SVD-LLM
  kFisher,           // |Rᵀ ΔW L|
};

struct MetricOptions {
  MetricKind kind = MetricKind::kFrobenius;
  double alpha = 0.5;                  // kMeanAbsolute
  double ridge = 0, output_ridge = 0;  // fractions of the mean diagonal
  // As far as the metric needs them; kFisher takes both factors from gradients of Moments::kJoint.
  StatisticsRequest inputs, gradients;
};

// What the metric needs of one linear; undefined: the identity.
struct Covariances {
  at::Tensor output, input;
};

class Metric {
 public:
  explicit Metric(MetricOptions options) : options_(std::move(options)) {}
  // Error{kUnsupported} when it needs statistics and there are none.
  void Prepare(const StageContext& context);
  // Error{kInternal} before Prepare.
  Covariances Of(const LinearSlot& slot) const;
  // Undefined when it is not known.
  at::Tensor InputCovariance(const LinearSlot& slot) const;
  LegWhitening Whitening(const Covariances& covariances, const Legs& legs) const;
  // Whether nothing of the metric is lost over these legs: at most one on each side is not 1, or there is
  // nothing to split.
  bool SplitsOver(const Legs& legs) const;
  // The metric itself, and not what of it splits over the legs, of a matrix as large as w.
  LegWhitening WholeWhitening(const Covariances& covariances, const at::Tensor& w) const;
  // |Rᵀ D L|^2 of a difference in it; to about 1e-6, for comparisons.
  static double TrueLoss(const at::Tensor& difference, const LegWhitening& whole);
  // Adds what was used: "statistics" to the report of the stage, a larger ridge to that of a linear.
  void Report(Json& report) const;
  void Report(const LegWhitening& whitening, Json& detail) const;

 private:
  bool Joint() const;

  MetricOptions options_;
  std::shared_ptr<const Statistics> inputs_, gradients_;
};

}  // namespace tnb
