#include <algorithm>
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

struct Options {
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

RunRequest RequestOf(const Store& store, const RunView& view, const Options& options) {
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
  request.device = Require<std::string>(settings, "device", where);
  request.threads = Require<int>(settings, "threads", where);
  request.repetitions = Require<int>(settings, "repetitions", where);
  request.base.clear();
  request.force = true;
  request.phases =
      options.phases.empty() ? FinishedPhases(store, view.run.id) : SplitList(options.phases, "--phases");
  // Without its base there is no drift.
  std::erase(request.phases, "drift");
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

int Rerun(const Options& options) {
  if (!(options.tolerance >= 0)) {
    throw Error(ErrorKind::kUsage, {"value out of range", "0 or more", "", "--tolerance", ""});
  }
  Store store = Store::Open(options.db);
  const RunView view = store.Run(options.run);
  const Plan plan = ExpandCells(RequestOf(store, view, options));
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

std::function<int()> DeclareRerun(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("run", options->run, "run number")->required();
  app.add_option("--db", options->db, "results database")->capture_default_str();
  app.add_option("--data-dir", options->data_dir, "folder of the datasets (default: as the run had it)");
  app.add_option("--phases", options->phases, "only these (default: those that the run finished)");
  app.add_option("--tolerance", options->tolerance, "of log-likelihoods, to be called numerically equal")
      ->capture_default_str();
  app.add_flag("--json", options->json, "print JSON");
  return [options] { return Rerun(*options); };
}

}  // namespace tnb
