// Bad files, bad databases, and a system that refuses.
#include <fstream>

#include "base/files.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::IsOneLineError;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;

TEST_CASE("a damaged checkpoint is one line, and nothing is begun") {
  const Program program;
  const auto weights = program / "model" / "model.safetensors";
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) / 2);
  const Outcome outcome = program.Measure({"--method", "fp32"});
  CHECK(outcome.exit_code == 1);
  CHECK(IsOneLineError(outcome.errors));
  CHECK_THAT(outcome.errors, Contains("model.safetensors"));
  CHECK_FALSE(std::filesystem::exists(program / "results.db"));
}

TEST_CASE("weights that are not numbers are a failed run") {
  const Program program;
  const auto weights = program / "model" / "model.safetensors";
  std::string bytes = ReadFile(weights);
  bytes.replace(bytes.size() - 4, 4, "\x00\x00\xc0\x7f", 4);  // a NaN at the end of the last tensor
  std::ofstream(weights, std::ios::binary) << bytes;
  const Outcome outcome = program.Measure({"--method", "fp32"});
  CHECK(outcome.exit_code == 1);
  const Store store = program.Database();
  CHECK(store.Run(1).run.status == RunStatus::kFailed);
  CHECK(PhaseOf(store, 1, "compress").status == PhaseStatus::kFailed);
  CHECK(PhaseOf(store, 1, "quality").status == PhaseStatus::kSkipped);
  for (const auto& file : std::filesystem::directory_iterator(program / "artefacts")) {
    CHECK(file.path().extension() != ".safetensors");  // no half artefact under its name
  }
}

TEST_CASE("databases that cannot be used are one line") {
  const Program program;
  std::ofstream(program / "results.db") << std::string(5000, 'x');
  Outcome outcome = program.Measure({"--method", "fp32"});
  CHECK(outcome.exit_code == 1);
  CHECK(IsOneLineError(outcome.errors));
  CHECK(ReadFile(program / "results.db") == std::string(5000, 'x'));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"report"}, {"show", "1"}, {"export", "1", "--items"}}) {
    CAPTURE(command);
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--db", "absent.db"});
    outcome = program.Run(arguments);
    CHECK(outcome.exit_code == 1);
    CHECK(IsOneLineError(outcome.errors));
    CHECK_THAT(outcome.errors, Contains("absent.db") && Contains("hint"));
  }
}

TEST_CASE("missing data and folders are one line") {
  const Program program;
  std::filesystem::remove(program / "task.jsonl");
  Outcome outcome = program.Measure({"--method", "fp32"});
  CHECK(outcome.exit_code == 1);
  CHECK(IsOneLineError(outcome.errors));
  CHECK_THAT(outcome.errors, Contains("task.jsonl") && Contains("--data-dir"));
  outcome = program.Measure({"--method", "fp32", "--data-dir", "nowhere"});
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.errors, Contains("nowhere"));
}

TEST_CASE("an artefact that was changed is not measured") {
  const Program program;
  REQUIRE(program.Measure({"--method", "fp32", "--phases", "compress"}).exit_code == 0);
  std::string path;
  {
    const Store store = program.Database();
    path = store.Artefact(PhaseOf(store, 1, "compress").data_id)->path;
  }
  std::string bytes = ReadFile(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(path, std::ios::binary) << bytes;
  const Outcome outcome = program.Measure({"--method", "fp32", "--phases", "quality"});
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.errors, Contains("the artefact changed"));
  // A missing one is made again.
  std::filesystem::remove(path);
  CHECK(program.Measure({"--method", "fp32", "--phases", "quality"}).exit_code == 0);
}

TEST_CASE("a full disk is one line, and the database stays readable") {
  const Program program(2000);
  REQUIRE(program.Measure({"--method", "fp32", "--phases", "compress"}).exit_code == 0);
  // No file may grow much beyond what is there: the items of the quality phase do not fit.
  const auto size = static_cast<int64_t>(std::filesystem::file_size(program / "results.db"));
  const Outcome outcome =
      program.Measure({"--method", "fp32", "--phases", "quality"}, {.file_bytes = size + (128 << 10)});
  CHECK(outcome.exit_code == 1);
  const size_t last = outcome.errors.rfind("tnbench: error: ");
  REQUIRE(last != std::string::npos);
  CHECK(IsOneLineError(outcome.errors.substr(last)));
  CHECK_THAT(outcome.errors, Contains("hint"));
  {
    const Store store = program.Database();
    CHECK(store.Run(1).run.status == RunStatus::kPartial);
    for (const RunView& view : store.Runs()) CHECK(view.run.status != RunStatus::kOk);
  }
  CHECK(program.Measure({"--method", "fp32", "--phases", "quality"}).exit_code == 0);
}

}  // namespace
}  // namespace tnb
