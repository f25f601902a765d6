#include "harness/recorder.h"

#include "base/error.h"
#include "harness/phase.h"

namespace tnb {
namespace {

const char kWhere[] = "a worker's message";
constexpr size_t kItemBatch = 256;

template <typename T>
T Get(const Json& json, const char* key) {
  return Require<T>(json, key, kWhere);
}

template <typename T>
T Get(const Json& json, const char* key, T fallback) {
  return Optional<T>(json, key, fallback, kWhere);
}

std::optional<double> MaybeNumber(const Json& json, const char* key) {
  if (!json.contains(key) || json.at(key).is_null()) return std::nullopt;
  return NumberFromJson(json.at(key), kWhere);
}

double Number(const Json& json, const char* key) { return NumberFromJson(Get<Json>(json, key), kWhere); }

LayerRow ToLayer(const Json& json, int64_t phase) {
  return {.phase_id = phase,
          .stage_position = Get<int64_t>(json, "stage_position"),
          .name = Get<std::string>(json, "name"),
          .format = Get<std::string>(json, "format"),
          .rows = Get<int64_t>(json, "rows"),
          .cols = Get<int64_t>(json, "cols"),
          .parameters = Get<int64_t>(json, "parameters"),
          .codes_bits = Get<int64_t>(json, "codes_bits"),
          .stored_bytes = Get<int64_t>(json, "stored_bytes"),
          .relative_error = MaybeNumber(json, "relative_error"),
          .discarded_weight = MaybeNumber(json, "discarded_weight"),
          .detail = Get<Json>(json, "detail", Json::object())};
}

ItemRow ToItem(const Json& json, int64_t phase) {
  return {.phase_id = phase,
          .task = Get<std::string>(json, "task"),
          .doc_index = Get<int64_t>(json, "doc"),
          .prompt_sha256 = Get<std::string>(json, "prompt_sha256"),
          .prompt = Get<std::string>(json, "prompt"),
          .target = Get<std::string>(json, "target"),
          .loglikelihoods = Get<Json>(json, "loglikelihoods", nullptr),
          .greedy = Get<Json>(json, "greedy", nullptr),
          .text = Get<std::string>(json, "text", ""),
          .scores = Get<Json>(json, "scores"),
          .tokens = Get<int64_t>(json, "tokens", 0),
          .cluster = Get<std::string>(json, "cluster", "")};
}

SampleRow ToSample(const Json& json, int64_t phase) {
  return {.phase_id = phase,
          .benchmark = Get<std::string>(json, "benchmark"),
          .variant = Get<std::string>(json, "variant", ""),
          .repetition = Get<int64_t>(json, "repetition"),
          .seconds = Number(json, "seconds"),
          .value = Number(json, "value"),
          .unit = Get<std::string>(json, "unit")};
}

}  // namespace

Recorder::Recorder(Store& store, int64_t run_id, int64_t phase_id, const std::string& label)
    : store_(store),
      run_id_(run_id),
      phase_id_(phase_id),
      label_(label),
      flushed_(std::chrono::steady_clock::now()) {}

void Recorder::Take(const Json& message) {
  const auto type = Get<std::string>(message, "type");
  if (type == "progress") {
    ShowProgress(message);
  } else if (type == "item") {
    items_.push_back(ToItem(message, phase_id_));
    const bool waited = std::chrono::steady_clock::now() - flushed_ > std::chrono::seconds(2);
    if (items_.size() >= kItemBatch || waited) FlushItems();
  } else if (type == "metric") {
    AddMetric(message);
  } else if (type == "layers") {
    std::vector<LayerRow> rows;
    for (const Json& row : Get<Json>(message, "rows")) rows.push_back(ToLayer(row, phase_id_));
    store_.AddLayers(rows);
  } else if (type == "samples") {
    std::vector<SampleRow> rows;
    for (const Json& row : Get<Json>(message, "rows")) rows.push_back(ToSample(row, phase_id_));
    store_.AddSamples(rows);
  } else if (type == "stage") {
    store_.AddStage({.phase_id = phase_id_,
                     .position = Get<int64_t>(message, "position"),
                     .text = Get<std::string>(message, "text"),
                     .seconds = Number(message, "seconds"),
                     .detail = Get<Json>(message, "detail", Json::object())});
  } else if (type == "artefact") {
    store_.AddArtefact({.phase_id = phase_id_,
                        .path = Get<std::string>(message, "path"),
                        .sha256 = Get<std::string>(message, "sha256"),
                        .bytes = Get<int64_t>(message, "bytes")});
  } else if (type == "log") {
    store_.AddLog({.run_id = run_id_,
                   .phase_id = phase_id_,
                   .level = Get<std::string>(message, "level"),
                   .text = Get<std::string>(message, "text")});
  } else {
    throw Error(ErrorKind::kInternal, {"unknown type of message", "", type, kWhere, ""});
  }
}

void Recorder::Finish() {
  FlushItems();
  if (progress_) progress_->Finish();
  progress_.reset();
}

void Recorder::ShowProgress(const Json& message) {
  const auto title = Get<std::string>(message, "title");
  const auto total = Get<int64_t>(message, "total");
  if (progress_ == nullptr || title != title_) {
    title_ = title;
    progress_ = std::make_unique<Progress>(title.empty() ? label_ : label_ + " " + title, total,
                                           Get<std::string>(message, "unit"));
  }
  const auto done = Get<int64_t>(message, "done");
  progress_->Set(done);
  if (done >= total) progress_->Finish();  // what follows is not part of what was counted
}

void Recorder::AddMetric(const Json& message) {
  MetricRow row = {.phase_id = phase_id_,
                   .name = Get<std::string>(message, "name"),
                   .task = Get<std::string>(message, "task", ""),
                   .filter = Get<std::string>(message, "filter", ""),
                   .variant = Get<std::string>(message, "variant", ""),
                   .value = Number(message, "value"),
                   .unit = Get<std::string>(message, "unit"),
                   .n = Get<int64_t>(message, "n", 1),
                   .se = MaybeNumber(message, "se"),
                   .lo = MaybeNumber(message, "lo"),
                   .hi = MaybeNumber(message, "hi"),
                   .main = Get<bool>(message, "main", false)};
  FlushItems();
  store_.Transaction([&] {
    if (message.contains("protocol")) {
      row.protocol_id = store_.PutProtocol({.name = Get<std::string>(message.at("protocol"), "name"),
                                            .content = Get<Json>(message.at("protocol"), "content")});
    }
    if (message.contains("dataset")) {
      const Json& dataset = message.at("dataset");
      row.dataset_id = store_.PutDataset({.hash = Get<std::string>(dataset, "hash"),
                                          .name = Get<std::string>(dataset, "name"),
                                          .split = Get<std::string>(dataset, "split"),
                                          .source = Get<std::string>(dataset, "source"),
                                          .items = Get<int64_t>(dataset, "items")});
    }
    store_.AddMetric(row);
  });
}

void Recorder::FlushItems() {
  if (!items_.empty()) store_.AddItems(items_);
  items_.clear();
  flushed_ = std::chrono::steady_clock::now();
}

}  // namespace tnb
