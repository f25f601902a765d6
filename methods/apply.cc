#include <ATen/ATen.h>

#include <chrono>

#include "methods/recipe.h"

namespace tnb {

bool Rewrites(const Recipe& recipe) {
  return !recipe.stages.empty() && recipe.stages[0].entry->description.rewrites;
}

std::shared_ptr<const Checkpoint> Rewrite(const Recipe& recipe, std::shared_ptr<const Checkpoint> source) {
  for (const RecipeStage& stage : recipe.stages) {
    if (const auto* rewriting = dynamic_cast<const RewritingStage*>(stage.stage.get())) {
      source = rewriting->Rewrite(std::move(source));
    }
  }
  return source;
}

std::vector<LayerOutcome> ApplyRecipe(const Recipe& recipe, LinearSlot& slot) {
  std::vector<LayerOutcome> outcomes;
  at::Tensor original;
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const RecipeStage& stage = recipe.stages[i];
    if (stage.entry->description.rewrites || !stage.selector.Matches(slot)) continue;
    if (slot.kind == LinearKind::kEmbedding && !stage.entry->description.takes_embedding) continue;
    if (!original.defined()) original = slot.linear->Rebuild();
    LayerOutcome outcome;
    outcome.stage = i;
    outcome.name = slot.name;
    const auto start = std::chrono::steady_clock::now();
    try {
      outcome.report = stage.stage->Apply(slot);
    } catch (const Error& error) {
      ErrorDetail detail = error.detail();
      if (detail.where.empty()) detail.where = slot.name + ", " + stage.text;
      throw Error(error.kind(), detail);
    }
    outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    slot.touched = true;
    outcome.format = slot.linear->Describe();
    outcome.rows = slot.linear->out_features();
    outcome.cols = slot.linear->in_features();
    outcome.size = slot.linear->size();
    const double norm = original.norm().item<double>();
    const double difference = (slot.linear->Rebuild() - original).norm().item<double>();
    outcome.relative_error = norm > 0 ? difference / norm : difference;
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace tnb
