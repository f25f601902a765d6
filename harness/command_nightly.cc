#include <iostream>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "harness/command.h"
#include "harness/facts.h"
#include "harness/metric_shapes.h"
#include "harness/plan.h"
#include "harness/sweep.h"
#include "methods/recipe.h"
#include "reports/night.h"

namespace tnb {
namespace {

struct NightlyOptions {
  std::string suite, summary, junit, accept, reason;
  double max_hours = 0;
  bool no_run = false;
  RunOptions run;
};

void CheckFields(const Json& json, const std::set<std::string>& allowed, const std::string& where) {
  if (!json.is_object()) throw Error(ErrorKind::kData, {"not an object", "{...}", "", where, ""});
  for (const auto& [key, unused] : json.items()) {
    if (allowed.count(key) != 0) continue;
    std::string known;
    for (const std::string& name : allowed) known += (known.empty() ? "" : ", ") + name;
    throw Error(ErrorKind::kData, {"unknown field", known, "'" + key + "'", where, ""});
  }
}

NightLimit LimitFromJson(const Json& json, const std::string& where) {
  CheckFields(json, {"series", "method", "least", "most"}, where);
  NightLimit limit{.series = Require<std::string>(json, "series", where)};
  const auto method = Optional<std::string>(json, "method", "", where);
  if (!method.empty()) limit.method = ParseRecipe(method).text;
  if (json.contains("least")) limit.least = Require<double>(json, "least", where);
  if (json.contains("most")) limit.most = Require<double>(json, "most", where);
  if (!limit.least && !limit.most)
    throw Error(ErrorKind::kData, {"a limit without a number", "least or most", "", where, ""});
  return limit;
}

NightOptions OptionsFromJson(const Json& suite, const std::string& where) {
  CheckFields(suite,
              {"suite", "about", "cells", "nights", "history", "least_history", "alpha", "accuracy_alpha",
               "watch", "limits"},
              where);
  NightOptions options;
  options.shapes = ShapeOfMetric;
  options.suite = Require<std::string>(suite, "suite", where);
  const auto count = [&](const char* key, size_t fallback) {
    const auto value = Optional<int64_t>(suite, key, static_cast<int64_t>(fallback), where);
    if (value < 0)
      throw Error(ErrorKind::kData, {"field is negative", "1 or more", std::to_string(value), where, key});
    return static_cast<size_t>(value);
  };
  options.watch.nights = count("nights", options.watch.nights);
  options.watch.history = count("history", options.watch.history);
  options.watch.least_history = count("least_history", options.watch.least_history);
  options.watch.alpha = Optional<double>(suite, "alpha", options.watch.alpha, where);
  options.accuracy_alpha = Optional<double>(suite, "accuracy_alpha", options.accuracy_alpha, where);
  CheckWatchOptions(options.watch);
  for (const Json& entry : Optional<Json>(suite, "watch", Json::array(), where)) {
    const std::string place = where + ", watch";
    CheckFields(entry, {"series", "better", "floor"}, place);
    const auto better = Require<std::string>(entry, "better", place);
    if (better != "higher" && better != "lower") {
      throw Error(ErrorKind::kData, {"unknown direction", "higher or lower", "'" + better + "'", place, ""});
    }
    WatchedSeries series{.series = Require<std::string>(entry, "series", place),
                         .higher_is_better = better == "higher"};
    series.floor = Optional<double>(entry, "floor", series.floor, place);
    WatchOptions check = options.watch;
    check.floor = series.floor;
    CheckWatchOptions(check);
    options.series.push_back(series);
  }
  for (const Json& entry : Optional<Json>(suite, "limits", Json::array(), where)) {
    options.limits.push_back(LimitFromJson(entry, where + ", limits"));
  }
  return options;
}

// Without measuring: the newest run of each cell of the suite on this machine.
std::vector<int64_t> NewestRuns(const std::vector<Plan>& plans, const Store& store) {
  const std::string machine = HashOf(ThisMachine().facts);
  std::vector<int64_t> chosen;
  for (const Plan& plan : plans) {
    const Json settings = CellSettings(plan.request);
    for (const PlannedCell& cell : plan.cells) {
      int64_t newest = 0;
      for (const RunView& view : store.Runs({.method = cell.method})) {
        if (view.model.hash == cell.subject->hash && view.machine.hash == machine &&
            view.cell.settings == settings && view.run.status != RunStatus::kRunning) {
          newest = view.run.id;
        }
      }
      if (newest == 0) {
        throw Error(ErrorKind::kData, cell.subject->name + " " + cell.label + " has no run in this database",
                    "leave --no-run out");
      }
      chosen.push_back(newest);
    }
  }
  return chosen;
}

int Nightly(const NightlyOptions& options) {
  const bool accepting = !options.accept.empty();
  if (accepting != !options.reason.empty()) {
    throw Error(ErrorKind::kUsage, "--accept and --reason go together",
                "tnbench nightly SUITE --accept speed.decode_64 --reason 'slower, but exact'");
  }
  const Json suite = ReadJsonFile(options.suite);
  const NightOptions night_options = OptionsFromJson(suite, options.suite);
  std::vector<RunRequest> requests =
      SweepRequests(Require<Json>(suite, "cells", options.suite), options.run.given(), options.suite);
  for (RunRequest& request : requests) request.force = true;  // a night measures
  const std::vector<Plan> plans = PlanSweep(requests);
  Store store = Store::Open(options.run.db());
  SweepResult result;
  if (options.no_run || accepting) {  // what nobody has seen yet cannot be accepted
    result.driver.runs = NewestRuns(plans, store);
  } else {
    result = RunSweep(plans, store, options.max_hours);
  }
  if (result.driver.interrupted) return 130;  // half a night is none
  Night night = JudgeNight(store, result.driver.runs, night_options);
  if (accepting) {
    const std::vector<AcceptanceRow> rows =
        AcceptRegressions(night, night_options.suite, SplitList(options.accept, "--accept"), options.reason);
    store.Transaction([&] {
      for (const AcceptanceRow& row : rows) store.PutAcceptance(row);
    });
    night = JudgeNight(store, result.driver.runs, night_options);
  }
  store.Transaction([&] {
    for (const NightChange& change : night.changes) store.PutChangePoint(change.row);
  });
  std::string summary = NightMarkdown(night_options, night);
  if (!result.remaining.empty()) {
    summary += "\nNot measured, --max-hours was over:\n\n";
    for (const PlannedCell& cell : result.remaining)
      summary += "- " + cell.subject->name + " " + cell.label + "\n";
  }
  if (!options.summary.empty()) WriteFileAtomically(options.summary, summary);
  if (!options.junit.empty()) WriteFileAtomically(options.junit, NightJUnit(night_options, night));
  std::cout << summary;
  if (result.driver.failed) return 1;
  return NightExitCode(night);
}

}  // namespace

std::function<int()> DeclareNightly(OptionList& command) {
  auto options = std::make_shared<NightlyOptions>();
  options->run = DeclareRunOptions(command);
  command
      .Add("suite", options->suite,
           "suite file (JSON): cells, what is watched, limits; further options apply to all cells")
      .Required();
  command.Add("--summary", options->summary, "also write the summary (Markdown) to this file");
  command.Add("--junit", options->junit, "write JUnit XML to this file");
  command.Add("--max-hours", options->max_hours, "no new cell begins after this; 0: no limit").ShowDefault();
  command.Flag("--no-run", options->no_run, "measure nothing, judge the newest run of each cell");
  command.Add("--accept", options->accept,
              "measure nothing, and record that these regressions of the newest runs are meant so "
              "(speed.decode_64,... or all): later nights are compared with their level");
  command.Add("--reason", options->reason, "with --accept: why, for the record");
  return [options] { return Nightly(*options); };
}

}  // namespace tnb
