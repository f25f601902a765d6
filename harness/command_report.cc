#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "methods/recipe.h"
#include "records/store.h"
#include "reports/report.h"

namespace tnb {
namespace {

struct Options {
  std::string db = "tnbench.db", format = "md", model, method, base, runs;
  bool json = false;
};

std::vector<int64_t> RunIds(const std::string& text) {
  std::vector<int64_t> ids;
  for (const std::string& part : SplitList(text, "--runs")) {
    int64_t id = 0;
    if (!CLI::detail::lexical_cast(part, id)) {
      throw Error(ErrorKind::kUsage, {"not a run", "numbers, 3,5", "'" + part + "'", "--runs", ""});
    }
    ids.push_back(id);
  }
  return ids;
}

int Report(const Options& options) {
  const ReportFormat format = options.json ? ReportFormat::kJson : ReportFormatFrom(options.format);
  ReportOptions report;
  report.filter.model = options.model;
  if (!options.method.empty()) report.filter.method = ParseRecipe(options.method).text;
  if (!options.base.empty()) report.base_method = ParseRecipe(options.base).text;
  if (!options.runs.empty()) report.filter.ids = RunIds(options.runs);
  report.width = TerminalWidth();
  const Store store = Store::OpenReadOnly(options.db);
  std::cout << RenderReport(store, report, format);
  return 0;
}

}  // namespace

std::function<int()> DeclareReport(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--db", options->db, "results database")->capture_default_str();
  app.add_option("--format", options->format, "md, text, csv or json")->capture_default_str();
  app.add_flag("--json", options->json, "short for --format json");
  app.add_option("--model", options->model, "only this model");
  app.add_option("--method", options->method, "only this method");
  app.add_option("--baseline", options->base, "method of the base row (default: the uncompressed one)");
  app.add_option("--runs", options->runs, "only these runs: 3,5 (default: the newest of each cell)");
  return [options] { return Report(*options); };
}

}  // namespace tnb
