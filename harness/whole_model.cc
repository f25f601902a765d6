#include "harness/whole_model.h"

#include <map>

#include "base/error.h"
#include "base/stopwatch.h"
#include "harness/memory.h"
#include "harness/weight_supply.h"

namespace tnb {
namespace {

std::unique_ptr<Linear> Copy(const Linear& linear) {
  std::map<std::string, at::Tensor> tensors;
  const Json json =
      linear.Save([&](const std::string& suffix, const at::Tensor& values) { tensors[suffix] = values; });
  return LoadLinear(
      json, [&](const std::string& suffix) { return tensors.at(suffix); }, "a linear in memory");
}

template <typename Visit>
void ForEachNorm(Model& model, const Visit& visit) {
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    visit(prefix + "attention_norm", model.blocks[i].attention_norm);
    visit(prefix + "mlp_norm", model.blocks[i].mlp_norm);
  }
  visit("final_norm", model.final_norm);
}

// A model in memory as what stages prepare themselves on. It must outlive the parts.
ModelParts PartsOf(Model& model) {
  const auto norm = [&model](const std::string& name, int64_t) {
    if (name == "final_norm") return model.final_norm;
    Block& block = model.blocks.at(std::stoul(name.substr(name.find('.') + 1)));
    return name.ends_with("mlp_norm") ? block.mlp_norm : block.attention_norm;
  };
  const auto linear = [&model](const LinearSlot& slot, int64_t, int64_t) {
    return Copy(*model.Slot(slot.name).linear);
  };
  return {model.config, norm, linear};
}

}  // namespace

void PrepareStages(Recipe& recipe, StageRange range, const ModelParts& parts, CalibrationService& texts,
                   Emitter& emit) {
  int64_t linears = 0;  // that the stage at hand will look at
  PrepareRecipe(
      recipe, &texts, VisitorOf(parts, &linears),
      [&](const std::string& title, int64_t done) { emit.Progress(title, done, linears, "linears"); }, range);
}

void WholeModelWork::Apply(Recipe& recipe, size_t first, Model& model, const ModelParts& original,
                           CalibrationService& texts, Emitter& emit, const Sink& sink) {
  for (size_t begin = first; begin < recipe.stages.size();) {
    const RecipeStage& stage = recipe.stages[begin];
    const auto start = Clock::now();
    WholeModelContext context;
    context.original = original;
    context.text = [&](const std::string& name) { return texts.Training(name); };
    context.selected = [&](const LinearSlot& slot) { return stage.selector.Matches(slot); };
    std::vector<std::pair<const LinearSlot*, LayerOutcome>> changed;
    context.changed = [&](const LinearSlot& slot, const at::Tensor& before) {
      changed.emplace_back(&slot, OutcomeOf(recipe, begin, slot, before));
    };
    context.identity = model.source.hash + " " + RewritingText(recipe);
    context.checkpoint = artefact_.string() + ".training-" + std::to_string(begin);
    context.peak_bytes = [] { return PeakResidentBytes().value_or(0); };
    context.progress = [&](const std::string& title, int64_t done, int64_t total, const std::string& unit) {
      emit.Progress(title, done, total, unit);
    };
    checkpoints_.push_back(context.checkpoint);
    Json detail;
    try {
      detail = stage.whole_model()->ApplyToModel(model, context);
    } catch (const Error& error) {
      ErrorDetail more = error.detail();
      more.where += (more.where.empty() ? "" : ", ") + stage.text;
      throw Error(error.kind(), more);
    }
    detail["control"] = ControlRecipe(recipe);
    for (const auto& [slot, outcome] : changed) sink.linear(*slot, {outcome});
    sink.stage(begin, SecondsSince(start), detail);
    const StageRange range = LinearStages(recipe, begin + 1);
    if (range.end > range.begin) {
      const ModelParts parts = PartsOf(model);
      CalibrationService after = texts.For(parts, ContentHash(model));
      PrepareStages(recipe, range, parts, after, emit);
      for (LinearSlot* slot : model.Slots()) {
        const std::vector<LayerOutcome> outcomes = ApplyRecipe(recipe, *slot, range);
        if (!outcomes.empty()) sink.linear(*slot, outcomes);
      }
      ForEachNorm(model, [&](const std::string& name, at::Tensor& gain) {
        ApplyRecipeToNorm(recipe, name, gain, range);
      });
    }
    begin = range.end;
  }
}

void WholeModelWork::RemoveCheckpoints() const {
  std::error_code ignored;
  for (const std::filesystem::path& file : checkpoints_) {
    // A training may keep several files, whose names begin with that of its checkpoint.
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(file.parent_path(), ignored)) {
      if (entry.path().filename().string().starts_with(file.filename().string())) found.push_back(entry);
    }
    for (const std::filesystem::path& path : found) std::filesystem::remove(path, ignored);
  }
}

}  // namespace tnb
