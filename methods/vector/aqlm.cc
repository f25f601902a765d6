#include "methods/vector/aqlm.h"

#include "methods/calibrated.h"
#include "methods/vector/additive.h"
#include "methods/vector/block_tuning.h"

namespace tnb {
namespace {

class Aqlm : public FedStage {
 public:
  explicit Aqlm(const StageValues& values) : FedStage(values) {
    options_.codebooks = values.Integer("codebooks");
    options_.bits = values.Integer("bits");
    options_.group = values.Integer("group");
    options_.rounds = values.Integer("rounds");
    options_.steps = values.Integer("steps");
    if (values.Has("epochs")) tuning_.epochs = values.Integer("epochs");
    if (values.Has("learning_rate")) tuning_.learning_rate = values.Real("learning_rate");
  }

 protected:
  LinearReport Change(LinearSlot& slot, const Statistics& inputs) const override {
    CheckOneMatrix(slot, "aqlm");
    Additive result =
        QuantizeAdditive(slot.linear->weight(0)->Dense(), inputs.InputCovariance(slot), options_);
    slot.linear->ReplaceWeight(0, MakeCodebookWeight(std::move(result.books)));
    LinearReport report;
    report.detail = {{"relative_output_error", result.loss},
                     {"relative_output_error_at_start", result.start_loss},
                     {"rounds", result.rounds}};
    return report;
  }

  bool Finishes() const override { return tuning_.epochs > 0; }
  Json Finish(const ChangedBlock& block, const std::vector<LinearSlot*>& changed) const override {
    const TuningReport report = TuneBlock(block, changed, tuning_);
    return {{"block_error", report.end},
            {"block_error_before_tuning", report.start},
            {"epochs", report.epochs},
            {"tuned", report.kept}};
  }

 private:
  AdditiveOptions options_;
  TuningOptions tuning_{.epochs = 0};
};

}  // namespace

StageEntry AqlmEntry() {
  using Type = ParameterDescription::Type;
  StageDescription description;
  description.name = "aqlm";
  description.group = "vector";
  description.summary =
      "additive quantization: groups of inputs as sums of codebook entries that keep the output on the "
      "calibration text (codebooks x bits, group: 2x8 g8)";
  description.parameters = {
      {"codebooks", Type::kInteger, "2", "codebooks that a matrix shares", 1, 16},
      {"bits", Type::kInteger, "8", "bits of a code: 2^bits entries a codebook", 1, 16},
      {"group", Type::kInteger, "8", "inputs that share a code of each codebook", 1, 64},
      {"rounds", Type::kInteger, "4", "rounds of Adam and search at most", 0, 1000},
      {"steps", Type::kInteger, "50", "steps of Adam on codebooks and scales, a round", 0, 10000}};
  AddFeed(description.parameters);
  description.parameters.push_back(
      {"epochs",
       Type::kInteger,
       "1",
       "tuning of every block on what it put out before, passes over the calibration text at most",
       0,
       100,
       {},
       "feed=compressed"});
  description.parameters.push_back(
      {"learning_rate", Type::kReal, "0.0001", "of that tuning", 0, 1, {}, "feed=compressed"});
  description.selector = "attn/mlp";
  description.reference = "AQLM, arXiv 2401.06118";
  return {description, &MakeStage<Aqlm>};
}

}  // namespace tnb
