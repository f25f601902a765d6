// Quality: the tasks one after the other; every document becomes an item row as soon as it is finished.
#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "harness/load.h"
#include "harness/measure.h"
#include "harness/phase.h"
#include "harness/plan.h"
#include "harness/quality_metrics.h"
#include "harness/trained_overlap.h"
#include "models/engine/artefact.h"
#include "models/engine/decoder.h"
#include "models/engine/scorer.h"
#include "tasks/run.h"
#include "tasks/task.h"

namespace tnb {
namespace {

std::optional<int64_t> MaybeInteger(const Json& spec, const char* key) {
  if (!spec.contains(key) || spec.at(key).is_null()) return std::nullopt;
  return Require<int64_t>(spec, key, kWorkerSpec);
}

// The artefact as a language model, loaded when it is needed for the first time.
class LazyModel {
 public:
  // `longest`: of the perplexity windows, which may be longer than what other tasks are allowed to see.
  LazyModel(const Json& spec, int64_t context_length, int64_t longest)
      : spec_(spec),
        info_(ReadArtefactInfo(Require<std::string>(spec.at("artefact"), "path", kWorkerSpec))),
        tokenizer_(LoadTokenizer(info_.source.tokenizer)),
        context_length_(context_length),
        longest_(std::min(std::max(context_length, longest), info_.config.context_length)) {
    if (info_.source.random_weights) throw NotMeasured("random weights have no accuracy");
    if (Optional<bool>(spec, "apply_chat_template", false, kWorkerSpec)) {
      chat_ = LoadChatTemplate(info_.source.tokenizer, *tokenizer_);
    }
  }

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatTemplate* chat() const { return chat_.get(); }
  int64_t context_length() const { return context_length_; }
  std::vector<Item> BuildItems(const Task& task) const {
    return task.BuildItems(*tokenizer_, task.spec().window ? longest_ : context_length_, chat_.get());
  }
  bool loaded() const { return scorer_ != nullptr; }
  LanguageModel& Get() {
    if (!scorer_) {
      model_.emplace(LoadArtefactOf(spec_));
      decoder_.emplace(*model_, DeviceOf(spec_));
      scorer_ = MakeDecoderModel(*decoder_, tokenizer_, {.context_length = longest_});
    }
    return *scorer_;
  }

 private:
  const Json& spec_;
  ArtefactInfo info_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> chat_;
  int64_t context_length_, longest_;
  std::optional<Model> model_;
  std::optional<Decoder> decoder_;
  std::unique_ptr<LanguageModel> scorer_;
};

// Scores of the documents that an earlier phase measured. The prompts must be those of today: a program that
// builds them in another way measures something else under the same name.
std::map<size_t, Scores> ReadDone(const Json& done, const std::string& name, const std::vector<Item>& items) {
  std::map<size_t, Scores> scores;
  for (const Json& entry : Optional<Json>(done, name, Json::array(), kWorkerSpec)) {
    const auto doc = Require<size_t>(entry, "doc", kWorkerSpec);
    if (items.at(doc).prompt_sha256 != Require<std::string>(entry, "prompt_sha256", kWorkerSpec)) {
      throw Error(ErrorKind::kData, {"document " + std::to_string(doc) + " of task " + name +
                                         " was asked with another prompt when it was measured",
                                     "", "", "", "another build of tnbench did; --force measures again"});
    }
    scores[doc] = Require<Scores>(entry, "scores", kWorkerSpec);
  }
  return scores;
}

FinishedTask RunOneTask(const Task& task, const Json& expected, const Json& done, LazyModel& model,
                        Emitter& emit) {
  const std::string& name = task.spec().name;
  if (expected.at("protocol") !=
          ItemProtocolHash(task, model.tokenizer(), model.context_length(), model.chat()) ||
      expected.at("dataset") != task.dataset().sha256) {
    throw Error(ErrorKind::kData,
                {"the task or its data changed while it was being measured", "", "", name, ""});
  }
  std::map<size_t, Scores> finished;  // by item, so that sums do not depend on who finished first
  RunOptions options = {.chat = model.chat(), .context_length = model.context_length()};
  int64_t truncated = 0;
  bool complete = false;
  if (done.contains(name)) {
    const std::vector<Item> items = model.BuildItems(task);
    for (auto& [doc, earlier] : ReadDone(done, name, items)) {
      truncated += items[doc].truncated_tokens > 0 ? 1 : 0;
      options.done.insert(doc);
      finished[doc] = std::move(earlier);
    }
    complete = finished.size() == items.size();
  }
  if (!complete) {
    const auto before = static_cast<int64_t>(options.done.size());
    options.progress = [&](size_t count, size_t total) {
      emit.Progress(name, static_cast<int64_t>(count) - before, static_cast<int64_t>(total) - before,
                    "items");
    };
    RunTask(
        task, model.Get(),
        [&](const ItemResult& result) {
          Json message = ToJson(name, result);
          message["type"] = "item";
          emit.Emit(message);
          finished[result.doc] = result.scores;
          truncated += result.truncated_tokens > 0 ? 1 : 0;
        },
        options);
  }
  if (truncated > 0) {
    emit.Log("warning", name + ": " + std::to_string(truncated) + " of " + std::to_string(finished.size()) +
                            " contexts were too long and lost their beginning");
  }
  std::vector<Scores> scores;
  for (auto& [item, values] : finished) scores.push_back(std::move(values));
  const Json protocol = task.ProtocolJson(model.tokenizer(), model.context_length(), model.chat());
  return ReportTask(task, protocol, scores, [&](const Json& message) { emit.Emit(message); });
}

}  // namespace

void RunQuality(const Json& spec, Emitter& emit) {
  CheckArtefact(spec);
  const Json settings = Require<Json>(spec, "settings", kWorkerSpec);
  const Json done = Optional<Json>(spec, "done", Json::object(), kWorkerSpec);
  const TaskOptions options = {
      .data_dir = Require<std::string>(spec, "data_dir", kWorkerSpec),
      .limit = MaybeInteger(spec, "limit"),
      .num_fewshot = MaybeInteger(spec, "num_fewshot"),
      .fewshot_seed = MaybeInteger(spec, "fewshot_seed"),
      .fewshot_compat = Require<std::string>(spec, "fewshot_compat", kWorkerSpec),
      .system_instruction = Optional<std::string>(spec, "system_instruction", "", kWorkerSpec),
      .fewshot_as_multiturn = Optional<bool>(spec, "fewshot_as_multiturn", false, kWorkerSpec)};
  const auto names = Require<std::vector<std::string>>(spec, "tasks", kWorkerSpec);
  int64_t longest = 0;
  for (const std::string& name : names) {
    if (const TaskSpec task = LoadTaskSpec(name); task.window)
      longest = std::max(longest, task.window->length);
  }
  LazyModel model(spec, Require<int64_t>(settings, "context_length", kWorkerSpec), longest);
  TrainedOverlap overlap(spec);
  std::map<std::string, FinishedTask> finished;
  for (size_t i = 0; i < names.size(); ++i) {
    const Task task(LoadTaskSpec(names[i]), options);
    finished[task.spec().name] = RunOneTask(task, settings.at("tasks").at(i), done, model, emit);
    overlap.Report(task, emit);
  }
  ReportGroups(settings, finished, [&](const Json& message) { emit.Emit(message); });
  if (model.loaded()) EmitSettledMemory(emit);
}

}  // namespace tnb
