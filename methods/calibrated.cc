#include "methods/calibrated.h"

#include "base/error.h"

namespace tnb {

Calibrated::Calibrated(const StageValues& values, Moments moments) {
  request_.moments = moments;
  request_.data = values.Text("data");
  request_.length = values.Integer("length");
  request_.windows = values.Integer("windows");
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
