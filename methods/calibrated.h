// What stages share that need to know what flows through the linears on a calibration text.
#pragma once

#include <memory>
#include <string>

#include "methods/stage.h"

namespace tnb {

// The text and the statistics of a stage with the parameters of AddCalibration.
class Calibrated {
 public:
  explicit Calibrated(const StageValues& values, Moments moments = Moments::kInputs);
  // Error{kUnsupported} when there are no statistics here.
  void Prepare(const StageContext& context);
  // {"statistics": [...]}
  Json Report() const;
  // Error{kInternal} before Prepare.
  const Statistics& statistics() const;

 private:
  StatisticsRequest request_;
  std::shared_ptr<const Statistics> statistics_;
};

// data, length and windows; `when`: their condition.
void AddCalibration(std::vector<ParameterDescription>& parameters, const std::string& when);

// Error{kUnsupported} when the linear is not one matrix: its inputs are known, those of its pieces are not.
void CheckOneMatrix(const LinearSlot& slot, const std::string& stage);

}  // namespace tnb
