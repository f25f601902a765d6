// Pruning by a score of every element: magnitude, and Wanda's, which knows how large inputs are.
#include <ATen/ATen.h>

#include "methods/calibrated.h"
#include "methods/prune/mask.h"
#include "methods/prune/prune.h"

namespace tnb {
namespace {

// Stores of one weight only what `kept` says, in the format that it has.
void Prune(LinearSlot& slot, int64_t index, const at::Tensor& kept) {
  const WeightPtr weight = slot.linear->weight(index);
  const at::Tensor before = weight->Kept();
  slot.linear->ReplaceWeight(index, KeepZeros(before.defined() ? kept.logical_and(before) : kept, weight));
}

class Magnitude : public Stage {
 public:
  explicit Magnitude(const StageValues& values) : pattern_(PatternFrom(values)) {}

  LinearReport Apply(LinearSlot& slot) const override {
    for (int64_t i = 0; i < slot.linear->weight_count(); ++i) {
      Prune(slot, i, KeepLargest(slot.linear->weight(i)->Dense().abs(), pattern_, PruneScope::kMatrix));
    }
    return {};
  }

 private:
  PrunePattern pattern_;
};

class Wanda : public FedStage {
 public:
  explicit Wanda(const StageValues& values) : FedStage(values), pattern_(PatternFrom(values)) {}

 protected:
  LinearReport Change(LinearSlot& slot, const Statistics& inputs) const override {
    CheckOneMatrix(slot, "wanda");
    const at::Tensor norms = inputs.InputCovariance(slot).diagonal().sqrt();
    const at::Tensor scores = slot.linear->weight(0)->Dense().abs() * norms.unsqueeze(0);
    Prune(slot, 0, KeepLargest(scores, pattern_, PruneScope::kRow));
    return {};
  }

 private:
  PrunePattern pattern_;
};

std::unique_ptr<Stage> MakeMagnitude(const StageValues& values) {
  return std::make_unique<Magnitude>(values);
}
std::unique_ptr<Stage> MakeWanda(const StageValues& values) { return std::make_unique<Wanda>(values); }

}  // namespace

StageEntry MagnitudeEntry() {
  StageDescription description;
  description.name = "magnitude";
  description.group = "prune";
  description.summary = "the elements of least magnitude of every matrix become zero and are not stored";
  description.parameters = PatternParameters();
  description.selector = "attn/mlp";
  description.reference = "the baseline of Wanda (arXiv 2306.11695) and SparseGPT (arXiv 2301.00774)";
  return {description, &MakeMagnitude};
}

StageEntry WandaEntry() {
  StageDescription description;
  description.name = "wanda";
  description.group = "prune";
  description.summary =
      "the elements with the least |w| times the norm of their input become zero, in every row; no update";
  description.parameters = PatternParameters();
  AddFeed(description.parameters);
  description.selector = "attn/mlp";
  description.reference = "Wanda, arXiv 2306.11695";
  return {description, &MakeWanda};
}

}  // namespace tnb
