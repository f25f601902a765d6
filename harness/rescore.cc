#include "harness/rescore.h"

#include <unistd.h>

#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/stopwatch.h"
#include "harness/facts.h"
#include "harness/quality_metrics.h"
#include "harness/recorder.h"
#include "tasks/run.h"
#include "tasks/task.h"
#include "tasks/text_file.h"

namespace tnb {
namespace {

const char kWhere[] = "the stored protocol";

bool IsGenerated(const TaskSpec& spec) {
  return spec.form == TaskForm::kGenerate || spec.form == TaskForm::kSummarize;
}

// Whether a field of a task file can change while the model's outputs stay what they were. What the prompt is
// made of is compared with the prompts themselves.
bool MayChange(const std::string& field, const TaskSpec& spec) {
  static const std::set<std::string> of_all = {"filters", "normalize", "metrics", "main", "version"};
  static const std::set<std::string> of_texts = {"fields", "target", "references"};
  return of_all.count(field) != 0 || (IsGenerated(spec) && of_texts.count(field) != 0);
}

void RequireSameQuestions(const TaskSpec& spec, const Json& before) {
  std::set<std::string> fields;
  for (const Json* side : {&before, &spec.protocol}) {
    for (const auto& [key, unused] : side->items()) fields.insert(key);
  }
  for (const std::string& field : fields) {
    const Json old = before.value(field, Json()), now = spec.protocol.value(field, Json());
    if (old == now || MayChange(field, spec)) continue;
    throw Error(
        ErrorKind::kUsage,
        {"task " + spec.name + " asks something else now: its field '" + field + "' changed",
         old.dump().substr(0, 80), now.dump().substr(0, 80), spec.file.string(),
         "measure it with tnbench eval; only filters, normalize, metrics and main may change, and how "
         "generated texts are compared"});
  }
}

ItemResult OutputsOf(const ItemRow& row) {
  ItemResult outputs;
  outputs.doc = static_cast<size_t>(row.doc_index);
  if (row.loglikelihoods.is_array()) outputs.log_likelihoods = row.loglikelihoods.get<std::vector<double>>();
  if (row.greedy.is_array()) outputs.greedy = row.greedy.get<std::vector<bool>>();
  outputs.text = row.text;
  outputs.tokens = row.tokens;
  outputs.scores = row.scores.get<Scores>();
  return outputs;
}

// One task, scored again.
struct RescoredTask {
  Task task;
  Json protocol;
  std::vector<ItemRow> rows;
  std::vector<Scores> scores;
};

class Rescorer {
 public:
  Rescorer(const RescoreRequest& request, Store& store)
      : request_(request), store_(store), view_(store.Run(request.run)) {
    for (const PhaseRow& phase : store.Phases(request.run)) {
      if (phase.name == "quality" && phase.status == PhaseStatus::kOk) quality_ = phase;
    }
    if (quality_.id == 0) {
      throw Error(ErrorKind::kUsage, Name() + " has no finished quality phase",
                  "tnbench show " + std::to_string(request.run) + " says why");
    }
    for (const MetricRow& metric : store.Metrics(quality_.data_id)) {
      if (metric.protocol_id) protocols_[metric.task] = store.Protocol(*metric.protocol_id).content;
    }
    for (const std::string& file : request.task_files) {
      TaskSpec spec = LoadTaskSpec(file);
      if (protocols_.count(spec.name) == 0) {
        throw Error(ErrorKind::kUsage, {Name() + " has no task of this name", "", spec.name, file, ""});
      }
      specs_.insert_or_assign(spec.name, std::move(spec));
    }
  }

  int64_t Run() {
    const auto start = Clock::now();
    std::vector<RescoredTask> tasks;
    for (const Json& entry : quality_.settings.at("tasks")) {
      tasks.push_back(ScoreAgain(Require<std::string>(entry, "task", kWhere)));
    }
    int64_t run = 0;
    store_.Transaction([&] {
      run = Begin(tasks);
      bool partial = false;
      for (const PhaseRow& phase : store_.Phases(view_.run.id)) {
        if (phase.name == "quality") {
          WriteQuality(run, tasks, SecondsSince(start));
        } else if (phase.status == PhaseStatus::kOk) {
          store_.AdoptPhase(run, phase.id);
        } else {
          const bool not_measured = phase.status == PhaseStatus::kNotMeasured;
          partial = partial || !not_measured;
          store_.SkipPhase({.run_id = run, .name = phase.name, .settings = phase.settings},
                           not_measured ? PhaseStatus::kNotMeasured : PhaseStatus::kSkipped, phase.reason);
        }
      }
      store_.FinishRun(run, partial ? RunStatus::kPartial : RunStatus::kOk, "rescored from " + Name());
    });
    return run;
  }

 private:
  std::string Name() const { return "run " + std::to_string(request_.run); }

  // The definition as it is today: given, by name, or the file that the run was given.
  TaskSpec SpecOf(const std::string& name) const {
    if (const auto given = specs_.find(name); given != specs_.end()) return given->second;
    for (const Json& asked : view_.cell.settings.value("tasks", Json::array())) {
      const auto path = asked.get<std::string>();
      if (!IsTaskPath(path) && !IsTextFileTask(path)) continue;
      if (TaskSpec spec = LoadTaskSpec(path); spec.name == name) return spec;
    }
    return LoadTaskSpec(name);
  }

  RescoredTask ScoreAgain(const std::string& name) const {
    const auto found = protocols_.find(name);
    if (found == protocols_.end()) {
      throw Error(ErrorKind::kData, {"task " + name + " has no protocol", "", "", Name(), ""});
    }
    Json protocol = found->second;
    TaskSpec spec = SpecOf(name);
    RequireSameQuestions(spec, Require<Json>(protocol, "task", kWhere));
    TaskOptions options = {.data_dir = request_.data_dir,
                           .limit = Require<int64_t>(protocol, "documents", kWhere),
                           .num_fewshot = Require<int64_t>(protocol, "num_fewshot", kWhere)};
    if (protocol.contains("fewshot")) {
      options.fewshot_seed = Require<int64_t>(protocol.at("fewshot"), "seed", kWhere);
      options.fewshot_compat = Require<std::string>(protocol.at("fewshot"), "compat", kWhere);
    }
    options.system_instruction = Optional<std::string>(protocol, "system_instruction", "", kWhere);
    std::optional<ChatTemplate> chat;
    if (protocol.contains("chat")) {
      const Json& stored = protocol.at("chat");
      options.fewshot_as_multiturn = Require<bool>(stored, "fewshot_as_multiturn", kWhere);
      chat.emplace(Require<std::string>(stored, "template", kWhere),
                   Require<std::string>(stored, "bos", kWhere), Require<std::string>(stored, "eos", kWhere),
                   kWhere);
    }
    protocol["task"] = spec.protocol;
    protocol["scoring_version"] = kScoringVersion;
    RescoredTask result = {
        Task(std::move(spec), options), protocol, store_.Items(quality_.data_id, name), {}};
    if (result.task.dataset().sha256 != protocol.at("dataset_sha256")) {
      throw Error(ErrorKind::kData,
                  {"the data of task " + name + " changed", protocol.at("dataset_sha256").get<std::string>(),
                   result.task.dataset().sha256, result.task.dataset().path, ""});
    }
    if (result.task.spec().window) {  // sums over windows of tokens: nothing that a metric could change
      for (ItemRow& row : result.rows) {
        result.scores.push_back(row.scores.get<Scores>());
        if (row.origin.empty()) row.origin = view_.run.uuid;
      }
      return result;
    }
    const std::vector<Item> items = result.task.BuildPrompts(chat ? &*chat : nullptr);
    if (items.size() != result.rows.size()) {
      throw Error(ErrorKind::kData, {"items of task " + name + " are missing", std::to_string(items.size()),
                                     std::to_string(result.rows.size()), Name(), ""});
    }
    for (size_t i = 0; i < items.size(); ++i) {
      ItemRow& row = result.rows[i];
      if (row.doc_index != static_cast<int64_t>(i) || row.prompt_sha256 != items[i].prompt_sha256) {
        throw Error(ErrorKind::kUsage,
                    {"document " + std::to_string(i) + " of task " + name + " has another prompt now",
                     row.prompt_sha256, items[i].prompt_sha256, result.task.dataset().Where(i),
                     "measure it with tnbench eval"});
      }
      result.scores.push_back(ScoreOutputs(result.task.spec(), items[i], OutputsOf(row)));
      row.scores = result.scores.back();
      row.target = items[i].target;
      if (row.origin.empty()) row.origin = view_.run.uuid;
    }
    return result;
  }

  int64_t Begin(const std::vector<RescoredTask>& tasks) {
    Json settings = view_.cell.settings;
    for (const RescoredTask& task : tasks)
      settings["rescored"][task.task.spec().name] = HashOf(task.protocol);
    const int64_t cell =
        store_.PutCell({.model_id = view_.model.id, .method_id = view_.method.id, .settings = settings});
    return store_.BeginRun({.cell_id = cell,
                            .machine_id = view_.machine.id,
                            .build_id = store_.PutBuild(ThisBuild()),
                            .process = ::getpid(),
                            .command = request_.command});
  }

  void WriteQuality(int64_t run, std::vector<RescoredTask>& tasks, double seconds) {
    Json settings = quality_.settings;
    settings["rescored_from"] = view_.run.uuid;
    for (size_t i = 0; i < tasks.size(); ++i) {
      settings["tasks"][i]["protocol"] = HashOf(ItemProtocol(tasks[i].protocol));
    }
    const int64_t phase = store_.BeginPhase({.run_id = run, .name = "quality", .settings = settings});
    Recorder recorder(store_, run, phase, "rescored");
    const MessageSink sink = [&](const Json& message) { recorder.Take(message); };
    std::map<std::string, FinishedTask> finished;
    for (RescoredTask& task : tasks) {
      for (ItemRow& row : task.rows) row.phase_id = phase;
      store_.AddItems(task.rows);
      finished[task.task.spec().name] = ReportTask(task.task, task.protocol, task.scores, sink);
    }
    ReportGroups(settings, finished, sink);
    recorder.Finish();
    store_.FinishPhase(phase, {.reason = "rescored from " + Name(), .seconds = seconds});
  }

  const RescoreRequest& request_;
  Store& store_;
  RunView view_;
  PhaseRow quality_;
  std::map<std::string, Json> protocols_;  // by task
  std::map<std::string, TaskSpec> specs_;  // given ones
};

}  // namespace

int64_t Rescore(const RescoreRequest& request, Store& store) { return Rescorer(request, store).Run(); }

}  // namespace tnb
