#include "methods/factorize/metric.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tnb {

void Metric::Prepare(const StageContext& context) {
  const MetricKind kind = options_.kind;
  if (kind == MetricKind::kFrobenius) return;
  StatisticsService& service = context.Calibration();
  const auto get = [&](StatisticsRequest request) {
    request.down = context.down;
    return service.Get(request);
  };
  if (kind != MetricKind::kWeightGradients && !Joint()) inputs_ = get(options_.inputs);
  if (kind == MetricKind::kFisher || kind == MetricKind::kWeightGradients)
    gradients_ = get(options_.gradients);
}

Covariances Metric::Of(const LinearSlot& slot) const {
  const MetricKind kind = options_.kind;
  if (kind == MetricKind::kFrobenius) return {};
  if (!inputs_ && !gradients_) throw Error(ErrorKind::kInternal, "a calibrated stage was not prepared");
  const auto diagonal = [](const at::Tensor& values) { return at::diag(values.to(at::kDouble)); };
  switch (kind) {
    case MetricKind::kMeanAbsolute:
      return {{}, diagonal((inputs_->MeanAbsoluteInput(slot).pow(options_.alpha) + 1e-6).square())};
    case MetricKind::kWeightGradients:
      return {{}, diagonal(gradients_->WeightGradients(slot))};
    case MetricKind::kInputs:
      return {{}, inputs_->InputCovariance(slot)};
    default:
      if (Joint()) return {gradients_->JointGradient(slot), gradients_->JointInput(slot)};
      return {gradients_->OutputCovariance(slot), inputs_->InputCovariance(slot)};
  }
}

bool Metric::Joint() const {
  return options_.kind == MetricKind::kFisher && options_.gradients.moments == Moments::kJoint;
}

at::Tensor Metric::InputCovariance(const LinearSlot& slot) const {
  return inputs_ ? inputs_->FindInputCovariance(slot) : at::Tensor();
}

LegWhitening Metric::Whitening(const Covariances& covariances, const Legs& legs) const {
  return WhitenLegs(covariances.output, options_.output_ridge, covariances.input, options_.ridge, legs);
}

bool Metric::SplitsOver(const Legs& legs) const {
  const auto several = [](const std::vector<int64_t>& sizes) {
    return std::count_if(sizes.begin(), sizes.end(), [](int64_t size) { return size > 1; }) > 1;
  };
  return options_.kind == MetricKind::kFrobenius || !(several(legs.in) || several(legs.out));
}

LegWhitening Metric::WholeWhitening(const Covariances& covariances, const at::Tensor& w) const {
  return Whitening(covariances, {{w.size(0)}, {w.size(1)}});
}

double Metric::TrueLoss(const at::Tensor& difference, const LegWhitening& whole) {
  at::Tensor whitened = difference;
  if (whole.out[0].defined()) whitened = at::matmul(whole.out[0].to(at::kFloat).t(), whitened);
  if (whole.in[0].defined()) whitened = at::matmul(whitened, whole.in[0].to(at::kFloat));
  return whitened.square().sum(at::kDouble).item<double>();
}

void Metric::Report(Json& report) const {
  for (const auto& statistics : {inputs_, gradients_}) {
    if (statistics) report["statistics"].push_back(statistics->About());
  }
}

void Metric::Report(const LegWhitening& whitening, Json& detail) const {
  // Larger than asked for only where a covariance was not positive definite.
  if (whitening.ridge > options_.ridge) detail["ridge"] = whitening.ridge;
  if (whitening.output_ridge > options_.output_ridge) detail["output_ridge"] = whitening.output_ridge;
}

}  // namespace tnb
