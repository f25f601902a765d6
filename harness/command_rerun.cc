#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "harness/driver.h"
#include "harness/phase.h"
#include "harness/plan.h"
#include "models/known.h"
#include "reports/reproduction.h"

namespace tnb {
namespace {

struct RerunOptions {
  int64_t run = 0;
  std::string db = "tnbench.db", data_dir, phases;
  double tolerance = 1e-3;
  bool json = false;
};

template <typename T>
std::optional<T> Setting(const Json& settings, const char* key) {
  if (!settings.contains(key) || settings.at(key).is_null()) return std::nullopt;
  return Require<T>(settings, key, "the run's settings");
}

// What the row does not hold as settings (folders, time limit) is taken from its command line.
RunRequest FromCommand(const RunView& view) {
  const std::vector<std::string> words = ShellWords(view.run.command);
  if (words.size() < 2 || (words[1] != "run" && words[1] != "eval")) return {};
  try {
    return ParseRunArguments({words.begin() + 2, words.end()}, "the run's command line");
  } catch (const Error& error) {
    std::cerr << "the run's command line is not understood any more: " << error.what() << "\n";
    return {};
  }
}

std::optional<PhaseRow> FinishedPhase(const Store& store, int64_t run, const std::string& name) {
  for (const PhaseRow& phase : store.Phases(run)) {
    if (phase.name == name && phase.status == PhaseStatus::kOk) return phase;
  }
  return std::nullopt;
}

// The phases that the run finished.
std::vector<std::string> FinishedPhases(const Store& store, int64_t run) {
  std::vector<std::string> names;
  for (const PhaseRow& phase : store.Phases(run)) {
    const auto& known = Phases();
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const PhaseEntry& entry) { return entry.name == phase.name; });
    if (phase.status == PhaseStatus::kOk && is_known) names.push_back(phase.name);
  }
  if (names.empty()) {
    throw Error(ErrorKind::kData,
                "run " + std::to_string(run) + " finished no phase: there is nothing to reproduce",
                "tnbench show " + std::to_string(run) + " says why");
  }
  return names;
}

// Drift is measured from the base that the run had: itself, or the method that its command line names.
void RestoreDrift(const Store& store, const RunView& view, RunRequest& request) {
  const auto drift = FinishedPhase(store, view.run.id, "drift");
  if (!drift) std::erase(request.phases, "drift");
  if (std::count(request.phases.begin(), request.phases.end(), "drift") == 0) {
    request.base.clear();
    return;
  }
  const std::string where = "the settings of the run's drift";
  request.drift_tokens = Require<int64_t>(drift->settings, "tokens", where);
  const auto own = Require<std::string>(drift->settings, "artefact", where);
  if (Require<std::string>(drift->settings, "base", where) == own) request.base = view.method.text;
}

// Programs that had no --max-length cut every input at 2048 tokens; the phase's own settings tell.
std::optional<int64_t> MaxLengthOf(const Store& store, const RunView& view) {
  if (const auto given = Setting<int64_t>(view.cell.settings, "max_length")) return given;
  const auto quality = FinishedPhase(store, view.run.id, "quality");
  if (!quality) return std::nullopt;
  const auto used =
      Require<int64_t>(quality->settings, "context_length", "the settings of the run's quality");
  const auto own = Require<int64_t>(view.model.config, "context_length", "the run's model");
  return used < own ? std::optional(used) : std::nullopt;
}

RunRequest RequestOf(const Store& store, const RunView& view, const RerunOptions& options) {
  RunRequest request = FromCommand(view);
  const Json& settings = view.cell.settings;
  const std::string where = "the run's settings";
  request.random_weights = Optional<std::string>(settings, "weights", "checkpoint", where) == "random";
  const bool by_name =
      FindKnown(view.model.name) != nullptr && (request.random_weights || view.model.path.empty());
  request.models = {by_name ? view.model.name : view.model.path};
  if (request.models.front().empty()) request.models = {view.model.name};
  request.methods = view.method.text;
  request.tasks = Require<std::vector<std::string>>(settings, "tasks", where);
  request.limit = Setting<int64_t>(settings, "limit");
  request.num_fewshot = Setting<int64_t>(settings, "num_fewshot");
  request.seed = Setting<int64_t>(settings, "seed");
  request.fewshot_compat = Optional<std::string>(settings, "fewshot_compat", request.fewshot_compat, where);
  request.max_length = MaxLengthOf(store, view);
  request.device = Require<std::string>(settings, "device", where);
  request.threads = Require<int>(settings, "threads", where);
  request.repetitions = Require<int>(settings, "repetitions", where);
  request.force = true;
  request.phases =
      options.phases.empty() ? FinishedPhases(store, view.run.id) : SplitList(options.phases, "--phases");
  RestoreDrift(store, view, request);
  if (!options.data_dir.empty()) request.data_dir = options.data_dir;
  request.command = "tnbench rerun " + std::to_string(view.run.id) + " --db " + ShellQuoted(options.db);
  return request;
}

// Settings that an older or newer program knew and this one does not restore.
void SayUnrestored(const Json& stored, const Json& now) {
  Json both = stored;
  both.update(now);
  for (const auto& [key, unused] : both.items()) {
    const Json was = stored.value(key, Json()), is = now.value(key, Json());
    if (was != is) std::cerr << "setting " << key << " is " << is << ", was " << was << " in the run\n";
  }
}

// The base's artefact: compressed again only where its file is gone. No run is added where the record has
// one.
ArtefactRow BaseArtefact(const Plan& plan, const PlannedCell& base, Store& store) {
  Plan only = plan;
  only.cells = {base};
  only.request.phases = {"compress"};
  for (const bool force : {false, true}) {
    only.request.force = force;
    const DriverResult result = RunPlan(only, store);
    if (result.failed || result.interrupted || result.runs.empty()) break;
    const auto compress = FinishedPhase(store, result.runs.front(), "compress");
    const auto artefact = compress ? store.Artefact(compress->data_id) : std::nullopt;
    std::error_code ignored;
    if (artefact && std::filesystem::exists(artefact->path, ignored)) return *artefact;
  }
  throw Error(ErrorKind::kData, "the base, from which drift is measured, could not be compressed again",
              "--phases without drift reproduces the rest");
}

// Takes the base's cell out of the plan, so that nothing but the run itself is measured again.
void SetBase(const RunView& view, Plan& plan, Store& store) {
  const auto base = std::find_if(plan.cells.begin(), plan.cells.end(),
                                 [&](const PlannedCell& cell) { return cell.method != view.method.text; });
  if (base == plan.cells.end()) return;
  plan.base_artefact = BaseArtefact(plan, *base, store);
  plan.cells.erase(base);
  const Json settings = FinishedPhase(store, view.run.id, "drift")->settings;
  if (settings.at("base") != plan.base_artefact.sha256) {
    std::cerr << "drift is measured from another artefact of " << plan.base << " than in run " << view.run.id
              << "\n";
  }
  if (settings.at("text") != plan.drift_text) {
    std::cerr << "the text of the drift is not that of run " << view.run.id << "\n";
  }
}

int Rerun(const RerunOptions& options) {
  if (!(options.tolerance >= 0)) {
    throw Error(ErrorKind::kUsage, {"value out of range", "0 or more", "", "--tolerance", ""});
  }
  Store store = Store::Open(options.db);
  const RunView view = store.Run(options.run);
  Plan plan = ExpandCells(RequestOf(store, view, options));
  SetBase(view, plan, store);
  if (plan.cells.size() != 1) throw Error(ErrorKind::kInternal, "a run became several cells");
  SayUnrestored(view.cell.settings, CellSettings(plan.request));
  if (plan.cells.front().subject->hash != view.model.hash) {
    std::cerr << "the model's weights are not those of run " << view.run.id << "\n";
  }
  const DriverResult result = RunPlan(plan, store);
  if (result.interrupted || result.runs.empty()) return 130;
  const Reproduction reproduction = CompareRuns(store, options.run, result.runs.front(), options.tolerance);
  if (options.json) {
    Json json = ToJson(reproduction);
    json["first"] = options.run;
    json["second"] = result.runs.front();
    std::cout << json.dump(2) << "\n";
  } else {
    std::cout << "run " << options.run << " again as run " << result.runs.front() << ": "
              << ReproductionText(reproduction);
  }
  const bool same = reproduction.verdict == ReproductionVerdict::kReproduced ||
                    reproduction.verdict == ReproductionVerdict::kNumericallyEqual;
  return same ? 0 : 1;
}

}  // namespace

std::function<int()> DeclareRerun(OptionList& command) {
  auto options = std::make_shared<RerunOptions>();
  command.Add("run", options->run, "run number").Required();
  command.Add("--db", options->db, "results database").ShowDefault();
  command.Add("--data-dir", options->data_dir, "folder of the datasets (default: as the run had it)");
  command.Add("--phases", options->phases, "only these (default: those that the run finished)");
  command.Add("--tolerance", options->tolerance, "of log-likelihoods, to be called numerically equal")
      .ShowDefault();
  command.Flag("--json", options->json, "print JSON");
  return [options] { return Rerun(*options); };
}

}  // namespace tnb
