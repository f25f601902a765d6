// What reports say and draw of methods that trained.
#include "reports/heal_notes.h"

#include <cmath>

#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;

const char kControl[] = "heal:lr=1e-03";

// The curve of `steps` steps of 512 tokens whose loss falls from `first` to `last`.
Json CurveOf(int64_t steps, double first, double last) {
  Json curve = Json::object();
  for (const char* name : {"step", "tokens", "loss", "seconds"}) curve[name] = Json::array();
  for (int64_t i = 1; i <= steps; ++i) {
    const double rest = std::exp(-4.0 * static_cast<double>(i - 1) / static_cast<double>(steps));
    curve["step"].push_back(i);
    curve["tokens"].push_back(512 * i);
    curve["loss"].push_back(last + (first - last) * rest + 0.03 * std::sin(static_cast<double>(i * i)));
    curve["seconds"].push_back(2.5 * static_cast<double>(i));
  }
  return curve;
}

int64_t AddHealed(Store& store, const std::string& method, const std::vector<Json>& stages,
                  const Json& texts = {{"text", "a hash"}}) {
  const int64_t run = BeginSampleRun(store, method);
  const int64_t compress =
      store.BeginPhase({.run_id = run, .name = "compress", .settings = {{"calibration", texts}}});
  store.AddMetric({.phase_id = compress, .name = "parameters", .value = 1000, .unit = "parameters"});
  for (size_t i = 0; i < stages.size(); ++i) {
    store.AddStage({.phase_id = compress,
                    .position = static_cast<int64_t>(i),
                    .text = "heal",
                    .seconds = 1,
                    .detail = stages[i]});
  }
  store.FinishPhase(compress, {});
  store.FinishRun(run, RunStatus::kOk);
  return run;
}

Json Healed(const Json& curve) { return {{"curve", curve}, {"control", kControl}}; }
Json Control(const Json& curve) { return {{"curve", curve}, {"control", ""}}; }

std::string Notes(const Table& table) {
  std::string text;
  for (const std::string& note : table.notes) text += note + "\n";
  return text;
}

TEST_CASE("a report draws the loss of every healed row and of its control") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddHealed(store, "bf16@all", {});
  AddHealed(store, "svd:keep=0.6,whiten=fisher+heal:lr=1e-03", {Healed(CurveOf(112, 3.2, 1.4))});
  AddHealed(store, "mpo:keep=0.6+heal:lr=1e-03+svd:keep=0.5@mlp+heal:lr=1e-03",
            {Healed(CurveOf(56, 4.1, 2.2)), Healed(CurveOf(56, 2.9, 1.7))});
  AddHealed(store, kControl, {Control(CurveOf(112, 0.9, 0.8))});
  const Table table = BuildReport(store, {}).at(0);
  REQUIRE(table.plots.size() == 1);
  const LinePlot& plot = table.plots[0];
  CHECK(plot.x_label == "thousands of tokens that were trained on");
  CHECK_THAT(plot.title, Contains("mean of a 60th of the steps"));
  REQUIRE(plot.series.size() == 3);
  CHECK_FALSE(plot.series[0].dashed);
  CHECK(plot.series[0].x.size() == 60);
  CHECK(plot.series[2].dashed);
  CHECK_THAT(plot.series[2].name, Contains("control (uncompressed model): heal"));
  // Two healings are one line with a gap, over the tokens of both.
  CHECK(plot.series[1].x.size() == 56 + 1 + 56);
  CHECK(std::isnan(plot.series[1].y[56]));
  CHECK(plot.series[1].x.back() == Approx(112 * 0.512));
  CHECK(plot.series[0].y.front() == Approx(3.2).margin(0.1));
  CHECK(plot.series[0].y.back() == Approx(1.4).margin(0.1));

  const std::string html = RenderReport(store, {}, ReportFormat::kHtml);
  CHECK_THAT(html, Contains("<!DOCTYPE html>") && Contains("<svg ") && Contains("loss [nats per token]") &&
                       Contains("prefers-color-scheme:dark") && Contains("TRAINED: "));
  // In text a line of characters stands for the curve.
  CHECK_THAT(RenderReport(store, {}, ReportFormat::kMarkdown),
             Contains("in 112 steps, 57.3 k tokens") && Contains("█") && !Contains("<svg"));
  CHECK_THAT(RenderReport(store, {}, ReportFormat::kLatex),
             Contains("\\rule{0.4em}{1.000em}") && !Contains("U+25"));
}

TEST_CASE("a control that is no row of the report is drawn too") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t healed = AddHealed(store, "svd+heal:lr=1e-03", {Healed(CurveOf(20, 3.2, 1.4))});
  ReportOptions only;
  only.filter.ids = {healed};
  Table table = BuildReport(store, only).at(0);
  CHECK(table.plots.at(0).series.size() == 1);
  CHECK_THAT(Notes(table), Contains("no control"));
  // On other texts it is none.
  AddHealed(store, kControl, {Control(CurveOf(20, 0.9, 0.8))}, {{"text", "another hash"}});
  CHECK(BuildReport(store, only).at(0).plots.at(0).series.size() == 1);
  const int64_t control = AddHealed(store, kControl, {Control(CurveOf(20, 0.9, 0.8))});
  table = BuildReport(store, only).at(0);
  REQUIRE(table.plots.at(0).series.size() == 2);
  CHECK(table.plots[0].series[1].dashed);
  CHECK(table.plots[0].series[1].name == "control (uncompressed model): run " + std::to_string(control));
  CHECK_THAT(Notes(table), Contains("control: run " + std::to_string(control)));
}

TEST_CASE("nothing is drawn where nothing was trained") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddHealed(store, "svd", {});
  CHECK(BuildReport(store, {}).at(0).plots.empty());
  CHECK_THAT(RenderReport(store, {}, ReportFormat::kHtml), Contains("<table>") && !Contains("<svg"));
}

TEST_CASE("blocks that were trained one by one show their errors before and after") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  Json blocks = Json::array();
  for (int i = 0; i < 4; ++i) {
    blocks.push_back({{"block", i},
                      {"error_before", 0.1 * (i + 1)},
                      {"error_after", 0.02 * (i + 1)},
                      {"curve", CurveOf(5, 0.1, 0.02)}});
  }
  AddHealed(
      store, "svd+heal:scope=block",
      {{{"blocks", blocks}, {"steps", 112}, {"tokens", 57344}, {"seconds", 300}, {"control", kControl}}});
  const Table table = BuildReport(store, {}).at(0);
  REQUIRE(table.plots.size() == 1);
  CHECK(table.plots[0].x_label == "block");
  REQUIRE(table.plots[0].series.size() == 2);
  CHECK(table.plots[0].series[0].y == std::vector<double>{0.02, 0.04, 0.06, 0.08});
  CHECK(table.plots[0].series[1].x == std::vector<double>{0, 1, 2, 3});
  CHECK_THAT(Notes(table), Contains("relative squared error of the outputs 0.250 -> 0.0500 ") &&
                               Contains("in 4 blocks, 112 steps and 57.3 k tokens each") &&
                               Contains("nothing to control"));
}

TEST_CASE("hidden states stand beside the loss where they were matched") {
  Json curve = CurveOf(3, 2, 1);
  CHECK_THAT(CurveText({{"curve", curve}}), Contains("in 3 steps") && !Contains("hidden"));
  curve["hidden"] = {0.5, 0.3, 0.2};
  CHECK_THAT(CurveText({{"curve", curve}}), Contains(", hidden states 0.500 -> 0.200"));
  CHECK(CurveText({{"linears", 3}}).empty());
  CHECK(CurveText(Json()).empty());
}

}  // namespace
}  // namespace tnb
