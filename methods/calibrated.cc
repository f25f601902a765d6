#include "methods/calibrated.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace tnb {

namespace {

StatisticsRequest RequestOf(const StageValues& values, Moments moments) {
  StatisticsRequest request;
  request.moments = moments;
  request.data = values.Text("data");
  request.length = values.Integer("length");
  request.windows = values.Integer("windows");
  return request;
}

}  // namespace

Calibrated::Calibrated(const StageValues& values, Moments moments) : request_(RequestOf(values, moments)) {}

FedStage::FedStage(const StageValues& values)
    : compressed_(values.Text("feed") == "compressed"), request_(RequestOf(values, Moments::kInputs)) {}

void FedStage::Prepare(const StageContext& context) {
  StatisticsService& service = context.Calibration();
  request_.down = context.down;
  prepared_ = true;
  report_ = PrepareMore(context, request_);
  if (!compressed_) {
    inputs_ = service.Get(request_);
    Json& statistics = report_["statistics"];
    if (const Json about = inputs_->About();
        std::find(statistics.begin(), statistics.end(), about) == statistics.end()) {
      statistics.push_back(about);
    }
    return;
  }
  std::map<std::string, at::Tensor> before;  // of the linears of the block at hand, where they are needed
  const auto change = [&](LinearSlot& slot, const Statistics& inputs) {
    const at::Tensor original = slot.linear->Rebuild();
    results_[slot.name].report = Change(slot, inputs);
    Keep(slot, original, inputs);
    if (Finishes()) before[slot.name] = original;
  };
  const auto finish = [&](const ChangedBlock& block, const Statistics& inputs) {
    std::vector<LinearSlot*> changed;
    for (LinearSlot* slot : block.slots) {
      if (before.count(slot->name) > 0) changed.push_back(slot);
    }
    if (changed.empty()) return;
    const Json detail = Finish(block, changed);
    for (const LinearSlot* slot : changed) {
      results_[slot->name].report.detail.update(detail);
      Keep(*slot, before[slot->name], inputs);
    }
    before.clear();
  };
  report_["walk"] = Finishes() ? context.walk(request_, change, finish) : context.walk(request_, change, {});
}

void FedStage::Keep(const LinearSlot& slot, const at::Tensor& before, const Statistics& inputs) {
  Result& result = results_[slot.name];
  result.report.output_error =
      RelativeOutputError(slot.linear->Rebuild() - before, before, inputs.InputCovariance(slot));
  result.weights.clear();
  for (int64_t i = 0; i < slot.linear->weight_count(); ++i) result.weights.push_back(slot.linear->weight(i));
}

Json FedStage::Report() const { return report_; }

at::Tensor FedStage::InputCovariance(const LinearSlot& slot) const {
  return inputs_ ? inputs_->FindInputCovariance(slot) : at::Tensor();
}

LinearReport FedStage::Apply(LinearSlot& slot) const {
  if (inputs_) return Change(slot, *inputs_);
  if (!prepared_) throw Error(ErrorKind::kInternal, "a calibrated stage was not prepared");
  const auto found = results_.find(slot.name);
  if (found == results_.end()) {
    throw Error(ErrorKind::kUnsupported, {"linears outside of the blocks are not fed with a calibration text",
                                          "attn, mlp", slot.name, "", "leave it out of the selector"});
  }
  for (size_t i = 0; i < found->second.weights.size(); ++i) {
    slot.linear->ReplaceWeight(static_cast<int64_t>(i), found->second.weights[i]);
  }
  return found->second.report;
}

void AddFeed(std::vector<ParameterDescription>& parameters) {
  parameters.push_back({"feed",
                        ParameterDescription::Type::kChoice,
                        "compressed",
                        "inputs: of the blocks as compressed so far, or of the dense model",
                        0,
                        0,
                        {"compressed", "dense"}});
  AddCalibration(parameters, "");
}

void Calibrated::Prepare(const StageContext& context) {
  request_.down = context.down;
  statistics_ = context.Calibration().Get(request_);
}

Json Calibrated::Report() const {
  Json report = Json::object();
  if (statistics_) report["statistics"].push_back(statistics_->About());
  return report;
}

at::Tensor Calibrated::FindInputCovariance(const LinearSlot& slot) const {
  return statistics_ ? statistics_->FindInputCovariance(slot) : at::Tensor();
}

const Statistics& Calibrated::statistics() const {
  if (!statistics_) throw Error(ErrorKind::kInternal, "a calibrated stage was not prepared");
  return *statistics_;
}

void AddCalibration(std::vector<ParameterDescription>& parameters, const std::string& when) {
  using Type = ParameterDescription::Type;
  parameters.push_back({"data",
                        Type::kText,
                        "calibration/wiki.utf8",
                        "calibration text: a plain text file, by path or by its name below --data-dir",
                        0,
                        0,
                        {},
                        when});
  parameters.push_back({"length", Type::kInteger, "512", "tokens of a calibration window", 2, 1e6, {}, when});
  parameters.push_back(
      {"windows", Type::kInteger, "96", "windows, the first ones of the text", 1, 1e6, {}, when});
}

void AddGradientWindows(std::vector<ParameterDescription>& parameters, const std::string& when) {
  parameters.push_back({"gradient_windows",
                        ParameterDescription::Type::kInteger,
                        "48",
                        "windows for gradients",
                        1,
                        1e6,
                        {},
                        when});
}

void CheckOneMatrix(const LinearSlot& slot, const std::string& stage) {
  if (slot.linear->weight_count() == 1 && !slot.linear->factorized()) return;
  throw Error(
      ErrorKind::kUnsupported,
      {stage + " needs the inputs of a matrix, and those of a factorized linear's pieces are not known",
       "a dense linear", slot.linear->Describe(), "",
       "put it before the factorizing stage (or the adapter), or restrict it with @untouched"});
}

at::Tensor InverseFactor(const at::Tensor& m, double damping) {
  const at::Tensor h = m.to(at::kDouble);
  if (!at::isfinite(h).all().item<bool>()) {
    throw Error(ErrorKind::kData, {"a covariance is not finite", "", "", "", "check the calibration text"});
  }
  const double mean = h.diagonal().mean().item<double>();
  const at::Tensor identity = at::eye(h.size(0), h.options());
  for (double ridge = damping; ridge < 1e6; ridge = std::max(2 * ridge, 1e-6)) {
    const auto [lower, failed] = at::linalg_cholesky_ex(h + identity * (ridge * mean));
    if (failed.item<int>() != 0) continue;
    const auto [upper, singular] = at::linalg_cholesky_ex(at::cholesky_inverse(lower), true);
    if (singular.item<int>() == 0) return upper.to(at::kFloat).contiguous();
  }
  throw Error(ErrorKind::kData,
              {"a covariance cannot be made positive definite", "", "", "", "check the calibration text"});
}

}  // namespace tnb
