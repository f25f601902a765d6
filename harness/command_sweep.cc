#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "harness/estimate.h"
#include "harness/sweep.h"
#include "methods/recipe.h"
#include "reports/report.h"

namespace tnb {
namespace {

struct SweepOptions {
  std::string spec;
  double max_hours = 0;
  bool dry_run = false;
  RunOptions run;
};

// The blocks of the file; without one, a single block made of the other options alone.
std::vector<RunRequest> Requests(const SweepOptions& options) {
  const std::vector<std::string> extra = options.run.given();
  if (options.spec.empty()) {
    if (extra.empty()) {
      throw Error(ErrorKind::kUsage, "nothing to sweep", "give a sweep file, or --method and --model lists");
    }
    return SweepRequests(Json::array({Json::object()}), extra, "the command line");
  }
  const Json spec = ReadJsonFile(options.spec);
  for (const auto& [key, unused] : spec.items()) {
    if (key != "sweep" && key != "about" && key != "cells") {
      throw Error(ErrorKind::kData,
                  {"unknown field", "sweep, about, cells", "'" + key + "'", options.spec, ""});
    }
  }
  return SweepRequests(Require<Json>(spec, "cells", options.spec), extra, options.spec);
}

int DryRun(const SweepOptions& options, const std::vector<Plan>& plans) {
  std::optional<Store> store;
  if (std::filesystem::exists(options.run.db())) store.emplace(Store::OpenReadOnly(options.run.db()));
  std::vector<CellEstimate> cells;
  for (const Plan& plan : plans) {
    for (CellEstimate& cell : EstimatePlan(plan, store ? &*store : nullptr)) cells.push_back(std::move(cell));
  }
  if (options.run.json()) {
    std::cout << EstimateJson(cells).dump(2) << "\n";
  } else {
    std::cout << EstimateText(cells);
  }
  return 0;
}

int Sweep(const SweepOptions& options) {
  if (!(options.max_hours >= 0)) {
    throw Error(ErrorKind::kUsage,
                {"value out of range", "0 (no limit) or more hours", "", "--max-hours", ""});
  }
  const std::vector<Plan> plans = PlanSweep(Requests(options));
  if (options.dry_run) return DryRun(options, plans);
  Store store = Store::Open(options.run.db());
  const SweepResult result = RunSweep(plans, store, options.max_hours);
  if (!result.driver.runs.empty()) {
    ReportOptions report;
    report.filter.ids = result.driver.runs;
    const std::string& base = plans.front().request.base;
    if (!base.empty()) report.base_method = ParseRecipe(base).text;
    report.width = TerminalWidth();
    std::cout << RenderReport(store, report,
                              options.run.json() ? ReportFormat::kJson : ReportFormat::kMarkdown);
  }
  if (!result.remaining.empty()) {
    std::cerr << result.remaining.size() << " cells remain"
              << (result.driver.interrupted ? "" : " (--max-hours is over)")
              << "; the same command goes on with them:\n";
    for (const PlannedCell& cell : result.remaining) {
      std::cerr << "  " << cell.subject->name << " " << cell.label << "\n";
    }
  }
  if (result.driver.interrupted) return 130;
  return result.driver.failed ? 1 : 0;
}

}  // namespace

std::function<int()> DeclareSweep(OptionList& command) {
  auto options = std::make_shared<SweepOptions>();
  options->run = DeclareRunOptions(command);
  command.Add("spec", options->spec, "sweep file (JSON); further options apply to all its blocks, and win");
  command.Add("--max-hours", options->max_hours, "no new cell begins after this; 0: no limit").ShowDefault();
  command.Flag("--dry-run", options->dry_run, "measure nothing: list the cells, and how long they will take");
  return [options] { return Sweep(*options); };
}

}  // namespace tnb
