// What stages share that need to know what flows through the linears on a calibration text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

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
  // Undefined before Prepare, and where there is none.
  at::Tensor FindInputCovariance(const LinearSlot& slot) const;
  // Error{kInternal} before Prepare.
  const Statistics& statistics() const;

 private:
  StatisticsRequest request_;
  std::shared_ptr<const Statistics> statistics_;
};

// Upper triangular U with Uᵀ U = (m + damping * mean(diagonal) I)⁻¹, fp32; computed in fp64. A matrix that is
// not positive definite even so gets more damping. Error{kData} when nothing helps, or when m is not finite.
at::Tensor InverseFactor(const at::Tensor& m, double damping);

// A stage that changes every linear by itself, knowing its inputs: those that it gets from the blocks as they
// are changed so far (feed=compressed), or from the dense model (feed=dense).
class FedStage : public Stage {
 public:
  explicit FedStage(const StageValues& values);
  void Prepare(const StageContext& context) final;
  Json Report() const final;
  LinearReport Apply(LinearSlot& slot) const final;
  at::Tensor InputCovariance(const LinearSlot& slot) const final;

 protected:
  // Replaces weights of the linear, and nothing else of it.
  virtual LinearReport Change(LinearSlot& slot, const Statistics& inputs) const = 0;
  // Called after the last Change of a block that has some, when it `Finishes`, with the linears that were
  // changed, whose weights it may replace once more. What it returns becomes a part of their details.
  virtual bool Finishes() const { return false; }
  virtual Json Finish(const ChangedBlock&, const std::vector<LinearSlot*>& /*changed*/) const {
    return Json::object();
  }
  // Called once before the first Change: what the stage has to know of all linears. `request`: of the inputs.
  // What it returns becomes a part of the report; other statistics that it used are added to "statistics".
  virtual Json PrepareMore(const StageContext&, const StatisticsRequest& /*request*/) {
    return Json::object();
  }

 private:
  struct Result {
    std::vector<WeightPtr> weights;
    LinearReport report;
  };

  // Keeps the weights that the linear has now, and its error in what the compressed model feeds it.
  void Keep(const LinearSlot& slot, const at::Tensor& before, const Statistics& inputs);

  bool compressed_, prepared_ = false;
  StatisticsRequest request_;
  std::shared_ptr<const Statistics> inputs_;  // of the dense model
  std::map<std::string, Result> results_;     // of the compressed one
  Json report_ = Json::object();
};
// feed, data, length and windows.
void AddFeed(std::vector<ParameterDescription>& parameters);

// data, length and windows; `when`: their condition.
void AddCalibration(std::vector<ParameterDescription>& parameters, const std::string& when);
// gradient_windows: one default, so that stages share the statistics of gradients.
void AddGradientWindows(std::vector<ParameterDescription>& parameters, const std::string& when);

// Error{kUnsupported} when the linear is not one matrix: its inputs are known, those of its pieces are not.
void CheckOneMatrix(const LinearSlot& slot, const std::string& stage);

}  // namespace tnb
