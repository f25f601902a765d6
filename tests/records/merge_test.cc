// Several files and several processes: merging, and two writers at once.
#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <set>

#include "records/store.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;

// A finished run with rows in every table that belongs to a phase.
int64_t AddFullRun(Store& store, const std::string& method, int items = 3) {
  const int64_t run = BeginSampleRun(store, method);
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress", .settings = {{"v", 1}}});
  store.AddStage({.phase_id = compress, .position = 0, .text = method, .seconds = 1});
  store.AddLayers({{.phase_id = compress, .name = "blocks.0.q", .format = "x", .relative_error = 0.25}});
  store.AddArtefact({.phase_id = compress, .path = "a", .sha256 = Sha256Hex(method), .bytes = 9});
  store.FinishPhase(compress, {.seconds = 2.0});
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality", .settings = {{"v", 1}}});
  std::vector<ItemRow> rows;
  for (int i = 0; i < items; ++i) {
    rows.push_back({.phase_id = quality, .task = "t", .doc_index = i, .scores = {{"acc", i % 2}}});
  }
  store.AddItems(rows);
  store.AddMetric({.phase_id = quality,
                   .name = "acc",
                   .task = "t",
                   .value = 0.5,
                   .unit = "fraction",
                   .n = items,
                   .protocol_id = store.PutProtocol({.name = "p", .content = {{"shots", 0}}}),
                   .dataset_id = store.PutDataset({.hash = Sha256Hex("d"), .name = "d", .items = items})});
  store.AddSamples({{.phase_id = quality, .benchmark = "b", .value = 2, .unit = "s"}});
  store.AddLog({.run_id = run, .phase_id = quality, .level = "info", .text = "said by " + method});
  store.FinishPhase(quality, {.seconds = 3.0});
  store.FinishRun(run, RunStatus::kOk);
  store.PutChangePoint(
      {.run_id = run, .suite = "s", .series = "q", .level_before = 1, .level_after = 2, .unit = "s"});
  store.PutAcceptance({.run_id = run, .suite = "s", .series = "q", .reason = "meant so"});
  const RunView view = store.Run(run);
  const MeasurementRow limit = {.machine_id = view.machine.id,
                                .build_id = view.build.id,
                                .kind = "limit",
                                .name = "read",
                                .value = 5e10,
                                .unit = "B/s"};
  store.AddMeasurements({limit});
  return run;
}

std::vector<std::string> Rows(const Store& store, const std::string& table) {
  std::vector<std::string> lines;
  std::vector<std::string> names;
  store.Export(
      table, {}, [&](const auto& columns) { names = columns; },
      [&](const ExportedRow& row) {
        Json json;
        for (size_t i = 0; i < row.size(); ++i) {
          // Ids are those of the file.
          const std::string& name = names[i];
          if (name == "id" || (name.size() > 3 && name.compare(name.size() - 3, 3, "_id") == 0)) continue;
          json[name] = row[i];
        }
        lines.push_back(json.dump());
      });
  std::sort(lines.begin(), lines.end());
  return lines;
}

TEST_CASE("merging brings every row once, however often it is done") {
  const testing::TemporaryFolder folder;
  Store a = Store::Open(folder / "a.db"), b = Store::Open(folder / "b.db");
  AddFullRun(a, "int8");
  const int64_t first = AddFullRun(b, "mpo+int8", 5);
  AddFullRun(b, "int8", 4);
  // A run that shares the phases of another one.
  const int64_t sharing = BeginSampleRun(b, "mpo+int8");
  for (const PhaseRow& phase : b.Phases(first)) b.AdoptPhase(sharing, phase.id);
  b.FinishRun(sharing, RunStatus::kOk);
  // Not finished, and a run that shares a phase of it.
  const int64_t running = BeginSampleRun(b, "svd");
  const int64_t phase = b.BeginPhase({.run_id = running, .name = "compress"});
  b.FinishPhase(phase, {});
  const int64_t depends = BeginSampleRun(b, "svd");
  b.AdoptPhase(depends, phase);
  b.FinishRun(depends, RunStatus::kOk);

  Store target = Store::Open(folder / "all.db");
  MergeCounts counts = target.Merge(folder / "b.db");
  CHECK(counts.runs == 3);
  CHECK(counts.unfinished == 2);
  CHECK(counts.items == 9);
  CHECK(counts.change_points == 2);
  counts = target.Merge(folder / "a.db");
  CHECK(counts.runs == 1);
  CHECK(target.Runs().size() == 4);
  counts = target.Merge(folder / "b.db");
  CHECK(counts.runs == 0);
  CHECK(counts.known == 3);
  CHECK(counts.items == 0);
  CHECK(target.Runs().size() == 4);

  // The other one first gives the same rows.
  Store reversed = Store::Open(folder / "reversed.db");
  reversed.Merge(folder / "a.db");
  reversed.Merge(folder / "b.db");
  for (const std::string& table : Store::ExportTables()) {
    CAPTURE(table);
    CHECK(Rows(target, table) == Rows(reversed, table));
    CHECK_FALSE(Rows(target, table).empty());
  }
  // Sharing survives.
  std::map<int64_t, int> used;
  for (const RunView& view : target.Runs()) {
    for (const PhaseRow& row : target.Phases(view.run.id)) ++used[row.data_id];
  }
  int shared = 0;
  for (const auto& [id, count] : used) shared += count == 2;
  CHECK(shared == 2);
  // The run over there goes on and ends: now it comes.
  b.FinishRun(running, RunStatus::kOk);
  counts = target.Merge(folder / "b.db");
  CHECK(counts.runs == 2);
  CHECK(counts.unfinished == 0);
  // What is said later about a run that came before comes, too, and once.
  const size_t accepted = target.Acceptances("s").size();
  CHECK(accepted == 3);
  b.PutAcceptance({.run_id = first, .suite = "s", .series = "later", .reason = "a new kernel"});
  for (int i = 0; i < 2; ++i) CHECK(target.Merge(folder / "b.db").runs == 0);
  CHECK(target.Acceptances("s").size() == accepted + 1);
}

TEST_CASE("what cannot be merged is refused and changes nothing") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "a.db");
  AddFullRun(store, "int8");
  CHECK_THROWS_WITH(store.Merge(folder / "a.db"), Contains("into itself"));
  CHECK_THROWS_WITH(store.Merge(folder / "absent.db"), Contains("no results database"));
  CHECK_THROWS_WITH(store.Export(
                        "songs", {}, [](const auto&) {}, [](const auto&) {}),
                    Contains("no such table") && Contains("metrics"));
  CHECK(store.Runs().size() == 1);
}

TEST_CASE("measurements of machines are merged once, and refuse a run") {
  const testing::TemporaryFolder folder;
  const auto add = [](Store& store, const std::string& machine, double value) {
    const MeasurementRow row = {
        .machine_id = store.PutMachine({.name = machine, .facts = {{"cpu", machine}}}),
        .build_id = store.PutBuild({.commit = "abc", .facts = {{"compiler", "gcc"}}}),
        .command = "tnbench bench",
        .kind = "noise",
        .name = "decode_32",
        .settings = {{"threads", 2}},
        .value = value,
        .unit = "ratio",
        .tolerance = 0.5,
        .detail = {{"samples", {1.5, 2}}}};
    store.AddMeasurements({row});
  };
  Store a = Store::Open(folder / "a.db"), b = Store::Open(folder / "b.db");
  add(a, "laptop", 1.01);
  add(b, "server", 1.02);
  add(b, "laptop", 1.03);
  CHECK(a.Merge(folder / "b.db").measurements == 2);
  CHECK(a.Merge(folder / "b.db").measurements == 0);
  CHECK(a.Measurements("noise").size() == 3);
  CHECK(a.Measurements("").size() == 3);
  CHECK(a.Measurements("limit").empty());
  const std::string laptop = HashOf({{"cpu", "laptop"}});
  const std::vector<MeasurementRow> rows = a.Measurements("noise", laptop);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].value == 1.01);
  CHECK(rows[1].value == 1.03);
  CHECK(rows[1].settings == Json({{"threads", 2}}));
  CHECK(rows[1].tolerance == 0.5);
  CHECK(rows[1].detail["samples"][1] == 2);
  CHECK_THROWS_WITH(a.Export(
                        "measurements", {1}, [](const auto&) {}, [](const auto&) {}),
                    Contains("belong to no run"));
  MeasurementRow nameless = rows[0];
  nameless.name.clear();
  CHECK_THROWS_AS(a.AddMeasurements({nameless}), Error);
  MeasurementRow broken = rows[0];
  broken.value = std::nan("");
  CHECK_THROWS_AS(a.AddMeasurements({rows[0], broken}), Error);
  CHECK(a.Measurements("").size() == 3);  // all or nothing
}

TEST_CASE("merge knows every table of the schema") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "a.db");
  SQLite::Database database((folder / "a.db").string());
  SQLite::Statement statement(
      database,
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name");
  std::set<std::string> tables;
  while (statement.executeStep()) tables.insert(statement.getColumn(0).getString());
  // A table that is added has to be added to records/store_merge.cc, too.
  CHECK(tables == std::set<std::string>{"acceptance", "artefact", "build", "cell", "change_point", "dataset",
                                        "item", "layer", "log", "machine", "measurement", "method", "metric",
                                        "model", "phase", "protocol", "run", "sample", "stage"});
}

// Two drivers that write runs into one file, and a reader that sees whole transactions only.
TEST_CASE("two processes write at once while a third reads") {
  const testing::TemporaryFolder folder;
  constexpr int kRuns = 15;
  std::vector<pid_t> writers;
  Store::Open(folder / "r.db");
  for (int writer = 0; writer < 2; ++writer) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int code = 0;
      try {
        Store store = Store::Open(folder / "r.db");
        for (int i = 0; i < kRuns; ++i) {
          // Items and their metric in one transaction.
          store.Transaction([&] { AddFullRun(store, writer == 0 ? "w0" : "w1", 20); });
        }
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        code = 1;
      }
      _exit(code);
    }
    writers.push_back(child);
  }
  size_t seen = 0;
  const Store reader = Store::OpenReadOnly(folder / "r.db");
  for (int round = 0; round < 1000; ++round) {
    const size_t runs = reader.Runs({.method = "w0"}).size() + reader.Runs({.method = "w1"}).size();
    CHECK(runs >= seen);
    seen = runs;
    for (const RunView& view : reader.Runs()) {
      if (view.run.status != RunStatus::kOk) FAIL("a run was seen before its end");
    }
    if (runs == 2 * kRuns) break;
    usleep(2000);
  }
  for (const pid_t writer : writers) {
    int status = 0;
    REQUIRE(waitpid(writer, &status, 0) == writer);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(reader.Runs().size() == 2 * kRuns);
  int64_t items = 0;
  reader.Export(
      "items", {}, [](const auto&) {}, [&](const ExportedRow&) { ++items; });
  CHECK(items == 2 * kRuns * 20);
}

TEST_CASE("two processes create and migrate one file at once") {
  const testing::TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int code = 0;
      try {
        Store store = Store::Open(folder / "r.db");
        store.PutMethod(std::string("m").append(std::to_string(i)));
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        code = 1;
      }
      _exit(code);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
  }
  Store store = Store::OpenReadOnly(folder / "r.db");
  CHECK(SQLite::Database((folder / "r.db").string()).execAndGet("SELECT count(*) FROM method").getInt() == 4);
}

}  // namespace
}  // namespace tnb
