#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "harness/metric_shapes.h"
#include "methods/recipe.h"
#include "records/store.h"
#include "reports/report.h"

namespace tnb {
namespace {

constexpr int kPageWidth = 100;  // characters of footnote size that a page of a paper holds

struct CommandReportOptions {
  std::string db = "tnbench.db", format = "md", model, method, base, runs, tasks, since, pivot = "method";
  bool json = false, full_names = false;
  double alpha = 0.05;
  double loss = 0;  // 0: not given
  int width = 0;
};

std::vector<int64_t> RunIds(const std::string& text) {
  std::vector<int64_t> ids;
  for (const std::string& part : SplitList(text, "--runs")) {
    int64_t id = 0;
    if (!ParseInteger(part, id)) {
      throw Error(ErrorKind::kUsage, {"not a run", "numbers, 3,5", "'" + part + "'", "--runs", ""});
    }
    ids.push_back(id);
  }
  return ids;
}

int Report(const CommandReportOptions& options) {
  const ReportFormat format = options.json ? ReportFormat::kJson : ReportFormatFrom(options.format);
  ReportOptions report;
  report.filter.model = options.model;
  if (!options.method.empty()) report.filter.method = ParseRecipe(options.method).text;
  if (!options.base.empty()) report.base_method = ParseRecipe(options.base).text;
  if (!options.runs.empty()) report.filter.ids = RunIds(options.runs);
  report.filter.since = options.since;
  report.tasks = SplitList(options.tasks, "--task");
  report.pivot = ReportPivotFrom(options.pivot);
  if (!options.full_names) report.label = ShortRecipe;
  report.mark_best = format == ReportFormat::kLatex;
  report.alpha = options.alpha;
  report.shapes = ShapeOfMetric;
  if (options.loss > 0) report.loss = options.loss;
  report.width = options.width > 0                ? options.width
                 : format == ReportFormat::kLatex ? kPageWidth
                                                  : TerminalWidth();
  const Store store = Store::OpenReadOnly(options.db);
  std::cout << RenderReport(store, report, format);
  return 0;
}

}  // namespace

std::function<int()> DeclareReport(OptionList& command) {
  auto options = std::make_shared<CommandReportOptions>();
  command.Add("--db", options->db, "results database").ShowDefault();
  command.Add("--format", options->format, "md, text, csv, json, latex or html").ShowDefault();
  command.Flag("--json", options->json, "short for --format json");
  command.Add("--model", options->model, "only this model");
  command.Add("--method", options->method, "only this method");
  command.Add("--baseline", options->base, "method of the base row (default: the uncompressed one)");
  command.Add("--task", options->tasks, "only the columns of these tasks, comma-separated");
  command.Add("--since", options->since, "only runs that began at or after this time (UTC): 2026-01-31");
  command
      .Add("--pivot", options->pivot,
           "method: a row a method; model: a row a model; task: a row a number, a column a method")
      .ShowDefault();
  command.Flag("--full-names", options->full_names, "canonical methods in the tables, not in notes");
  command.Add("--alpha", options->alpha, "LaTeX: error rate of what is printed in bold")
      .Between(1e-6, 0.5)
      .ShowDefault();
  command
      .Add("--loss", options->loss,
           "training tables: seconds and tokens until this loss (default: the largest final one)")
      .Between(1e-9, 1e9);
  command.Add("--width", options->width,
              "split tables to this many characters (default: the terminal's; LaTeX: 100)");
  command.Add("--runs", options->runs, "only these runs: 3,5 (default: the newest of each cell)");
  return [options] { return Report(*options); };
}

}  // namespace tnb
