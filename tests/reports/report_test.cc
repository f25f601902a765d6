#include "reports/report.h"

#include <algorithm>
#include <limits>
#include <sstream>

#include "reports/show.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;

struct Numbers {
  std::string method;
  double stored = 4000;
  double accuracy = 0.5;
  double perplexity = 10;
  double decode = 20;
  int shots = 25;
  int64_t n = 100;
  Json settings = {{"seed", 1}};
  std::string machine = "laptop";
};

// A complete run.
int64_t AddRun(Store& store, const Numbers& numbers) {
  const int64_t run = BeginSampleRun(store, numbers.method, numbers.settings, "nano", numbers.machine);
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  const auto size = [&](const std::string& name, double value) {
    store.AddMetric({.phase_id = compress, .name = name, .value = value, .unit = "bytes"});
  };
  store.AddMetric({.phase_id = compress, .name = "parameters", .value = 1000, .unit = "parameters"});
  size("stored_bytes", numbers.stored);
  size("fp32_bytes", 4000);
  size("fp16_bytes", 2000);
  store.AddStage({.phase_id = compress, .position = 0, .text = numbers.method, .seconds = 1});
  store.AddLayers({{.phase_id = compress, .name = "blocks.0.q", .format = "int8", .relative_error = 0.01},
                   {.phase_id = compress, .name = "blocks.1.q", .format = "int8", .relative_error = 0.02}});
  store.AddArtefact({.phase_id = compress, .path = "x.tnb", .sha256 = Sha256Hex("x"), .bytes = 4100});
  store.FinishPhase(compress, {.seconds = 2.0, .peak_bytes = 1 << 20, .exit_code = 0});

  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  const int64_t protocol = store.PutProtocol({.name = "arc", .content = {{"shots", numbers.shots}}});
  store.AddMetric({.phase_id = quality,
                   .name = "acc",
                   .task = "arc",
                   .filter = "none",
                   .value = numbers.accuracy,
                   .unit = "fraction",
                   .n = numbers.n,
                   .se = 0.05,
                   .main = true,
                   .protocol_id = protocol});
  store.AddMetric({.phase_id = quality,
                   .name = "acc_norm",
                   .task = "arc",
                   .filter = "none",
                   .value = 0.9,
                   .unit = "fraction",
                   .n = numbers.n,
                   .protocol_id = protocol});
  store.AddMetric({.phase_id = quality,
                   .name = "perplexity",
                   .task = "wiki",
                   .value = numbers.perplexity,
                   .unit = "per token",
                   .n = 50,
                   .main = true});
  store.AddItems({{.phase_id = quality, .task = "arc", .doc_index = 0, .text = "\xff"}});
  store.FinishPhase(quality, {});

  const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
  for (const std::string variant : {"", "rebuilt"}) {
    store.AddMetric({.phase_id = speed,
                     .name = "decode_64",
                     .variant = variant,
                     .value = numbers.decode,
                     .unit = "tokens/s",
                     .n = 5});
  }
  for (const std::string length : {"512", "128"}) {
    store.AddMetric(
        {.phase_id = speed, .name = "prefill_" + length, .value = 100, .unit = "tokens/s", .n = 5});
  }
  store.AddMetric({.phase_id = speed, .name = "resident_peak", .value = 1 << 20, .unit = "bytes"});
  store.FinishPhase(speed, {});
  const int64_t training = store.BeginPhase({.run_id = run, .name = "training"});
  store.AddMetric({.phase_id = training, .name = "step_ms", .value = 12.345, .unit = "ms", .n = 3});
  store.FinishPhase(training, {});
  store.FinishRun(run, RunStatus::kOk);
  return run;
}

// The first table of a report of what `change` sets.
template <typename Change>
Table ReportWith(const Store& store, const Change& change) {
  ReportOptions options;
  change(options);
  return BuildReport(store, options).at(0);
}

const Cell& At(const Table& table, size_t row, const std::string& key) {
  const auto column = std::find_if(table.columns.begin(), table.columns.end(),
                                   [&](const Column& candidate) { return candidate.key == key; });
  INFO("column " << key);
  REQUIRE(column != table.columns.end());
  return table.rows.at(row).at(column - table.columns.begin());
}

std::string Notes(const Table& table) {
  std::string text;
  for (const std::string& note : table.notes) text += note + "\n";
  return text;
}

TEST_CASE("the base row is found by its canonical text") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "fp32@q+int8:group=row@attn/mlp", .stored = 900});
  AddRun(store, {.method = "bf16:act=bf16@all", .stored = 2000});
  AddRun(store, {.method = "fp32@all"});
  const std::vector<Table> tables = BuildReport(store, {});
  REQUIRE(tables.size() == 1);
  CHECK(At(tables[0], 0, "method").text == "fp32@all");
  CHECK(At(tables[0], 1, "compress.stored_bytes").text == "900 B (0.225x)");
}

TEST_CASE("the base row comes first and the others are relative to it") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "int8", .stored = 1000, .accuracy = 0.469, .perplexity = 13.2, .decode = 30});
  AddRun(store, {.method = "fp32"});
  const std::vector<Table> tables = BuildReport(store, {});
  REQUIRE(tables.size() == 1);
  const Table& table = tables[0];
  REQUIRE(table.rows.size() == 2);
  CHECK(At(table, 0, "method").text == "fp32");
  CHECK(At(table, 0, "run").text == "2");
  CHECK(At(table, 0, "quality.arc.acc").text == "50.0 ± 5.0");
  CHECK(At(table, 1, "method").text == "int8");
  CHECK(At(table, 1, "compress.parameters").text == "1.00 k (1.00x)");
  CHECK(At(table, 1, "compress.stored_bytes").text == "1000 B (0.250x)");
  CHECK(At(table, 1, "reduction.fp32_bytes").text == "75.0");
  CHECK(At(table, 1, "reduction.fp16_bytes").text == "50.0");
  CHECK(At(table, 1, "speed.resident_peak").text == "1.00 MiB (1.00x)");
  CHECK(At(table, 1, "quality.arc.acc").text == "46.9 ± 5.0 (-3.1)");
  CHECK(At(table, 1, "quality.arc.acc").value == 0.469);
  CHECK(At(table, 1, "quality.wiki.perplexity").text == "13.2 (1.32x)");
  CHECK(At(table, 1, "speed.decode_64").text == "30.0 (1.50x)");
  CHECK(At(table, 1, "training.step_ms").text == "12.3 (1.00x)");
  CHECK_THAT(table.caption, Contains("nano") && Contains("laptop") && Contains("abc1234"));
  CHECK_THAT(Notes(table), Contains("P1: protocol arc") && Contains("n=100") && Contains("relative to fp32"));

  // Only main metrics of tasks; speeds by kind and length, the automatic choice first; units, n and protocol
  // in the title.
  std::string titles;
  for (const Column& column : table.columns) titles += column.title + "; ";
  CHECK(titles ==
        "method; run; parameters; stored; less than fp32 [%]; less than fp16 [%]; peak resident; "
        "arc acc [%, P1]; wiki perplexity [per token, P2]; prefill_128 [tokens/s]; prefill_512 [tokens/s]; "
        "decode_64 [tokens/s]; decode_64 rebuilt [tokens/s]; training step [ms]; ");
  CHECK_THAT(Notes(table), Contains("P2: protocol unknown  n=50\n") &&
                               Contains("n=5: prefill_128 [tokens/s], prefill_512 [tokens/s]") &&
                               Contains("n=3: training step [ms]\n"));

  CHECK(ReportWith(store, [](auto& options) { options.base_method = "int8"; }).rows[0][0].text == "int8");
  CHECK_THAT(Notes(ReportWith(store, [](auto& options) { options.filter.method = "int8"; })),
             Contains("no base row"));
}

TEST_CASE("what is missing is said in words") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "fp32"});
  const int64_t run = BeginSampleRun(store, "int4");
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  // Left behind by a crash: not a result.
  store.AddMetric({.phase_id = compress, .name = "stored_bytes", .value = 1, .unit = "bytes"});
  store.FinishPhase(compress,
                    {.status = PhaseStatus::kCrashed, .reason = "killed by signal 9", .exit_code = -9});
  store.SkipPhase({.run_id = run, .name = "speed"}, PhaseStatus::kNotMeasured, "the format is simulated");
  store.SkipPhase({.run_id = run, .name = "training"}, PhaseStatus::kSkipped, "not asked for");
  store.FinishRun(run, RunStatus::kPartial, "compress crashed");
  const Table table = BuildReport(store, {}).at(0);
  CHECK(At(table, 1, "compress.stored_bytes").text == "crashed");
  CHECK_FALSE(At(table, 1, "compress.stored_bytes").value);
  CHECK(At(table, 1, "reduction.fp16_bytes").text == "crashed");
  CHECK(At(table, 1, "quality.arc.acc").text == "not measured");  // the phase never began
  CHECK(At(table, 1, "speed.decode_64").text == "not measured");
  CHECK(At(table, 1, "training.step_ms").text == "skipped");
  CHECK_THAT(Notes(table), Contains("run partial: compress crashed: int4 (run 2)\n") &&
                               Contains("compress crashed: killed by signal 9") &&
                               Contains("speed not measured: the format is simulated"));
}

TEST_CASE("a phase that nobody ran has no column but a note") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  for (const std::string method : {"int8", "int4"}) {
    const int64_t run = BeginSampleRun(store, method);
    store.SkipPhase({.run_id = run, .name = "training"}, PhaseStatus::kSkipped, "not asked for");
    const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
    if (method == "int8") {
      store.AddMetric(
          {.phase_id = speed, .name = "decode_64", .value = 43.21, .unit = "tokens/s", .n = 5, .se = 0.4});
    }
    store.FinishPhase(speed, {});
    store.FinishRun(run, RunStatus::kOk);
  }
  const Table table = BuildReport(store, {}).at(0);
  CHECK(table.columns.back().key == "speed.decode_64");
  CHECK(At(table, 0, "speed.decode_64").text == "43.2 ± 0.4");
  CHECK(At(table, 1, "speed.decode_64").text == "not measured");
  CHECK_THAT(Notes(table), Contains("training skipped: not asked for: int8 (run 1), int4 (run 2)\n"));
}

TEST_CASE("different protocols, numbers of items, settings and machines do not share a table") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "fp32"});
  AddRun(store, {.method = "int8", .shots = 0});
  AddRun(store, {.method = "int4", .n = 99});
  AddRun(store, {.method = "nf4", .settings = {{"seed", 2}}});
  AddRun(store, {.method = "hqq", .machine = "server"});
  AddRun(store, {.method = "gptq"});
  const std::vector<Table> tables = BuildReport(store, {});
  REQUIRE(tables.size() == 5);
  CHECK(tables[0].rows.size() == 2);  // fp32 and gptq
  CHECK(At(tables[1], 0, "method").text == "int8");
  CHECK_THAT(Notes(tables[1]), Contains("kept apart from run 1") && Contains("shots 25 / 0"));
  CHECK_THAT(Notes(tables[2]), Contains("n 100 / 99"));
  CHECK(At(tables[1], 0, "quality.arc.acc").relative == std::nullopt);
}

TEST_CASE("of several runs of a cell the newest that is ok is shown, unless ids are given") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "int8", .accuracy = 0.1});
  AddRun(store, {.method = "int8", .accuracy = 0.2});
  store.FinishRun(BeginSampleRun(store, "int8"), RunStatus::kFailed, "no");
  CHECK(BuildReport(store, {}).at(0).rows.size() == 1);
  CHECK(At(BuildReport(store, {}).at(0), 0, "run").text == "2");
  CHECK(ReportWith(store, [](auto& options) { options.filter.ids = {1, 3}; }).rows.size() == 2);
  CHECK_THROWS_WITH(ReportWith(store, [](auto& options) { options.filter.model = "other"; }),
                    Contains("no run matches"));
}

TEST_CASE("a group stands for its tasks") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t run = BeginSampleRun(store, "fp32@all", {{"seed", 1}}, "nano", "laptop");
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  for (const std::string task : {"a", "b", "g"}) {
    const Json content =
        task == "g" ? Json{{"group", "g"}, {"tasks", {{"a", "1"}, {"b", "2"}}}} : Json{{"x", task}};
    store.AddMetric({.phase_id = quality,
                     .name = "acc",
                     .task = task,
                     .filter = "none",
                     .value = 0.5,
                     .unit = "fraction",
                     .n = 10,
                     .main = true,
                     .protocol_id = store.PutProtocol({.name = task, .content = content})});
  }
  store.FinishPhase(quality, {});
  store.FinishRun(run, RunStatus::kOk);
  const std::string text = RenderReport(store, {}, ReportFormat::kMarkdown);
  CHECK_THAT(text, Contains("g acc") && !Contains("a acc") && !Contains("b acc"));
}

TEST_CASE("a ruined model's infinite perplexity is shown as such") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "fp32", .perplexity = std::numeric_limits<double>::infinity()});
  AddRun(store, {.method = "int2", .perplexity = 7});
  const Table table = BuildReport(store, {}).at(0);
  CHECK(At(table, 0, "quality.wiki.perplexity").text == "infinite");
  CHECK(At(table, 1, "quality.wiki.perplexity").text == "7.00");  // no factor of infinity
}

TEST_CASE("all formats render; Markdown fits the width") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "fp32"});
  AddRun(store, {.method = "mpo:chi=64+int8", .stored = 1000});
  ReportOptions narrow;
  narrow.width = 60;
  const std::string markdown = RenderReport(store, narrow, ReportFormat::kMarkdown);
  std::istringstream lines(markdown);
  int methods = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) continue;
    CHECK(DisplayWidth(line) <= 60);
    if (line.starts_with("| mpo:chi=64+int8")) ++methods;
  }
  CHECK(methods >= 2);  // repeated in every part
  const Json json = ParseJson(RenderReport(store, {}, ReportFormat::kJson), "report");
  CHECK(json[0]["rows"][1]["compress.stored_bytes"]["relative"] == 0.25);
  CHECK_THAT(RenderReport(store, {}, ReportFormat::kCsv), Contains("mpo:chi=64+int8,2,1000,"));
  CHECK_THAT(RenderReport(store, {}, ReportFormat::kCsv),
             Contains("\r\n# P1: protocol arc") && Contains("n=100"));
  CHECK_THAT(RenderReport(store, {}, ReportFormat::kTerminal), Contains("method"));
  CHECK(ReportFormatFrom("md") == ReportFormat::kMarkdown);
  CHECK_THROWS_WITH(ReportFormatFrom("pdf"), Contains("md, text, csv, json, latex or html"));
}

TEST_CASE("short names of methods stand in tables, canonical ones in notes, CSV and JSON") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, {.method = "fp32@all"});
  AddRun(store, {.method = "int8:group=row@attn/mlp", .stored = 1000, .accuracy = 0.49996});
  ReportOptions options;
  options.label = [](const std::string& method) { return method.substr(0, 4); };
  const std::string text = RenderReport(store, options, ReportFormat::kMarkdown);
  CHECK_THAT(text, Contains("| int8 ") && Contains("- int8 is int8:group=row@attn/mlp") &&
                       Contains("relative to fp32,") && Contains("the same in every row: parameters 1.00 k"));
  CHECK(text.find("-0.0") == std::string::npos);  // 0.49996 - 0.5
  CHECK_THAT(RenderReport(store, options, ReportFormat::kCsv), Contains("\nint8:group=row@attn/mlp,2,1000,"));
  CHECK(ParseJson(RenderReport(store, options, ReportFormat::kJson), "r")[0]["rows"][1]["method"] ==
        "int8:group=row@attn/mlp");
}

TEST_CASE("pivots: a row a number, a row a model; filters by task and time") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  for (const std::string method : {"fp32", "int8"}) {
    AddRun(store, {.method = method, .accuracy = method == "int8" ? 0.4 : 0.5});
    store.FinishRun(BeginSampleRun(store, method, {{"seed", 1}}, "micro"), RunStatus::kFailed, "no");
  }
  const Table by_task = ReportWith(store, [](auto& options) {
    options.pivot = ReportPivot::kTask;
    options.filter.model = "nano";
    options.tasks = {"arc"};
  });
  REQUIRE(by_task.columns.size() == 3);
  CHECK(by_task.columns[2].title == "int8");
  bool found = false;
  for (const auto& row : by_task.rows) {
    CHECK(row[0].text.find("wiki") == std::string::npos);
    if (row[0].text == "arc acc [%, P1]") {
      found = true;
      CHECK(row[2].text == "40.0 ± 5.0 (-10.0)");
    }
  }
  CHECK(found);
  ReportOptions by_model;
  by_model.pivot = ReportPivot::kModel;
  const std::vector<Table> tables = BuildReport(store, by_model);
  REQUIRE(tables.size() == 2);
  CHECK(tables[1].columns[0].title == "model");
  CHECK_THAT(tables[1].caption, Contains("Method int8"));
  CHECK(At(tables[1], 0, "model").text == "nano");
  CHECK(At(tables[1], 0, "quality.arc.acc").text == "40.0 ± 5.0 (-10.0)");  // against fp32 of nano
  CHECK_THROWS_WITH(ReportPivotFrom("moon"), Contains("method, model or task"));
  CHECK_THROWS_WITH(ReportWith(store, [](auto& options) { options.filter.since = "9999"; }),
                    Contains("no run matches"));
}

TEST_CASE("one run in full") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t run =
      AddRun(store, {.method = "int8", .perplexity = std::numeric_limits<double>::infinity()});
  store.AddLog({.run_id = run, .level = "note", .text = "on battery"});
  const std::string text = ShowRun(store, run);
  CHECK_THAT(text, Contains("run 1: int8 of nano: ok") && Contains("stage 0: int8 in 1.0 s") &&
                       Contains("artefact x.tnb, 4.00 KiB") && Contains("on battery") && Contains("acc *") &&
                       Contains("infinite") && Contains("peak 1.00 MiB"));
  CHECK(text.find("blocks.1.q") < text.find("blocks.0.q"));  // worst first
  // 50 of 100 right, Wilson at 95 %: 0.4038 to 0.5962 (statsmodels proportion_confint).
  CHECK_THAT(text, Contains("0.404 to 0.596") && Contains("95 % interval") && Contains("  P1: arc"));
  const Json json = ShowRunJson(store, run, true);
  CHECK(json["method"] == "int8");
  CHECK(json["phases"][0]["name"] == "compress");
  CHECK(json["phases"][0]["layers"].size() == 2);
  CHECK(json["phases"][0]["layers"][0]["discarded_weight"].is_null());
  CHECK(json["phases"][1]["metrics"][0]["protocol"]["content"]["shots"] == 25);
  CHECK(json["phases"][1]["metrics"][2]["value"] == "inf");
  CHECK(json["phases"][1]["items"].size() == 1);
  CHECK_FALSE(ShowRunJson(store, run)["phases"][1].contains("items"));
  CHECK_THROWS_AS(ShowRun(store, 9), Error);

  const int64_t second = BeginSampleRun(store, "int8");
  store.AdoptPhase(second, store.Phases(run).at(0).id);
  CHECK(ShowRunJson(store, second)["phases"][0]["reused"] == true);
  CHECK(ShowRunJson(store, second)["phases"][0]["metrics"].size() == 4);
  CHECK_THAT(ShowRun(store, second), Contains("reused from an earlier run") && Contains("not yet"));
}

}  // namespace
}  // namespace tnb
