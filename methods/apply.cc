#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/stopwatch.h"
#include "methods/recipe.h"

namespace tnb {

std::string RewritingText(const Recipe& recipe) {
  std::string text;
  for (const RecipeStage& stage : recipe.stages) {
    if (stage.rewriting() != nullptr) text += (text.empty() ? "" : "+") + stage.text;
  }
  return text;
}

std::shared_ptr<const Checkpoint> Rewrite(const Recipe& recipe, std::shared_ptr<const Checkpoint> source) {
  for (const RecipeStage& stage : recipe.stages) {
    if (stage.rewriting() != nullptr) source = stage.rewriting()->Rewrite(std::move(source));
  }
  return source;
}

CacheCodecPtr CacheOf(const Recipe& recipe, const ModelConfig& config) {
  for (const RecipeStage& stage : recipe.stages) {
    if (stage.cache() != nullptr) return stage.cache()->Codec(config);
  }
  return nullptr;
}

bool RecipeStage::Applies(const LinearSlot& slot) const {
  const bool linears = rewriting() == nullptr && cache() == nullptr && whole_model() == nullptr;
  if (!linears || !selector.Matches(slot)) return false;
  if (slot.kind != LinearKind::kEmbedding) return true;
  return entry->description.takes_embedding &&
         (!entry->description.embedding_by_name || selector.MentionsEmbedding());
}

StageRange LinearStages(const Recipe& recipe, size_t begin) {
  size_t end = begin;
  while (end < recipe.stages.size() && recipe.stages[end].whole_model() == nullptr) ++end;
  return {begin, end};
}

std::string ControlRecipe(const Recipe& recipe) {
  std::string text;
  bool trains = false, compresses = false;
  for (const RecipeStage& stage : recipe.stages) {
    const bool whole = stage.whole_model() != nullptr;
    trains = trains || whole;
    if (whole || stage.rewriting() != nullptr) {
      text += (text.empty() ? "" : "+") + stage.text;
    } else {
      compresses = true;
    }
  }
  return trains && compresses ? text : "";
}

namespace {

std::vector<std::string> DataNamesOf(const RecipeStage& stage) {
  std::vector<std::string> names;
  for (const char* parameter : {"data", "profile"}) {
    if (stage.values.Has(parameter)) names.push_back(stage.values.Text(parameter));
  }
  return names;
}

[[noreturn]] void Rethrow(const Error& error, const LinearSlot& slot, const RecipeStage& stage) {
  ErrorDetail detail = error.detail();
  if (detail.where.empty()) detail.where = slot.name + ", " + stage.text;
  throw Error(error.kind(), detail);
}

// Applies a stage. Elements that an earlier one pruned stay zero when it replaces a weight by one of another
// format. Codes beside an adapter stay as they are: the adapter was trained to correct these, and a stage
// that stores weights in another way means the adapter.
LinearReport ApplyStage(const RecipeStage& stage, LinearSlot& slot) {
  std::vector<WeightPtr> before;
  for (int64_t i = 0; i < slot.linear->weight_count(); ++i) before.push_back(slot.linear->weight(i));
  LinearReport report = stage.stage->Apply(slot);
  if (slot.linear->weight_count() != static_cast<int64_t>(before.size())) return report;
  for (size_t i = 0; i < before.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const WeightPtr after = slot.linear->weight(index);
    if (after == before[i] || after->rows() != before[i]->rows() || after->cols() != before[i]->cols())
      continue;
    if (before[i]->coded() && after->coded() && slot.linear->adapted() && !slot.linear->adapter(index)) {
      slot.linear->ReplaceWeight(index, before[i]);
      continue;
    }
    const at::Tensor kept = before[i]->Kept();
    if (kept.defined() && !after->Kept().defined()) slot.linear->ReplaceWeight(index, KeepZeros(kept, after));
  }
  return report;
}

// Statistics of the model as it came, for stages behind one that moved factors between norms and linears:
// inputs and gradients of linears are others now. Keys and values are what they were.
class BeforeFactorsMoved : public StatisticsService {
 public:
  explicit BeforeFactorsMoved(StatisticsService& service) : service_(service) {}
  std::shared_ptr<const Statistics> Get(const StatisticsRequest& request) override {
    if (request.moments != Moments::kKeysValues) Refuse();
    return service_.Get(request);
  }
  Json Visit(const StatisticsRequest&, const Walk&) override { Refuse(); }
  std::string FileContents(const std::string& name) override { return service_.FileContents(name); }

 private:
  [[noreturn]] static void Refuse() {
    throw Error(ErrorKind::kUnsupported,
                {"statistics are of the model before factors moved between its norms and linears",
                 "calibrated stages before the one that moves them, or instead of it", "", "",
                 "whiten=none after awt"});
  }
  StatisticsService& service_;
};

// Applies a stage that was not prepared, to see what becomes of sizes.
void ApplyUnprepared(const RecipeStage& stage, LinearSlot& slot) {
  if (!stage.Applies(slot)) return;
  if (!DataNamesOf(stage).empty()) {
    throw Error(ErrorKind::kUnsupported,
                {"a budget has to know what later stages make of the sizes", "stages without calibration",
                 stage.text, "", "keep= instead of budget="});
  }
  ApplyStage(stage, slot);
  slot.touched = true;
}

}  // namespace

void PrepareRecipe(Recipe& recipe, StatisticsService* statistics, const VisitLinears& visit_linears,
                   const std::function<void(const std::string& title, int64_t done)>& progress,
                   StageRange range) {
  range.end = std::min(range.end, recipe.stages.size());
  std::optional<BeforeFactorsMoved> before_moving;
  for (size_t i = range.begin; i < range.end; ++i) {
    const RecipeStage& stage = recipe.stages[i];
    StageContext context;
    context.statistics = before_moving ? &*before_moving : statistics;
    context.progress = progress;
    int64_t blocks = 0;  // up to the last one that the stage may change
    const auto look_only = [&](const LinearSlot& place) {
      if (!stage.Applies(place)) return false;
      context.down = context.down || place.kind == LinearKind::kDown;
      blocks = std::max(blocks, place.block + 1);
      return false;
    };
    visit_linears(look_only, [](LinearSlot&) {});
    const auto apply_before = [&](LinearSlot& slot) {
      for (size_t before = range.begin; before < i; ++before) {
        if (!recipe.stages[before].Applies(slot)) continue;
        ApplyStage(recipe.stages[before], slot);
        slot.touched = true;
      }
    };
    context.for_each = [&](const std::function<void(const LinearSlot&)>& visit) {
      const auto wanted = [&](const LinearSlot& place) { return stage.Applies(place); };
      visit_linears(wanted, [&](LinearSlot& slot) {
        apply_before(slot);
        if (!stage.Applies(slot)) return;  // touched by now
        try {
          visit(slot);
        } catch (const Error& error) {
          Rethrow(error, slot, stage);
        }
      });
    };
    context.walk = [&](const StatisticsRequest& request,
                       const std::function<void(LinearSlot&, const Statistics&)>& change,
                       const std::function<void(const ChangedBlock&, const Statistics&)>& finish) {
      StatisticsService& service = context.Calibration();
      Walk walk;
      if (blocks > 0) walk.blocks = blocks;
      walk.prepare = apply_before;
      walk.finish = finish;
      walk.change = [&](LinearSlot& slot, const Statistics& inputs) {
        if (!stage.Applies(slot)) return;
        try {
          change(slot, inputs);
        } catch (const Error& error) {
          Rethrow(error, slot, stage);
        }
      };
      return service.Visit(request, walk);
    };
    context.apply_later_stages = [&](LinearSlot& slot) {
      slot.touched = true;
      for (size_t j = i + 1; j < range.end; ++j) ApplyUnprepared(recipe.stages[j], slot);
    };
    context.others = [&] {
      OtherLinears others;
      visit_linears([](const LinearSlot&) { return true; },
                    [&](LinearSlot& slot) {
                      others.dense_parameters += slot.linear->out_features() * slot.linear->in_features();
                      apply_before(slot);
                      if (stage.Applies(slot)) return;
                      for (size_t j = i + 1; j < range.end; ++j) ApplyUnprepared(recipe.stages[j], slot);
                      others.size += slot.linear->size();
                    });
      return others;
    };
    context.read_file = [&](const std::string& name) {
      if (statistics == nullptr) throw Error(ErrorKind::kUnsupported, "there are no files here: " + name);
      return statistics->FileContents(name);
    };
    stage.stage->Prepare(context);
    if (statistics != nullptr && stage.stage->MovesFactors()) before_moving.emplace(*statistics);
  }
}

std::vector<std::string> DataNames(const Recipe& recipe) {
  std::vector<std::string> names;
  for (const RecipeStage& stage : recipe.stages) {
    for (const std::string& name : DataNamesOf(stage)) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

void ApplyRecipeToNorm(const Recipe& recipe, const std::string& name, at::Tensor& gain, StageRange range) {
  for (size_t i = range.begin; i < std::min(range.end, recipe.stages.size()); ++i)
    recipe.stages[i].stage->ApplyToNorm(name, gain);
}

StatisticsService& StageContext::Calibration() const {
  if (statistics == nullptr) {
    throw Error(ErrorKind::kUnsupported, "a stage needs calibration statistics, and there are none here",
                "compress a model with tnbench run");
  }
  return *statistics;
}

void Stage::ApplyToNorm(const std::string&, at::Tensor&) const {}

namespace {

LayerOutcome Described(size_t stage, const LinearSlot& slot, LinearReport report) {
  LayerOutcome outcome;
  outcome.stage = stage;
  outcome.name = slot.name;
  outcome.format = slot.linear->Describe();
  outcome.rows = slot.linear->out_features();
  outcome.cols = slot.linear->in_features();
  outcome.size = slot.linear->size();
  outcome.report = std::move(report);
  return outcome;
}

// Errors against the original W, as the stages from `begin` to that of the outcome found it; that of the
// output where some stage of the recipe knows the inputs.
void MeasureErrors(const Recipe& recipe, size_t begin, const LinearSlot& slot, const at::Tensor& original,
                   LayerOutcome& outcome) {
  at::Tensor equivalent = slot.linear->Rebuild();
  for (size_t i = outcome.stage + 1; i-- > begin;) {
    equivalent = recipe.stages[i].stage->WithFactorsBack(slot, equivalent);
  }
  const at::Tensor difference = equivalent - original;
  const double norm = original.norm().item<double>(), error = difference.norm().item<double>();
  outcome.relative_error = norm > 0 ? error / norm : error;
  outcome.mean_square_error = error * error / static_cast<double>(original.numel());
  for (const RecipeStage& stage : recipe.stages) {
    if (outcome.report.output_error) break;
    if (const at::Tensor covariance = stage.stage->InputCovariance(slot); covariance.defined()) {
      outcome.report.output_error = RelativeOutputError(difference, original, covariance);
    }
  }
}

}  // namespace

double RelativeOutputError(const at::Tensor& difference, const at::Tensor& w, const at::Tensor& covariance) {
  const auto energy = [&](const at::Tensor& matrix) {
    return std::max(0.0, (at::matmul(matrix, covariance) * matrix).sum(at::kDouble).item<double>());
  };
  const double before = energy(w), error = energy(difference);
  return before > 0 ? std::sqrt(error / before) : std::sqrt(error);
}

LayerOutcome OutcomeOf(const Recipe& recipe, size_t stage, const LinearSlot& slot, const at::Tensor& before) {
  LayerOutcome outcome = Described(stage, slot, {});
  MeasureErrors(recipe, stage, slot, before, outcome);
  return outcome;
}

std::vector<LayerOutcome> ApplyRecipe(const Recipe& recipe, LinearSlot& slot, StageRange range) {
  std::vector<LayerOutcome> outcomes;
  at::Tensor original;
  for (size_t i = range.begin; i < std::min(range.end, recipe.stages.size()); ++i) {
    const RecipeStage& stage = recipe.stages[i];
    if (!stage.Applies(slot)) continue;
    if (!original.defined()) original = slot.linear->Rebuild();
    LinearReport report;
    const auto start = Clock::now();
    try {
      report = ApplyStage(stage, slot);
    } catch (const Error& error) {
      Rethrow(error, slot, stage);
    }
    const double seconds = SecondsSince(start);
    slot.touched = true;
    outcomes.push_back(Described(i, slot, std::move(report)));
    outcomes.back().seconds = seconds;
    MeasureErrors(recipe, range.begin, slot, original, outcomes.back());
  }
  return outcomes;
}

}  // namespace tnb
