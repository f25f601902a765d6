#include "reports/quality_notes.h"

#include <cmath>

#include "reports/report.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

RunData Run(const std::string& method, const std::vector<MetricRow>& metrics) {
  RunData run;
  run.view.method.text = method;
  for (const MetricRow& row : metrics) run.metrics.emplace_back("quality", row);
  return run;
}

MetricRow Metric(const std::string& task, const std::string& name, double value, bool main = false,
                 std::optional<double> se = std::nullopt, const std::string& unit = "fraction") {
  return {.name = name,
          .task = task,
          .filter = "none",
          .value = value,
          .unit = unit,
          .n = 50,
          .se = se,
          .main = main};
}

}  // namespace

TEST_CASE("pitfall 18: short, long and empty summaries are flagged") {
  const auto run = [](const std::string& method, double tokens, double empty) {
    return Run(method, {Metric("xsum", "generated_tokens", tokens, false, {}, "tokens"),
                        Metric("xsum", "empty", empty)});
  };
  const RunData base = run("fp32@all", 40, 0), close = run("int8", 44, 0), longer = run("mpo", 44.1, 0),
                shorter = run("svd", 35.9, 0), silent = run("int4", 0, 1);
  CHECK(TextNotes({&base, &close}, &base).empty());  // 10 % is inside
  const auto notes = TextNotes({&base, &close, &longer, &shorter, &silent}, &base);
  REQUIRE(notes.size() == 4);
  CHECK_THAT(notes[0], Contains("LENGTH: xsum, mpo") && Contains("44.1") && Contains("40.0"));
  CHECK_THAT(notes[1], Contains("LENGTH: xsum, svd"));
  CHECK_THAT(notes[2] + notes[3], Contains("LENGTH: xsum, int4") && Contains("EMPTY TEXTS: xsum, int4") &&
                                      Contains("100.0 % of 50"));
  // A base that says nothing is flagged as well, and gives no reference.
  const RunData mute = run("fp32@all", 0, 1), speaking = run("int8", 5, 0);
  const auto muted = TextNotes({&mute, &speaking}, &mute);
  REQUIRE(muted.size() == 2);
  CHECK_THAT(muted[0], Contains("EMPTY TEXTS: xsum, fp32@all"));
  CHECK_THAT(muted[1], Contains("LENGTH: xsum, int8"));
  CHECK(TextNotes({&silent}, nullptr).size() == 1);
}

TEST_CASE("the accuracy score is the mean ratio of the main scores") {
  const RunData base =
      Run("fp32@all", {Metric("a", "acc", 0.5, true, 0.05), Metric("b", "acc", 0.8, true, 0.04),
                       Metric("a", "acc_norm", 0.1), Metric("w", "ppl.gptq", 10, true, 1, "perplexity")});
  const RunData run =
      Run("mpo", {Metric("a", "acc", 0.4, true, 0.05), Metric("b", "acc", 0.6, true, 0.04),
                  Metric("a", "acc_norm", 0.9), Metric("w", "ppl.gptq", 90, true, 1, "perplexity")});
  const auto score = RelativeAccuracy(run, base);
  REQUIRE(score);
  CHECK(score->tasks == 2);
  CHECK(score->value == Approx((0.4 / 0.5 + 0.6 / 0.8) / 2));
  const double a = (0.05 * 0.05 + std::pow(0.8 * 0.05, 2)) / 0.25;
  const double b = (0.04 * 0.04 + std::pow(0.75 * 0.04, 2)) / 0.64;
  CHECK(score->se.value() == Approx(std::sqrt(a + b) / 2));
  CHECK(RelativeAccuracy(base, base)->value == 1.0);
  CHECK_FALSE(RelativeAccuracy(base, base)->se);
  CHECK_FALSE(RelativeAccuracy(run, Run("x", {Metric("other", "acc", 0.5, true)})));
  CHECK(RelativeAccuracy(run, Run("x", {Metric("a", "acc", 0.0, true)}))->zero_task == "a");
}

TEST_CASE("a model whose weights lie on a grid is named once") {
  const auto run = [](const std::string& model, double linears) {
    RunData data;
    data.view.model.name = model;
    data.metrics.emplace_back("compress",
                              MetricRow{.name = "grid_linears", .value = linears, .unit = "linears"});
    return data;
  };
  // The second row of a is that of a rotated model: off the grid, but the first one is on it.
  const RunData a = run("a", 210), rotated = run("a", 0), b = run("b", 0), unknown = Run("c", {});
  const auto notes = GridNotes({&a, &rotated, &b, &unknown});
  REQUIRE(notes.size() == 1);
  CHECK_THAT(notes[0], Contains("GRID: 210 linears of a ") && Contains("rotate+METHOD"));
  CHECK(GridNotes({&rotated, &b}).empty());
}

TEST_CASE("reports show the accuracy score and the notes about texts") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "db");
  const auto add = [](Store& store, const std::string& method, double accuracy, double tokens) {
    const int64_t run = testing::BeginSampleRun(store, method);
    const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
    for (const std::string task : {"arc", "boolq"}) {
      MetricRow row = Metric(task, "acc", accuracy, true, 0.05);
      row.phase_id = quality;
      store.AddMetric(row);
    }
    MetricRow length = Metric("xsum", "generated_tokens", tokens, false, {}, "tokens");
    length.phase_id = quality;
    store.AddMetric(length);
    store.FinishPhase(quality, {});
    store.FinishRun(run, RunStatus::kOk);
  };
  add(store, "fp32@all", 0.8, 50);
  add(store, "int8", 0.6, 20);
  const std::string text = RenderReport(store, {}, ReportFormat::kMarkdown);
  CHECK_THAT(text, Contains("accuracy score [ratio]") && Contains("1.000") && Contains("0.750 ± "));
  CHECK_THAT(text, Contains("LENGTH: xsum, int8"));

  // A base that is always wrong leaves no ratio, and the report says so.
  Store wrong = Store::Open(folder / "wrong");
  add(wrong, "fp32@all", 0, 50);
  add(wrong, "int8", 0.6, 50);
  CHECK_THAT(RenderReport(wrong, {}, ReportFormat::kMarkdown),
             Contains("accuracy score: none where the base's score is 0, as that of arc") &&
                 !Contains("accuracy score [ratio]"));
}

}  // namespace tnb
