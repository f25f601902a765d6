// Stages applied to linears whose statistics are given, as the compress phase applies them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "methods/recipe.h"

namespace tnb::testing {

inline LinearSlot SlotOf(const std::string& name, LinearKind kind, WeightPtr weight) {
  LinearSlot slot;
  slot.name = name;
  slot.kind = kind;
  slot.block = 0;
  slot.linear = MakeDenseLinear(std::move(weight));
  return slot;
}

inline LinearSlot SlotOf(const at::Tensor& w) {
  return SlotOf("blocks.0.q", LinearKind::kQ, MakeDenseWeight(w));
}

// Statistics that are there.
class FixedStatistics : public StatisticsService {
 public:
  explicit FixedStatistics(std::map<std::string, at::Tensor> values)
      : statistics_(std::make_shared<MemoryStatistics>(std::move(values))) {}
  std::shared_ptr<const Statistics> Get(const StatisticsRequest&) override { return statistics_; }
  std::string FileContents(const std::string&) override { return ""; }

 private:
  std::shared_ptr<const Statistics> statistics_;
};

// Prepares and applies a recipe to one linear. `statistics` may be null.
inline std::vector<LayerOutcome> Compress(const std::string& text, LinearSlot& slot,
                                          StatisticsService* statistics = nullptr) {
  Recipe recipe = ParseRecipe(text);
  PrepareRecipe(recipe, statistics, [&](const auto& wanted, const auto& visit) {
    if (!wanted(slot)) return;
    LinearSlot copy = SlotOf(slot.name, slot.kind, slot.linear->weight(0));
    visit(copy);
  });
  return ApplyRecipe(recipe, slot);
}

}  // namespace tnb::testing
