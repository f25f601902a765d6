#include "reports/show.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/progress.h"
#include "reports/cost.h"
#include "reports/flips.h"
#include "reports/heal_notes.h"
#include "reports/numbers.h"
#include "reports/run_data.h"
#include "reports/table.h"

namespace tnb {
namespace {

constexpr size_t kWorstLayers = 5;

// JSON has no infinity.
Json Number(double value) {
  if (std::isfinite(value)) return value;
  return value > 0 ? "inf" : "-inf";
}

template <typename T>
Json OrNull(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_floating_point_v<T>) return Number(*value);
  return *value;
}

Json ToJson(const Store& store, const MetricRow& row) {
  Json json = {
      {"name", row.name},           {"task", row.task},     {"filter", row.filter}, {"variant", row.variant},
      {"value", Number(row.value)}, {"unit", row.unit},     {"n", row.n},           {"se", OrNull(row.se)},
      {"lo", OrNull(row.lo)},       {"hi", OrNull(row.hi)}, {"main", row.main}};
  json["protocol"] = nullptr;
  json["dataset"] = nullptr;
  if (row.protocol_id) {
    const ProtocolRow protocol = store.Protocol(*row.protocol_id);
    json["protocol"] = {{"name", protocol.name}, {"hash", protocol.hash}, {"content", protocol.content}};
  }
  if (row.dataset_id) {
    const DatasetRow dataset = store.Dataset(*row.dataset_id);
    json["dataset"] = {{"name", dataset.name},
                       {"hash", dataset.hash},
                       {"split", dataset.split},
                       {"source", dataset.source},
                       {"items", dataset.items}};
  }
  return json;
}

Json ToJson(const StageRow& row) {
  return {{"position", row.position},
          {"text", row.text},
          {"seconds", row.seconds},
          {"peak_bytes", OrNull(row.peak_bytes)},
          {"detail", row.detail}};
}

Json ToJson(const LayerRow& row) {
  return {{"stage_position", row.stage_position},
          {"name", row.name},
          {"format", row.format},
          {"rows", row.rows},
          {"cols", row.cols},
          {"parameters", row.parameters},
          {"codes_bits", row.codes_bits},
          {"stored_bytes", row.stored_bytes},
          {"relative_error", OrNull(row.relative_error)},
          {"discarded_weight", OrNull(row.discarded_weight)},
          {"detail", row.detail}};
}

Json ToJson(const ItemRow& row) {
  return {{"task", row.task},     {"doc_index", row.doc_index}, {"prompt_sha256", row.prompt_sha256},
          {"prompt", row.prompt}, {"target", row.target},       {"loglikelihoods", row.loglikelihoods},
          {"greedy", row.greedy}, {"text", row.text},           {"scores", row.scores},
          {"tokens", row.tokens}, {"cluster", row.cluster}};
}

Json PhaseJson(const Store& store, const PhaseRow& phase, bool with_items) {
  Json json = {{"name", phase.name},
               {"status", ToString(phase.status)},
               {"reason", phase.reason},
               {"started", phase.started},
               {"finished", phase.finished},
               {"seconds", OrNull(phase.seconds)},
               {"peak_bytes", OrNull(phase.peak_bytes)},
               {"exit_code", OrNull(phase.exit_code)},
               {"settings", phase.settings},
               {"reused", phase.data_id != phase.id}};
  for (const char* key : {"stages", "layers", "metrics", "samples"}) json[key] = Json::array();
  for (const StageRow& row : store.Stages(phase.data_id)) json["stages"].push_back(ToJson(row));
  for (const LayerRow& row : store.Layers(phase.data_id)) json["layers"].push_back(ToJson(row));
  for (const MetricRow& row : store.Metrics(phase.data_id)) json["metrics"].push_back(ToJson(store, row));
  for (const SampleRow& row : store.Samples(phase.data_id)) {
    json["samples"].push_back({{"benchmark", row.benchmark},
                               {"variant", row.variant},
                               {"repetition", row.repetition},
                               {"seconds", row.seconds},
                               {"value", Number(row.value)},
                               {"unit", row.unit}});
  }
  json["artefact"] = nullptr;
  if (const auto artefact = store.Artefact(phase.data_id)) {
    json["artefact"] = {{"path", artefact->path}, {"sha256", artefact->sha256}, {"bytes", artefact->bytes}};
  }
  if (with_items) {
    json["items"] = Json::array();
    for (const ItemRow& row : store.Items(phase.data_id)) json["items"].push_back(ToJson(row));
  }
  return json;
}

std::string Readable(double value, const std::string& unit) {
  if (unit == "bytes") return FormatBytes(value);
  return FormatNumber(value);
}

std::string IntervalText(const MetricRow& row) {
  const std::optional<Interval> interval = IntervalOf(row);
  if (!interval) return "";
  return fmt::format("{} to {}", Readable(interval->lo, row.unit), Readable(interval->hi, row.unit));
}

// "P1: arc 25-shot 1f3a5c7e9b2d, data ..." of every protocol and its data that the metrics name.
class ProtocolNotes {
 public:
  explicit ProtocolNotes(const Store& store) : store_(store) {}
  std::string Name(const MetricRow& row) {
    if (!row.protocol_id) return "";
    const auto [place, inserted] = names_.try_emplace({*row.protocol_id, row.dataset_id.value_or(0)});
    if (inserted) {
      place->second = fmt::format("P{}", names_.size());
      const ProtocolRow protocol = store_.Protocol(*row.protocol_id);
      text_ += fmt::format("  {}: {} {}", place->second, protocol.name, protocol.hash.substr(0, 12));
      if (row.dataset_id) {
        const DatasetRow data = store_.Dataset(*row.dataset_id);
        text_ += fmt::format(", data sha256 {} ({} items)", data.hash.substr(0, 12), data.items);
      }
      text_ += "\n";
    }
    return place->second;
  }
  const std::string& text() const { return text_; }

 private:
  const Store& store_;
  std::map<std::pair<int64_t, int64_t>, std::string> names_;
  std::string text_;
};

std::string MetricsText(const Store& store, const std::vector<MetricRow>& metrics) {
  ProtocolNotes protocols(store);
  Table table;
  for (const char* title : {"metric", "task", "filter", "variant"})
    table.columns.push_back({title, Alignment::kLeft});
  for (const char* title : {"value", "± se", "95 % interval"})
    table.columns.push_back({title, Alignment::kRight});
  table.columns.push_back({"unit", Alignment::kLeft});
  table.columns.push_back({"n", Alignment::kRight});
  table.columns.push_back({"protocol", Alignment::kLeft});
  for (const MetricRow& row : metrics) {
    table.rows.push_back({{.text = row.name + (row.main ? " *" : "")},
                          {.text = row.task},
                          {.text = row.filter},
                          {.text = row.variant},
                          {.text = Readable(row.value, row.unit)},
                          {.text = row.se ? Readable(*row.se, row.unit) : ""},
                          {.text = IntervalText(row)},
                          {.text = row.unit},
                          {.text = std::to_string(row.n)},
                          {.text = protocols.Name(row)}});
  }
  return RenderTerminal(table) + protocols.text();
}

std::string LayersText(std::vector<LayerRow> layers) {
  std::erase_if(layers, [](const LayerRow& row) { return !row.relative_error; });
  std::stable_sort(layers.begin(), layers.end(), [](const LayerRow& a, const LayerRow& b) {
    return *a.relative_error > *b.relative_error;
  });
  if (layers.size() > kWorstLayers) layers.resize(kWorstLayers);
  std::string text;
  for (const LayerRow& row : layers) {
    // Where calibration data are known, also what the error does to the output of the layer.
    const auto output = row.detail.find("output_error");
    const bool known = output != row.detail.end() && output->is_number();
    text += fmt::format("  layer {} ({}, {} x {}): relative error {}{}, {}\n", row.name, row.format, row.rows,
                        row.cols, FormatNumber(*row.relative_error),
                        known ? ", of the output " + FormatNumber(output->get<double>()) : "",
                        FormatBytes(static_cast<double>(row.stored_bytes)));
  }
  return text;
}

// The quality phases of the run and of its base, when both are finished.
struct QualityPair {
  int64_t base_run = 0;
  std::string base_method;
  std::vector<TaskFlips> flips;
};

std::optional<QualityPair> CompareWithBase(const Store& store, const RunView& view) {
  const std::optional<RunView> base = BaseRunOf(store, view);
  if (!base) return std::nullopt;
  const auto quality = [&](int64_t run) -> int64_t {
    for (const PhaseRow& phase : store.Phases(run)) {
      if (phase.name == "quality" && phase.status == PhaseStatus::kOk) return phase.data_id;
    }
    return 0;
  };
  const int64_t own = quality(view.run.id);
  if (own == 0) return std::nullopt;
  return QualityPair{base->run.id, base->method.text, CountFlips(store, quality(base->run.id), own)};
}

std::string FlipsText(const Store& store, const RunView& view) {
  const std::optional<QualityPair> pair = CompareWithBase(store, view);
  if (!pair || pair->flips.empty()) return "";
  Table table;
  table.columns = {{"task", Alignment::kLeft}, {"by", Alignment::kLeft}, {"right to wrong"},
                   {"wrong to right"},         {"answer changed"},       {"items"}};
  const auto count = [](const std::optional<int64_t>& value) {
    return Cell{.text = value ? std::to_string(*value) : "-"};
  };
  for (const TaskFlips& flips : pair->flips) {
    table.rows.push_back({{.text = flips.task},
                          {.text = flips.metric},
                          count(flips.right_to_wrong),
                          count(flips.wrong_to_right),
                          count(flips.changed),
                          count(flips.items)});
  }
  return fmt::format("\nanswers against run {}, {}\n", pair->base_run, pair->base_method) +
         RenderTerminal(table);
}

Json FlipsJson(const Store& store, const RunView& view) {
  const std::optional<QualityPair> pair = CompareWithBase(store, view);
  if (!pair) return nullptr;
  Json json = {{"base_run", pair->base_run}, {"tasks", Json::array()}};
  for (const TaskFlips& flips : pair->flips) {
    json["tasks"].push_back({{"task", flips.task},
                             {"metric", flips.metric},
                             {"items", flips.items},
                             {"right_to_wrong", OrNull(flips.right_to_wrong)},
                             {"wrong_to_right", OrNull(flips.wrong_to_right)},
                             {"changed", flips.changed}});
  }
  return json;
}

std::string PhaseText(const Store& store, const PhaseRow& phase) {
  std::string text = fmt::format("\n{}: {}", phase.name, ToString(phase.status));
  if (!phase.reason.empty()) text += ": " + phase.reason;
  if (phase.data_id != phase.id) text += ", reused from an earlier run";
  if (phase.seconds) text += ", " + FormatDuration(*phase.seconds);
  if (phase.peak_bytes) text += ", peak " + FormatBytes(static_cast<double>(*phase.peak_bytes));
  if (phase.exit_code && *phase.exit_code != 0) text += fmt::format(", exit code {}", *phase.exit_code);
  text += "\n";
  // Of times the settings are the protocol; tasks have protocols of their own.
  Json settings = phase.settings;
  settings.erase("tasks");
  settings.erase("groups");
  if (!settings.empty()) text += "  settings " + settings.dump() + "\n";
  for (const StageRow& row : store.Stages(phase.data_id)) {
    text += fmt::format("  stage {}: {} in {}\n", row.position, row.text, FormatDuration(row.seconds));
    if (const std::string curve = CurveText(row.detail); !curve.empty())
      text += fmt::format("    {}\n", curve);
  }
  text += LayersText(store.Layers(phase.data_id));
  if (const auto artefact = store.Artefact(phase.data_id)) {
    text += fmt::format("  artefact {}, {}, sha256 {}\n", artefact->path,
                        FormatBytes(static_cast<double>(artefact->bytes)), artefact->sha256.substr(0, 12));
  }
  const std::vector<MetricRow> metrics = store.Metrics(phase.data_id);
  if (!metrics.empty()) text += MetricsText(store, metrics);
  return text;
}

}  // namespace

std::string ShowRun(const Store& store, int64_t run_id) {
  const RunView view = store.Run(run_id);
  std::string text = fmt::format("run {}: {} of {}: {}", view.run.id, view.method.text, view.model.name,
                                 ToString(view.run.status));
  if (!view.run.message.empty()) text += ": " + view.run.message;
  text += fmt::format("\nstarted {}, finished {}\n", view.run.started,
                      view.run.finished.empty() ? "not yet" : view.run.finished);
  text += fmt::format(
      "command   {}\nsettings  {}\nmodel     {} ({} parameters, sha256 {})\nmachine   {}\nbuild     {}\n",
      view.run.command, view.cell.settings.dump(), view.model.path,
      FormatCount(static_cast<double>(view.model.parameters)), view.model.hash.substr(0, 12),
      view.machine.name, view.build.commit);
  for (const PhaseRow& phase : store.Phases(run_id)) text += PhaseText(store, phase);
  text += CostText(CostsOf(store, run_id));
  text += FlipsText(store, view);
  const std::vector<LogRow> logs = store.Logs(run_id);
  if (!logs.empty()) text += "\nlog\n";
  for (const LogRow& row : logs) text += fmt::format("  {} {}: {}\n", row.time, row.level, row.text);
  return text;
}

Json ShowRunJson(const Store& store, int64_t run_id, bool with_items) {
  const RunView view = store.Run(run_id);
  Json json = {
      {"run", view.run.id},
      {"uuid", view.run.uuid},
      {"status", ToString(view.run.status)},
      {"message", view.run.message},
      {"command", view.run.command},
      {"started", view.run.started},
      {"finished", view.run.finished},
      {"settings", view.cell.settings},
      {"settings_hash", view.cell.settings_hash},
      {"method", view.method.text},
      {"model",
       {{"name", view.model.name},
        {"path", view.model.path},
        {"hash", view.model.hash},
        {"parameters", view.model.parameters},
        {"file_bytes", view.model.file_bytes},
        {"config", view.model.config}}},
      {"machine", {{"name", view.machine.name}, {"hash", view.machine.hash}, {"facts", view.machine.facts}}},
      {"build", {{"commit", view.build.commit}, {"hash", view.build.hash}, {"facts", view.build.facts}}},
      {"phases", Json::array()},
      {"log", Json::array()}};
  for (const PhaseRow& phase : store.Phases(run_id))
    json["phases"].push_back(PhaseJson(store, phase, with_items));
  json["cost"] = ToJson(CostsOf(store, run_id));
  json["flips"] = FlipsJson(store, view);
  for (const LogRow& row : store.Logs(run_id)) {
    json["log"].push_back({{"time", row.time}, {"level", row.level}, {"text", row.text}});
  }
  return json;
}

}  // namespace tnb
