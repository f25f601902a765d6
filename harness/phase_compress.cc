// Compress: every linear is read, changed by the method's stages, measured and written before the next one is
// read, so the peak memory is that of the largest linear, not of the model; unless a stage needs the whole
// model: then it is kept from there on (harness/whole_model.h).
#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/stopwatch.h"
#include "harness/calibration.h"
#include "harness/linear_times.h"
#include "harness/memory.h"
#include "harness/phase.h"
#include "harness/weight_supply.h"
#include "harness/whole_model.h"
#include "methods/recipe.h"
#include "models/engine/artefact.h"
#include "models/engine/decoder.h"
#include "models/engine/model.h"
#include "models/formats/grid.h"

namespace tnb {
namespace {

// Where the weights come from, as the spec says.
WeightSupply SupplyOf(const Json& spec, const Recipe& recipe) {
  const Json model = Require<Json>(spec, "model", "spec");
  ModelSource source;
  source.name = Require<std::string>(model, "name", "spec");
  source.path = Require<std::string>(model, "path", "spec");
  source.hash = Require<std::string>(model, "hash", "spec");
  source.random_weights = Require<bool>(model, "random", "spec");
  const auto seed = source.random_weights ? Require<uint64_t>(spec.at("settings"), "seed", "spec") : 0;
  return WeightSupply(ConfigFromJson(Require<Json>(model, "config", "spec"), "spec"), std::move(source), seed,
                      recipe);
}

struct StageTotal {
  double seconds = 0;
  int64_t linears = 0;
  Json detail = Json::object();
};

// Linears whose weights lay on a grid before this method touched them.
class GridWatch {
 public:
  // {"group", "levels"} for the rows of this linear, or null.
  Json Look(const LinearSlot& slot) {
    // Some rows are enough, and a large matrix needs no copy.
    const int64_t rows = slot.linear->out_features();
    const at::Tensor weights =
        slot.linear->weight(0)->Rows(at::arange(0, rows, std::max<int64_t>(1, rows / kGridRows), at::kLong));
    const auto grid = FindGrid(weights.const_data_ptr<float>(), weights.size(0), weights.size(1));
    if (!grid) return nullptr;
    ++linears_;
    ++kinds_[std::to_string(std::bit_width(static_cast<uint64_t>(grid->levels - 1))) + " bits in groups of " +
             std::to_string(grid->group) + " columns"];
    return {{"group", grid->group}, {"levels", grid->levels}};
  }
  void Report(int64_t of, Emitter& emit) const {
    emit.Metric("grid_linears", static_cast<double>(linears_), "linears");
    if (linears_ == 0) return;
    std::string list;
    for (const auto& [kind, count] : kinds_) {
      list += (list.empty() ? "" : "; ") + std::to_string(count) + ": " + kind;
    }
    emit.Log("warning",
             std::to_string(linears_) + " of " + std::to_string(of) + " linears lie on a grid (" + list +
                 "): they were quantized before, and a quantizer that hits the grid looks lossless; "
                 "rotate+METHOD takes the model off it");
  }

 private:
  int64_t linears_ = 0;
  std::map<std::string, int64_t> kinds_;
};

Json LayerJson(const LayerOutcome& outcome) {
  Json detail = outcome.report.detail;
  detail["seconds"] = outcome.seconds;
  detail["mean_square_error"] = NumberToJson(outcome.mean_square_error);
  if (outcome.report.output_error) detail["output_error"] = NumberToJson(*outcome.report.output_error);
  Json json = {{"stage_position", outcome.stage},
               {"name", outcome.name},
               {"format", outcome.format},
               {"rows", outcome.rows},
               {"cols", outcome.cols},
               {"parameters", outcome.size.parameters},
               {"codes_bits", outcome.size.code_bits},
               {"stored_bytes", outcome.size.bytes},
               {"relative_error", NumberToJson(outcome.relative_error)},
               {"detail", detail}};
  if (outcome.report.discarded_weight)
    json["discarded_weight"] = NumberToJson(*outcome.report.discarded_weight);
  return json;
}

// A linear that no stage matches has a row as well, so that the rows of the last position of each name sum up
// to the model (but for the norms).
Json UntouchedJson(const Recipe& recipe, const LinearSlot& slot, int64_t rows, int64_t cols) {
  const WeightSize size = slot.linear->size();
  return {{"stage_position", recipe.stages.empty() ? 0 : recipe.stages.size() - 1},
          {"name", slot.name},
          {"format", slot.linear->Describe()},
          {"rows", rows},
          {"cols", cols},
          {"parameters", size.parameters},
          {"codes_bits", size.code_bits},
          {"stored_bytes", size.bytes},
          {"relative_error", 0.0},
          {"detail", {{"untouched", true}}}};
}

void EmitTotals(Emitter& emit, const ModelConfig& config, const WeightSize& total, int64_t file_bytes,
                double seconds) {
  const auto count = [&](const char* name, int64_t value, const char* unit) {
    emit.Metric(name, static_cast<double>(value), unit);
  };
  const int64_t dense = config.ParameterCount();
  count("parameters", total.parameters, "parameters");
  count("codes_bits", total.code_bits, "bits");
  count("stored_bytes", total.bytes, "bytes");
  count("dense_parameters", dense, "parameters");
  count("fp32_bytes", 4 * dense, "bytes");
  count("fp16_bytes", 2 * dense, "bytes");
  count("artefact_bytes", file_bytes, "bytes");
  emit.Metric("seconds", seconds, "s");
  if (const auto peak = PeakResidentBytes()) count("peak_resident", *peak, "bytes");
}

}  // namespace

void RunCompress(const Json& spec, Emitter& emit) {
  const auto start = Clock::now();
  Recipe recipe = ParseRecipe(Require<std::string>(spec, "method", "spec"));
  const WeightSupply supply = SupplyOf(spec, recipe);
  // What a reduction is relative to: the model as it came, whatever a stage makes of its head.
  const ModelConfig original = ConfigFromJson(spec.at("model").at("config"), "spec");
  const std::filesystem::path path = Require<std::string>(spec.at("artefact"), "path", "spec");
  std::error_code failure;
  std::filesystem::create_directories(path.parent_path(), failure);
  if (failure) {
    throw Error(ErrorKind::kIo, {"cannot create the folder of artefacts: " + failure.message(), "", "",
                                 path.parent_path().string(), "give another one with --artefacts"});
  }
  const ModelParts parts = supply.Parts();
  CalibrationService texts(parts, supply.source(), RewritingText(recipe), CalibrationTextsOf(spec),
                           path.parent_path(), emit);
  const StageRange streamed = LinearStages(recipe, 0);
  PrepareStages(recipe, streamed, parts, texts, emit);
  const bool whole = streamed.end < recipe.stages.size();  // then the model is kept in memory
  std::optional<ArtefactWriter> writer;
  if (!whole) writer.emplace(path, supply.config(), supply.source(), recipe.text);
  WeightSize total;
  std::map<size_t, StageTotal> stages;
  // Rows of linears that no stage on linears looks at; one on the whole model may have more to say of them.
  std::map<std::string, Json> untouched;
  const auto emit_layers = [&](const std::vector<LayerOutcome>& outcomes, const Linear& linear,
                               const Json& grid) {
    Json layers = Json::array();
    for (const LayerOutcome& outcome : outcomes) {
      untouched.erase(outcome.name);
      layers.push_back(LayerJson(outcome));
      stages[outcome.stage].seconds += outcome.seconds;
      ++stages[outcome.stage].linears;
    }
    if (layers.empty()) return;
    if (const Json cost = LinearCostJson(linear); !cost.is_null()) layers.back()["detail"]["cost"] = cost;
    if (!grid.is_null()) {
      for (Json& layer : layers) layer["detail"]["grid"] = grid;
    }
    emit.Emit({{"type", "layers"}, {"rows", layers}});
  };
  const int64_t linears = 7 * supply.config().block_count + (supply.config().tied_head ? 1 : 2);
  int64_t done = 0;
  GridWatch grids;
  const auto norm = [&](const std::string& name, int64_t size) {
    at::Tensor values = supply.Norm(name, size);
    ApplyRecipeToNorm(recipe, name, values, streamed);
    if (writer) writer->AddNorm(name, values);
    total += {.parameters = size, .code_bits = 0, .bytes = 4 * size};
    return values;
  };
  // Returns no linear where it has been written: it is not needed any more.
  std::set<std::string> touched;
  const auto fill = [&](const LinearSlot& place, int64_t rows, int64_t cols) {
    LinearSlot slot = supply.ReadSlot(place, rows, cols);
    const Json grid = supply.source().random_weights ? Json() : grids.Look(slot);
    const std::vector<LayerOutcome> outcomes = ApplyRecipe(recipe, slot, streamed);
    if (slot.touched) touched.insert(slot.name);
    const bool later =
        std::any_of(recipe.stages.begin() + static_cast<std::ptrdiff_t>(streamed.end), recipe.stages.end(),
                    [&](const RecipeStage& stage) { return stage.Applies(slot); });
    if (outcomes.empty() && !later) {
      Json& row = untouched[slot.name] = UntouchedJson(recipe, slot, rows, cols);
      if (!grid.is_null()) row["detail"]["grid"] = grid;
    }
    emit_layers(outcomes, *slot.linear, grid);
    emit.Progress("", ++done, linears, "linears");
    if (whole) return std::move(slot.linear);
    writer->AddLinear(slot.name, *slot.linear);
    total += slot.linear->size();
    return std::unique_ptr<Linear>();
  };
  Model model = BuildModel(supply.config(), norm, fill);
  WholeModelWork work(path);
  if (whole) {
    model.source = supply.source();
    for (LinearSlot* slot : model.Slots()) slot->touched = touched.count(slot->name) > 0;
    work.Apply(recipe, streamed.end, model, parts, texts, emit,
               {.linear =
                    [&](const LinearSlot& slot, const std::vector<LayerOutcome>& outcomes) {
                      emit_layers(outcomes, *slot.linear, Json());
                    },
                .stage =
                    [&](size_t stage, double seconds, const Json& detail) {
                      stages[stage].seconds += seconds;
                      stages[stage].detail = detail;
                    }});
  }
  if (!untouched.empty()) {
    Json rows = Json::array();
    for (const auto& [name, row] : untouched) rows.push_back(row);
    emit.Emit({{"type", "layers"}, {"rows", rows}});
  }
  const CacheCodecPtr cache = CacheOf(recipe, supply.config());
  if (whole) {
    model.cache = cache;
    SaveArtefact(path, model, recipe.text);
    total = model.size();
  } else {
    if (cache) {
      writer->SetCache(*cache);
      total += cache->size();
    }
    writer->Finish();
  }
  work.RemoveCheckpoints();
  emit.Metric("cache_token_bytes", static_cast<double>(CacheTokenBytes(supply.config(), cache)), "bytes");
  const double elapsed = SecondsSince(start);
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    Json detail = recipe.stages[i].stage->Report();
    detail.update(stages[i].detail);
    detail["linears"] = stages[i].linears;
    emit.Emit({{"type", "stage"},
               {"position", i},
               {"text", recipe.stages[i].text},
               {"seconds", stages[i].seconds},
               {"detail", detail}});
  }
  if (!supply.source().random_weights) grids.Report(linears, emit);
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  EmitTotals(emit, original, total, bytes, elapsed);
  emit.Emit({{"type", "artefact"}, {"path", path.string()}, {"sha256", Sha256File(path)}, {"bytes", bytes}});
}

}  // namespace tnb
