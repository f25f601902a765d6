// Blocks that change the residual stream least are dropped: all their linears become zero, so that the block
// passes on what it is given.
#include <ATen/ATen.h>

#include <set>

#include "base/error.h"
#include "methods/calibrated.h"
#include "methods/prune/prune.h"

namespace tnb {
namespace {

class LayerDrop : public Stage {
 public:
  explicit LayerDrop(const StageValues& values)
      : count_(values.Integer("layers")), calibration_(values, Moments::kInfluence) {}

  void Prepare(const StageContext& context) override {
    calibration_.Prepare(context);
    influence_ = calibration_.statistics().Influence();
    if (count_ >= influence_.numel()) {
      throw Error(ErrorKind::kUsage,
                  {"no block would be left", "fewer than " + std::to_string(influence_.numel()),
                   std::to_string(count_), "layers", ""});
    }
    const at::Tensor order = std::get<1>(at::sort(influence_, /*stable=*/true, 0, /*descending=*/false));
    for (int64_t i = 0; i < count_; ++i) dropped_.insert(order[i].item<int64_t>());
  }

  Json Report() const override {
    Json report = calibration_.Report();
    report["dropped"] = dropped_;
    for (int64_t i = 0; influence_.defined() && i < influence_.numel(); ++i) {
      report["influence"].push_back(influence_[i].item<double>());
    }
    return report;
  }

  LinearReport Apply(LinearSlot& slot) const override {
    calibration_.statistics();  // refuses a stage that was not prepared
    const bool drop = dropped_.count(slot.block) > 0;
    for (int64_t i = 0; drop && i < slot.linear->weight_count(); ++i) {
      const Weight& weight = *slot.linear->weight(i);
      slot.linear->ReplaceWeight(i, MakeZeroWeight(weight.rows(), weight.cols()));
    }
    if (drop) slot.linear->set_bias({});
    LinearReport report;
    report.detail["dropped"] = drop;
    return report;
  }

 private:
  int64_t count_;
  Calibrated calibration_;
  at::Tensor influence_;  // [blocks]
  std::set<int64_t> dropped_;
};

}  // namespace

StageEntry LayerDropEntry() {
  StageDescription description;
  description.name = "layer-drop";
  description.group = "prune";
  description.summary =
      "whole blocks: those whose output is most like their input on the calibration text pass on what they "
      "get";
  description.parameters = {
      {"layers", ParameterDescription::Type::kInteger, "4", "blocks that are dropped", 1, 1000}};
  AddCalibration(description.parameters, "");
  description.selector = "attn/mlp";
  description.reference = "block influence as in ShortGPT, arXiv 2403.03853";
  return {description, &MakeStage<LayerDrop>};
}

}  // namespace tnb
