// Quality: the tasks one after the other; every document becomes an item row as soon as it is finished.
#include <map>
#include <optional>

#include "base/error.h"
#include "harness/load.h"
#include "harness/phase.h"
#include "harness/plan.h"
#include "harness/quality_metrics.h"
#include "models/engine/artefact.h"
#include "models/engine/decoder.h"
#include "models/engine/scorer.h"
#include "tasks/run.h"
#include "tasks/task.h"

namespace tnb {
namespace {

const char kWhere[] = "the worker's spec";

std::optional<int64_t> MaybeInteger(const Json& spec, const char* key) {
  if (!spec.contains(key) || spec.at(key).is_null()) return std::nullopt;
  return Require<int64_t>(spec, key, kWhere);
}

// The artefact as a language model, loaded when it is needed for the first time.
class LazyModel {
 public:
  LazyModel(const Json& spec, int64_t context_length)
      : spec_(spec),
        info_(ReadArtefactInfo(Require<std::string>(spec.at("artefact"), "path", kWhere))),
        tokenizer_(LoadTokenizer(info_.source.tokenizer)),
        context_length_(context_length) {
    if (info_.source.random_weights) throw NotMeasured("random weights have no accuracy");
  }

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  int64_t context_length() const { return context_length_; }
  LanguageModel& Get() {
    if (!scorer_) {
      model_.emplace(LoadArtefactOf(spec_));
      decoder_.emplace(*model_, DeviceOf(spec_));
      scorer_ = MakeDecoderModel(*decoder_, tokenizer_, {.context_length = context_length_});
    }
    return *scorer_;
  }

 private:
  const Json& spec_;
  ArtefactInfo info_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  int64_t context_length_;
  std::optional<Model> model_;
  std::optional<Decoder> decoder_;
  std::unique_ptr<LanguageModel> scorer_;
};

// Scores of the documents that an earlier phase measured. The prompts must be those of today: a program that
// builds them in another way measures something else under the same name.
std::map<size_t, Scores> ReadDone(const Json& done, const std::string& name, const std::vector<Item>& items) {
  std::map<size_t, Scores> scores;
  for (const Json& entry : Optional<Json>(done, name, Json::array(), kWhere)) {
    const auto doc = Require<size_t>(entry, "doc", kWhere);
    if (items.at(doc).prompt_sha256 != Require<std::string>(entry, "prompt_sha256", kWhere)) {
      throw Error(ErrorKind::kData, {"document " + std::to_string(doc) + " of task " + name +
                                         " was asked with another prompt when it was measured",
                                     "", "", "", "another build of tnbench did; --force measures again"});
    }
    scores[doc] = Require<Scores>(entry, "scores", kWhere);
  }
  return scores;
}

FinishedTask RunOneTask(const Task& task, const Json& expected, const Json& done, LazyModel& model,
                        Emitter& emit) {
  const std::string& name = task.spec().name;
  if (expected.at("protocol") != ItemProtocolHash(task, model.tokenizer(), model.context_length()) ||
      expected.at("dataset") != task.dataset().sha256) {
    throw Error(ErrorKind::kData,
                {"the task or its data changed while it was being measured", "", "", name, ""});
  }
  std::vector<Scores> scores(task.size());
  RunOptions options = {.context_length = model.context_length()};
  int64_t truncated = 0;
  if (done.contains(name)) {
    const std::vector<Item> items = task.BuildItems(model.tokenizer(), model.context_length());
    for (auto& [doc, earlier] : ReadDone(done, name, items)) {
      truncated += items[doc].truncated_tokens > 0 ? 1 : 0;
      options.done.insert(doc);
      scores.at(doc) = std::move(earlier);
    }
  }
  const auto total = static_cast<int64_t>(task.size());
  const auto missing = total - static_cast<int64_t>(options.done.size());
  if (missing > 0) {
    int64_t finished = 0;
    emit.Progress(name, 0, missing, "items");
    RunTask(
        task, model.Get(),
        [&](const ItemResult& result) {
          Json message = ToJson(name, result);
          message["type"] = "item";
          emit.Emit(message);
          scores.at(result.doc) = result.scores;
          truncated += result.truncated_tokens > 0 ? 1 : 0;
          emit.Progress(name, ++finished, missing, "items");
        },
        options);
  }
  if (truncated > 0) {
    emit.Log("warning", name + ": " + std::to_string(truncated) + " of " + std::to_string(total) +
                            " contexts were too long and lost their beginning");
  }
  const Json protocol = task.ProtocolJson(model.tokenizer(), model.context_length());
  return ReportTask(task, protocol, scores, [&](const Json& message) { emit.Emit(message); });
}

}  // namespace

void RunQuality(const Json& spec, Emitter& emit) {
  CheckArtefact(spec);
  const Json settings = Require<Json>(spec, "settings", kWhere);
  const Json done = Optional<Json>(spec, "done", Json::object(), kWhere);
  LazyModel model(spec, Require<int64_t>(settings, "context_length", kWhere));
  const TaskOptions options = {.data_dir = Require<std::string>(spec, "data_dir", kWhere),
                               .limit = MaybeInteger(spec, "limit"),
                               .num_fewshot = MaybeInteger(spec, "num_fewshot"),
                               .fewshot_seed = MaybeInteger(spec, "fewshot_seed"),
                               .fewshot_compat = Require<std::string>(spec, "fewshot_compat", kWhere)};
  const auto names = Require<std::vector<std::string>>(spec, "tasks", kWhere);
  std::map<std::string, FinishedTask> finished;
  for (size_t i = 0; i < names.size(); ++i) {
    const Task task(LoadTaskSpec(names[i]), options);
    finished[task.spec().name] = RunOneTask(task, settings.at("tasks").at(i), done, model, emit);
  }
  ReportGroups(settings, finished, [&](const Json& message) { emit.Emit(message); });
}

}  // namespace tnb
