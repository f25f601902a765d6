// Workers and drivers that are killed, hang, or are interrupted.
#include <signal.h>

#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;

// Long enough to be met in the middle of its speed phase.
const std::vector<std::string> kLongSpeed = {"--repetitions", "10000"};

std::vector<std::string> With(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_CASE("a killed worker is a crashed phase, and the other cells go on") {
  const Program program;
  const pid_t driver = program.Start(
      program.MeasureArguments(With({"--method", "fp32,int8", "--phases", "quality,speed"}, kLongSpeed)));
  for (int cell = 0; cell < 2; ++cell) {
    const pid_t worker = program.WaitForWorker(driver, "speed");
    REQUIRE(worker > 0);
    REQUIRE(::kill(worker, SIGKILL) == 0);
    while (::kill(worker, 0) == 0) {  // until the driver has reaped it
    }
  }
  const Outcome outcome = program.Wait(driver);
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.errors, Contains("crashed") && Contains("SIGKILL"));
  CHECK_THAT(outcome.output, Contains("crashed"));
  const Store store = program.Database();
  REQUIRE(store.Runs().size() == 2);
  for (int64_t run = 1; run <= 2; ++run) {
    CHECK(store.Run(run).run.status == RunStatus::kCrashed);
    CHECK(PhaseOf(store, run, "quality").status == PhaseStatus::kOk);
    const PhaseRow speed = PhaseOf(store, run, "speed");
    CHECK(speed.status == PhaseStatus::kCrashed);
    CHECK(speed.exit_code == -SIGKILL);
    CHECK(speed.peak_bytes.value_or(0) > 0);
  }
}

TEST_CASE("a killed driver loses no finished phase, and its worker ends with it") {
  const Program program;
  const pid_t driver = program.Start(
      program.MeasureArguments(With({"--method", "fp32", "--phases", "quality,speed"}, kLongSpeed)));
  const pid_t worker = program.WaitForWorker(driver, "speed");
  REQUIRE(worker > 0);
  REQUIRE(::kill(driver, SIGKILL) == 0);
  CHECK(program.Wait(driver).exit_code == -SIGKILL);
  for (int i = 0; i < 500 && ::kill(worker, 0) == 0; ++i) ::usleep(10000);
  CHECK(::kill(worker, 0) != 0);
  CHECK(program.Database().Run(1).run.status == RunStatus::kRunning);

  const Outcome outcome =
      program.Measure({"--method", "fp32", "--phases", "quality", "--repetitions", "10000"});
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.errors, Contains("quality: already measured (run 1)"));
  const Store store = program.Database();
  CHECK(store.Run(1).run.status == RunStatus::kCrashed);
  CHECK(PhaseOf(store, 1, "speed").status == PhaseStatus::kCrashed);
  CHECK(PhaseOf(store, 2, "quality").data_id == PhaseOf(store, 1, "quality").id);
}

TEST_CASE("Ctrl-C ends the worker and closes the rows") {
  const Program program;
  const pid_t driver = program.Start(
      program.MeasureArguments(With({"--method", "fp32,int8", "--phases", "speed"}, kLongSpeed)));
  const pid_t worker = program.WaitForWorker(driver, "speed");
  REQUIRE(worker > 0);
  REQUIRE(::kill(-driver, SIGINT) == 0);  // the group, as a terminal does
  const Outcome outcome = program.Wait(driver);
  CHECK(outcome.exit_code == 130);
  CHECK(::kill(worker, 0) != 0);
  const Store store = program.Database();
  REQUIRE(store.Runs().size() == 1);  // the second cell was not begun
  CHECK(store.Run(1).run.status == RunStatus::kCrashed);
  CHECK_THAT(PhaseOf(store, 1, "speed").reason, Contains("interrupted by") && Contains("SIGINT"));
  CHECK(PhaseOf(store, 1, "training").status == PhaseStatus::kSkipped);
}

TEST_CASE("a phase that takes too long is ended") {
  const Program program;
  const Outcome outcome =
      program.Measure(With({"--method", "fp32", "--phases", "speed", "--timeout", "4"}, kLongSpeed));
  CHECK(outcome.exit_code == 1);
  const Store store = program.Database();
  const PhaseRow speed = PhaseOf(store, 1, "speed");
  CHECK(speed.status == PhaseStatus::kCrashed);
  CHECK_THAT(speed.reason, Contains("timed out after 4"));
  CHECK(speed.seconds.value_or(0) >= 4);
}

}  // namespace
}  // namespace tnb
