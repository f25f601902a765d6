// Quality phases that stop anywhere and go on, item by item.
#include <signal.h>

#include <thread>

#include "base/files.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;

const std::vector<std::string> kQuality = {"--method", "int8", "--no-base", "--phases", "quality"};

std::vector<std::string> Quality(const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = kQuality;
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Rows as they must not depend on how often the phase was begun. Without ids.
Json ItemsOf(const Store& store, int64_t run) {
  Json rows = Json::array();
  for (const ItemRow& row : store.Items(PhaseOf(store, run, "quality").data_id)) {
    rows.push_back({row.task, row.doc_index, row.prompt_sha256, row.prompt, row.target, row.loglikelihoods,
                    row.greedy, row.text, row.scores, row.tokens});
  }
  return rows;
}

// Those of tasks: memory and energy are other ones every time.
Json MetricsOf(const Store& store, int64_t run) {
  Json rows = Json::array();
  for (const MetricRow& row : store.Metrics(PhaseOf(store, run, "quality").data_id)) {
    if (row.task.empty()) continue;
    rows.push_back({row.name, row.task, row.filter, row.value, row.n, row.se.value_or(-1), row.main,
                    row.protocol_id.value_or(0), row.dataset_id.value_or(0)});
  }
  return rows;
}

int64_t CountItems(const Program& program, int64_t run) {
  try {
    const Store store = program.Database();
    for (const PhaseRow& phase : store.Phases(run)) {
      if (phase.name == "quality") return static_cast<int64_t>(store.Items(phase.data_id).size());
    }
  } catch (const Error&) {  // not there yet
  }
  return 0;
}

// Starts a quality phase and waits until it has stored more than `items`. The run is `run`.
pid_t StartUntil(const Program& program, int64_t run, int64_t items) {
  const pid_t driver = program.Start(program.MeasureArguments(Quality()));
  for (int i = 0; i < 3000 && CountItems(program, run) <= items; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return driver;
}

TEST_CASE("killed workers and drivers lose no stored item, and the rows are those of an uninterrupted run") {
  constexpr int kItems = 6000;
  const Program program(kItems);
  pid_t driver = StartUntil(program, 1, 0);
  const pid_t worker = program.WaitForWorker(driver, "quality");
  REQUIRE(worker > 0);
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(program.Wait(driver).exit_code == 1);
  const int64_t first = CountItems(program, 1);
  CHECK(first > 0);
  CHECK(first < kItems);

  driver = StartUntil(program, 2, first);
  REQUIRE(::kill(driver, SIGKILL) == 0);
  CHECK(program.Wait(driver).exit_code == -SIGKILL);
  const int64_t second = CountItems(program, 2);
  CHECK(second > first);
  CHECK(second < kItems);

  const Outcome outcome = program.Measure(Quality());
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 0);
  // Each says who measured it, however often it was taken over.
  const std::string of = " of " + std::to_string(kItems) + " items were measured already ";
  CHECK_THAT(outcome.errors, Contains("tiny: " + std::to_string(first) + of + "(run 1)"));
  CHECK_THAT(outcome.errors, Contains("tiny: " + std::to_string(second - first) + of + "(run 2)"));
  REQUIRE(program.Measure(Quality({"--force"})).exit_code == 0);
  const Store store = program.Database();
  CHECK(store.Run(1).run.status == RunStatus::kCrashed);
  CHECK(store.Run(2).run.status == RunStatus::kCrashed);
  CHECK(ItemsOf(store, 3).size() == kItems);
  CHECK(ItemsOf(store, 3) == ItemsOf(store, 4));
  CHECK(MetricsOf(store, 3) == MetricsOf(store, 4));
  CHECK(PhaseOf(store, 4, "quality").data_id == PhaseOf(store, 4, "quality").id);  // it did measure again
  CHECK_THAT(store.Logs(3).at(1).text, Contains("items were measured already (run 2)"));
}

TEST_CASE("items are taken over task by task, and across limits") {
  const Program program(40);
  Json task = ReadJsonFile(program / "task.json");
  task["name"] = "other";
  WriteFileAtomically(program / "other.json", task.dump());
  REQUIRE(program.Measure(Quality({"--limit", "30"})).exit_code == 0);

  Outcome outcome = program.Measure(Quality({"--limit", "10"}));
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.errors, Contains("tiny: 10 of 10 items were measured already (run 1)"));
  outcome = program.Measure(Quality());
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.errors, Contains("tiny: 30 of 40 items were measured already (run 1)"));

  std::vector<std::string> both = program.MeasureArguments(Quality());
  *std::find(both.begin(), both.end(), "./task.json") = "./other.json,./task.json";
  outcome = program.Run(both);
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.errors,
             Contains("tiny: 30 of 40 items were measured already (run 1)") && !Contains("other: "));
  {
    const Store store = program.Database();
    CHECK(store.Items(PhaseOf(store, 4, "quality").data_id, "other").size() == 40);
    CHECK(store.Items(PhaseOf(store, 4, "quality").data_id, "tiny").size() == 40);
    Json of_tiny = Json::array();
    for (const Json& row : MetricsOf(store, 4)) {
      if (row[1] == "tiny") of_tiny.push_back(row);
    }
    CHECK(of_tiny == MetricsOf(store, 3));
  }

  // Another prompt is another measurement, although the documents are the same.
  task["name"] = "tiny";
  task["prompt"] = "{question}";
  WriteFileAtomically(program / "task.json", task.dump());
  outcome = program.Measure(Quality());
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.errors, !Contains("items were measured already"));
}

}  // namespace
}  // namespace tnb
