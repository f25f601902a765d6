// The queries of docs/database.md answer on a filled database.
#include <SQLiteCpp/SQLiteCpp.h>

#include "base/files.h"
#include "records/schema.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

std::vector<std::string> Queries(const std::string& text) {
  std::vector<std::string> queries;
  const std::string open = "```sql\n", close = "```";
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    at += open.size();
    const size_t end = text.find(close, at);
    queries.push_back(text.substr(at, end - at));
    at = end;
  }
  return queries;
}

void AddRun(Store& store, const std::string& method, double stored, const std::vector<int>& correct,
            int shots) {
  const int64_t run = testing::BeginSampleRun(store, method, {{"shots", shots}});
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  store.AddMetric({.phase_id = compress, .name = "stored_bytes", .value = stored, .unit = "bytes"});
  store.AddStage({.phase_id = compress, .position = 0, .text = method, .seconds = 1});
  store.AddLayers(
      {{.phase_id = compress, .name = "blocks.0.q", .format = "dense", .relative_error = 1 / stored}});
  store.FinishPhase(compress, {.seconds = 2.0, .peak_bytes = 5 << 20});
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  double sum = 0;
  std::vector<ItemRow> items;
  for (size_t i = 0; i < correct.size(); ++i) {
    sum += correct[i];
    items.push_back({.phase_id = quality,
                     .task = "boolq",
                     .doc_index = static_cast<int64_t>(i),
                     .prompt_sha256 = Sha256Hex(std::to_string(i)),
                     .prompt = "question " + std::to_string(i),
                     .scores = {{"acc", static_cast<double>(correct[i])}}});
  }
  store.AddItems(items);
  store.AddMetric({.phase_id = quality,
                   .name = "acc",
                   .task = "boolq",
                   .value = sum / static_cast<double>(correct.size()),
                   .unit = "fraction",
                   .main = true,
                   .protocol_id = store.PutProtocol({.name = "boolq " + std::to_string(shots) + "-shot",
                                                     .content = {{"num_fewshot", shots}}})});
  store.FinishPhase(quality, {.seconds = 9.0});
  const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
  store.AddMetric({.phase_id = speed, .name = "decode_64", .value = 50, .unit = "tokens/s"});
  for (int i = 0; i < 3; ++i) {
    store.AddSamples({{.phase_id = speed,
                       .benchmark = "decode_64",
                       .repetition = i,
                       .value = 49.0 + i,
                       .unit = "tokens/s"}});
  }
  store.FinishPhase(speed, {.seconds = 4.0});
  store.SkipPhase({.run_id = run, .name = "training"}, PhaseStatus::kNotMeasured, "codes cannot be trained");
  store.FinishRun(run, RunStatus::kOk);
  store.PutChangePoint({.run_id = run,
                        .suite = "nightly",
                        .series = "speed.decode_64",
                        .level_before = 60,
                        .level_after = 50,
                        .unit = "tokens/s"});
}

TEST_CASE("the ten queries of the documentation answer") {
  const testing::TemporaryFolder folder;
  {
    Store store = Store::Open(folder / "r.db");
    AddRun(store, "fp32@all", 400, {1, 1, 0, 1}, 0);
    AddRun(store, "int8@all", 100, {1, 0, 1, 0}, 0);
    AddRun(store, "int4@all", 50, {1, 0, 1, 0}, 5);
    const int64_t run = testing::BeginSampleRun(store, "mpo");
    const int64_t phase = store.BeginPhase({.run_id = run, .name = "compress"});
    store.FinishPhase(phase, {.status = PhaseStatus::kCrashed, .reason = "out of memory", .exit_code = -9});
    store.FinishRun(run, RunStatus::kCrashed, "compress: out of memory");
  }
  const std::string text = ReadFile(std::filesystem::path(TNBENCH_SOURCE_DIR) / "docs/database.md");
  const std::vector<std::string> queries = Queries(text);
  REQUIRE(queries.size() == 10);
  SQLite::Database database((folder / "r.db").string());
  std::vector<std::vector<std::vector<std::string>>> answers;
  for (const std::string& query : queries) {
    CAPTURE(query);
    SQLite::Statement statement(database, query);
    std::vector<std::vector<std::string>> rows;
    while (statement.executeStep()) {
      std::vector<std::string> row;
      for (int i = 0; i < statement.getColumnCount(); ++i) row.push_back(statement.getColumn(i).getString());
      rows.push_back(row);
    }
    CHECK_FALSE(rows.empty());
    answers.push_back(rows);
  }
  CHECK(answers[0].size() == 4);    // runs
  REQUIRE(answers[1].size() == 3);  // side by side, smallest first
  CHECK(answers[1][0][1] == "int4@all");
  CHECK(answers[1][2][5] == "0.75");  // mean accuracy of fp32
  REQUIRE(answers[2].size() == 4);    // right before, wrong now: items 1 and 3, two methods
  CHECK(answers[2][0][4] == "question 1");
  REQUIRE(answers[3].size() == 2);
  CHECK(answers[3][0] == std::vector<std::string>{"int8@all", "boolq", "4", "2", "1"});
  CHECK(answers[4][0][1] == "int4@all");  // the largest error first
  CHECK(answers[5][0][1] == "quality");   // the longest phase first
  CHECK(answers[6][0][4] == "3");
  CHECK(answers[7].size() == 1);
  CHECK(answers[7][0][4] == "out of memory");
  REQUIRE(answers[8].size() == 1);
  CHECK(answers[8][0][2] == "2");
  CHECK(answers[9].size() == 3);
  CHECK(answers[9][0][7] == "60.0");

  // Every table and view of the schema is documented.
  SQLite::Statement names(
      database,
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'");
  while (names.executeStep()) {
    const std::string name = names.getColumn(0).getString();
    CAPTURE(name);
    CHECK(text.find("| `" + name + "` |") != std::string::npos);
  }
}

}  // namespace
}  // namespace tnb
