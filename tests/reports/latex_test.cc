// Tables for papers: escaping, bold only where it is deserved, and that pdflatex takes them.
#include <cstdlib>
#include <iostream>

#include "base/files.h"
#include "reports/compare.h"
#include "reports/report.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;

// A run whose "arc" items are right up to `right` of 400.
int64_t AddItems(Store& store, const std::string& method, int right, const std::string& model = "nano") {
  const int64_t run = BeginSampleRun(store, method, {{"seed", 1}}, model);
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  std::vector<ItemRow> items;
  for (int i = 0; i < 400; ++i) {
    items.push_back(
        {.phase_id = quality, .task = "arc", .doc_index = i, .scores = {{"acc", i < right ? 1.0 : 0.0}}});
  }
  store.AddItems(items);
  store.AddMetric(
      {.phase_id = quality,
       .name = "acc",
       .task = "arc",
       .filter = "none",
       .value = right / 400.0,
       .unit = "fraction",
       .n = 400,
       .se = 0.02,
       .main = true,
       .protocol_id = store.PutProtocol({.name = "arc_0-shot & 5 %", .content = {{"shots", 0}}})});
  store.FinishPhase(quality, {});
  store.FinishRun(run, RunStatus::kOk);
  return run;
}

TEST_CASE("LaTeX: booktabs, bold only where the best is surely better than every other row") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddItems(store, "fp32", 300);
  AddItems(store, "int8", 250);
  ReportOptions options;
  options.mark_best = true;
  const std::string clear = RenderReport(store, options, ReportFormat::kLatex);
  CHECK_THAT(clear, Contains("\\toprule") && Contains("\\textbf{75.0") && Contains("abc1234") &&
                        Contains("arc\\_0-shot \\& 5 \\%") && Contains("laptop") && Contains("bold: better"));
  CHECK(clear.find("\\textbf{62.5") == std::string::npos);
  AddItems(store, "bf16", 298);  // two items: cannot be told from fp32
  CHECK(RenderReport(store, options, ReportFormat::kLatex).find("\\textbf{7") == std::string::npos);
}

TEST_CASE("LaTeX's special characters are escaped, and those without a glyph named") {
  CHECK(EscapeLatex("a_b & 5 % #1 {x} $ ~ ^ \\") ==
        "a\\_b \\& 5 \\% \\#1 \\{x\\} \\$ \\textasciitilde{} \\textasciicircum{} \\textbackslash{}");
  CHECK(EscapeLatex("1 \u00b1 2 \u00d7 3") == "1 $\\pm$ 2 $\\times$ 3");
  CHECK(EscapeLatex("na\u00efve \u4e2d \u0105 \u00f0") == "na\u00efve U+4E2D U+0105 U+00F0");
  CHECK(EscapeLatex("\xff\x01") == "??");
}

// pdflatex with booktabs; where it is missing the test is shown as skipped.
bool HasLatex() {
  if (std::system("command -v pdflatex > /dev/null && kpsewhich booktabs.sty > /dev/null") == 0) return true;
  std::cerr
      << "SKIPPED: pdflatex or booktabs.sty is not installed; whether the tables compile is not tested\n";
  return false;
}

TEST_CASE("pdflatex compiles the tables") {
  if (!HasLatex()) return;
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const std::string odd = "m\u00f6del_%&#{}^~\\$<|> \u4e2d \xff";
  const int64_t a = AddItems(store, "fp32", 300, odd);
  const int64_t b = AddItems(store, "int8:act=int8,group=row@attn/mlp+re(x|y)", 250, odd);
  std::string tables;
  for (const ReportPivot pivot : {ReportPivot::kMethod, ReportPivot::kModel, ReportPivot::kTask}) {
    ReportOptions options;
    options.mark_best = true;
    options.pivot = pivot;
    options.width = 60;
    tables += RenderReport(store, options, ReportFormat::kLatex);
  }
  const ComparedSide first = {.label = "fp32", .store = &store, .runs = store.Runs({.ids = {a}})};
  const ComparedSide second = {.label = "int8", .store = &store, .runs = store.Runs({.ids = {b}})};
  const CompareOptions compare;
  tables += RenderTables(CompareTables(CompareSides(first, second, compare), first, second, compare),
                         ReportFormat::kLatex, 100);
  WriteFileAtomically(
      folder / "t.tex",
      "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + tables + "\\end{document}\n");
  const std::string command =
      "cd '" + folder.path().string() + "' && pdflatex -halt-on-error t.tex > log.txt 2>&1";
  const int code = std::system(command.c_str());
  INFO(tables << ReadFile(folder / "log.txt"));
  CHECK(code == 0);
}

}  // namespace
}  // namespace tnb
