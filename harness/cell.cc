#include "harness/cell.h"

#include <ATen/Context.h>

#include <algorithm>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "harness/calibration.h"
#include "harness/drift.h"
#include "harness/phase.h"
#include "methods/recipe.h"
#include "models/checkpoint.h"
#include "models/known.h"

namespace tnb {
namespace {

// What the models are measured on when nothing is said; a path is as a known model of which nothing is said.
std::vector<std::string> DefaultTasks(const std::vector<std::string>& models) {
  std::vector<std::string> tasks;
  for (const std::string& model : models) {
    const KnownModel* known = FindKnown(model);
    for (const std::string& task : known != nullptr ? known->tasks : KnownModel().tasks)
      if (std::find(tasks.begin(), tasks.end(), task) == tasks.end()) tasks.push_back(task);
  }
  return tasks;
}

void CheckNumbers(RunRequest& request) {
  const auto check = [](const char* option, bool good, const std::string& expected, double found) {
    if (good) return;
    throw Error(ErrorKind::kUsage, {"value out of range", expected, Json(found).dump(), option, ""});
  };
  check("--limit", request.limit.value_or(1) >= 1, "1 or more",
        static_cast<double>(request.limit.value_or(1)));
  check("--num-fewshot", request.num_fewshot.value_or(0) >= 0, "0 or more",
        static_cast<double>(request.num_fewshot.value_or(0)));
  check("--max-length", request.max_length.value_or(1) >= 1, "1 or more tokens",
        static_cast<double>(request.max_length.value_or(1)));
  check("--threads", request.threads >= 0 && request.threads <= 1024, "0 to 1024", request.threads);
  check("--repetitions", request.repetitions >= 1 && request.repetitions <= 10000, "1 to 10000",
        request.repetitions);
  check("--drift-tokens", request.drift_tokens >= 2 && request.drift_tokens <= 1000000, "2 to 1000000",
        static_cast<double>(request.drift_tokens));
  check("--timeout", request.timeout >= 0, "0 (no limit) or more seconds", request.timeout);
  if (request.threads == 0)
    request.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

void CheckDevice(const std::string& device) {
  if (device == "cpu") return;
  if (device != "cuda") {
    throw Error(ErrorKind::kUsage, {"unknown device", "cpu or cuda", "'" + device + "'", "--device", ""});
  }
  if (!at::hasCUDA()) {
    throw Error(ErrorKind::kUnsupported,
                {"no CUDA here", "a LibTorch with CUDA and a graphics card that it can use", "",
                 "--device cuda", "leave --device out to run on the processor"});
  }
}

// The shape of a known model does without its files; anything else must be there.
std::shared_ptr<const Subject> RandomSubject(const std::string& name, int64_t seed) {
  auto subject = std::make_shared<Subject>();
  subject->name = name;
  subject->random = true;
  if (const KnownModel* known = FindKnown(name)) {
    subject->config = known->config;
  } else {
    const ResolvedModel resolved = ResolveModel(name);
    subject->name = resolved.name;
    subject->config = resolved.config;
  }
  const Json identity = {{"random_weights", seed}, {"config", ToJson(subject->config)}};
  subject->hash = Sha256Hex(identity.dump());
  return subject;
}

std::shared_ptr<const Subject> FileSubject(const std::string& name, bool chat) {
  const ResolvedModel resolved = ResolveModel(name, /*fetch_missing=*/true);
  const std::unique_ptr<Checkpoint> checkpoint = OpenCheckpoint(resolved.path);
  auto subject = std::make_shared<Subject>();
  subject->name = resolved.name;
  subject->path = std::filesystem::absolute(resolved.path).lexically_normal().string();
  subject->hash = checkpoint->ContentHash();
  subject->config = checkpoint->config();
  subject->file_bytes = static_cast<int64_t>(checkpoint->FileBytes());
  if (checkpoint->tokenizer().kind != TokenizerSource::Kind::kNone) {
    subject->tokenizer = LoadTokenizer(checkpoint->tokenizer());
    if (chat) subject->chat = LoadChatTemplate(checkpoint->tokenizer(), *subject->tokenizer);
  }
  return subject;
}

// Every method once, base first; (canonical, label).
std::vector<std::pair<std::string, std::string>> Methods(const RunRequest& request) {
  std::vector<std::string> labels = SplitMethodList(request.methods);
  if (labels.empty()) throw Error(ErrorKind::kUsage, "no method given", "tnbench list methods");
  if (!request.base.empty()) labels.insert(labels.begin(), request.base);
  std::vector<std::pair<std::string, std::string>> methods;
  const auto add = [&](const std::string& canonical, const std::string& label) {
    const bool known = std::any_of(methods.begin(), methods.end(),
                                   [&](const auto& method) { return method.first == canonical; });
    if (!known) methods.emplace_back(canonical, label);
  };
  for (const std::string& label : labels) {
    const Recipe recipe = ParseRecipe(label);
    const std::string control = request.control ? ControlRecipe(recipe) : "";
    if (!control.empty()) add(control, ShortRecipe(control));
    add(recipe.text, label);
  }
  return methods;
}

// Texts that methods are calibrated on must be there, and not be what the methods are measured on.
void CheckCalibration(const Plan& plan, const std::vector<std::pair<std::string, std::string>>& methods,
                      const std::filesystem::path& data_dir) {
  for (const auto& [canonical, label] : methods) {
    for (const CalibrationText& text : CalibrationTexts(canonical, data_dir)) {
      for (const auto& task : plan.tasks) {
        if (task->dataset().sha256 != text.sha256) continue;
        throw Error(ErrorKind::kUsage,
                    {"a method would be calibrated on the items of a task", "a text of its own",
                     task->spec().name, text.path, "data=FILE of the method"});
      }
    }
  }
}

// The base's stored rows are bounded: 2 bytes a token and vocabulary entry.
void CheckDriftSize(const RunRequest& request, const ModelConfig& config) {
  constexpr int64_t kMost = int64_t{4} << 30;
  const int64_t bytes = BaseLogitsBytes(request.drift_tokens, config.vocabulary_size);
  if (bytes <= kMost) return;
  throw Error(ErrorKind::kUsage,
              {"the base model's log-probabilities would take more than 4 GiB",
               std::to_string(kMost / BaseLogitsBytes(1, config.vocabulary_size)) + " tokens at most",
               std::to_string(request.drift_tokens), "--drift-tokens", ""});
}

}  // namespace

int64_t ScoringContext(const ModelConfig& config, std::optional<int64_t> max_length) {
  return std::min(config.context_length, max_length.value_or(config.context_length));
}

Plan ExpandCells(RunRequest request) {
  CheckNumbers(request);
  CheckDevice(request.device);
  for (const std::string& phase : request.phases) FindPhase(phase);
  if (request.phases.empty()) {
    for (const PhaseEntry& phase : Phases()) request.phases.push_back(phase.name);
  }
  if (request.artefacts.empty()) request.artefacts = CacheFolder() / "artefacts";
  request.artefacts = std::filesystem::absolute(request.artefacts).lexically_normal();
  if (!request.drift_text.empty()) {
    request.drift_text = std::filesystem::absolute(request.drift_text).lexically_normal();
  }
  if (!request.data_dir.empty()) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(request.data_dir, ignored)) {
      throw Error(ErrorKind::kIo, {"no such folder", "", request.data_dir.string(), "--data-dir", ""});
    }
    request.data_dir = std::filesystem::absolute(request.data_dir).lexically_normal();
  }
  Plan plan;
  const auto methods = Methods(request);
  const bool quality = std::count(request.phases.begin(), request.phases.end(), "quality") != 0;
  if (request.tasks.empty()) request.tasks = DefaultTasks(request.models);
  request.tasks = ExpandTaskNames(request.tasks);
  const TaskOptions options = {.data_dir = request.data_dir,
                               .limit = request.limit,
                               .num_fewshot = request.num_fewshot,
                               .fewshot_seed = request.seed,
                               .fewshot_compat = request.fewshot_compat,
                               .system_instruction = request.system_instruction,
                               .fewshot_as_multiturn = request.fewshot_as_multiturn};
  if (request.fewshot_as_multiturn && !request.apply_chat_template) {
    throw Error(ErrorKind::kUsage, "--fewshot-as-multiturn needs turns", "add --apply-chat-template");
  }
  const TaskSelection selection = SelectTasks(request.tasks);
  std::set<std::string> names;
  for (const std::string& name : selection.tasks) {
    TaskSpec spec = LoadTaskSpec(name);  // an unknown name is an error whatever the phases
    if (!names.insert(spec.name).second) {
      throw Error(ErrorKind::kUsage, {"task given twice", "", spec.name, "--tasks", ""});
    }
    if (!quality || request.random_weights) continue;
    plan.tasks.push_back(std::make_shared<const Task>(std::move(spec), options));
    plan.task_names.push_back(name);
  }
  if (!plan.tasks.empty()) plan.groups = selection.groups;
  CheckCalibration(plan, methods, request.data_dir);
  for (const std::string& model : request.models) {
    const auto subject = request.random_weights ? RandomSubject(model, request.seed.value_or(0))
                                                : FileSubject(model, request.apply_chat_template);
    for (const auto& [canonical, label] : methods) plan.cells.push_back({subject, canonical, label});
  }
  if (!request.base.empty()) plan.base = ParseRecipe(request.base).text;
  const bool drift = std::count(request.phases.begin(), request.phases.end(), "drift") != 0;
  if (drift && !request.random_weights && !plan.base.empty()) {
    plan.drift_text = LoadDriftText(request.drift_text, request.data_dir).sha256;
    for (const PlannedCell& cell : plan.cells) CheckDriftSize(request, cell.subject->config);
  }
  plan.request = std::move(request);
  return plan;
}

}  // namespace tnb
