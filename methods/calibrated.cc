#include "methods/calibrated.h"

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
  if (context.statistics == nullptr) {
    throw Error(ErrorKind::kUnsupported, "a stage needs calibration statistics, and there are none here",
                "compress a model with tnbench run");
  }
  request_.down = context.down;
  if (!compressed_) {
    inputs_ = context.statistics->Get(request_);
    report_["statistics"].push_back(inputs_->About());
    return;
  }
  report_["walk"] = context.walk(request_, [&](LinearSlot& slot, const Statistics& inputs) {
    Result& result = results_[slot.name];
    const at::Tensor before = slot.linear->Rebuild();
    result.report = Change(slot, inputs);
    // In what the compressed model feeds it, not the dense one.
    result.report.output_error =
        RelativeOutputError(slot.linear->Rebuild() - before, before, inputs.InputCovariance(slot));
    for (int64_t i = 0; i < slot.linear->weight_count(); ++i)
      result.weights.push_back(slot.linear->weight(i));
  });
}

Json FedStage::Report() const { return report_; }

at::Tensor FedStage::InputCovariance(const LinearSlot& slot) const {
  return inputs_ ? inputs_->FindInputCovariance(slot) : at::Tensor();
}

LinearReport FedStage::Apply(LinearSlot& slot) const {
  if (inputs_) return Change(slot, *inputs_);
  const auto found = results_.find(slot.name);
  if (found == results_.end()) {
    throw Error(ErrorKind::kInternal, "a calibrated stage was not prepared for " + slot.name);
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
  if (context.statistics == nullptr) {
    throw Error(ErrorKind::kUnsupported, "a stage needs calibration statistics, and there are none here",
                "compress a model with tnbench run");
  }
  request_.down = context.down;
  statistics_ = context.statistics->Get(request_);
}

Json Calibrated::Report() const {
  Json report = Json::object();
  if (statistics_) report["statistics"].push_back(statistics_->About());
  return report;
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

void CheckOneMatrix(const LinearSlot& slot, const std::string& stage) {
  if (slot.linear->weight_count() == 1 && !slot.linear->factorized()) return;
  throw Error(
      ErrorKind::kUnsupported,
      {stage + " needs the inputs of a matrix, and those of a factorized linear's pieces are not known",
       "a dense linear", slot.linear->Describe(), "",
       "put it before the factorizing stage, or restrict it with @untouched"});
}

}  // namespace tnb
