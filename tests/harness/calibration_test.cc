// Methods that look at a calibration text, from the command line to the record.
#include "harness/calibration.h"

#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"
#include "tests/tasks/fake_model.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;
using testing::Sentences;

int64_t StatisticsFiles(const Program& program) {
  int64_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(program / "artefacts")) {
    count += file.path().filename().string().starts_with("statistics-") ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST_CASE("windows are the first tokens of the text, all of one length") {
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "text.txt", Sentences(10));
  const CalibrationText text{"text.txt", (folder / "text.txt").string(), ""};
  const testing::ByteTokenizer bytes;
  const Tokenizer& tokenizer = bytes;
  const auto windows = CalibrationWindows(text, tokenizer, 3, 20);
  const TokenIds all = tokenizer.Encode(Sentences(10));
  REQUIRE(windows.size() == 3);
  CHECK(windows[2] == TokenIds(all.begin() + 40, all.begin() + 60));
  CHECK_THROWS_WITH(CalibrationWindows(text, tokenizer, 1000, 20),
                    Contains("too short") && Contains("fewer windows"));
}

TEST_CASE("a calibrated run records its text, and methods share the statistics") {
  const Program program;
  WriteFileAtomically(program / "text.txt", Sentences(40));
  const auto measure = [&](const std::string& method) {
    const Outcome outcome = program.Measure({"--method", method, "--phases", "compress", "--no-base"});
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    return outcome;
  };
  const std::string calibration = "data=text.txt,length=16,windows=8";
  measure("svd-llm:keep=0.5," + calibration);
  CHECK(StatisticsFiles(program) == 1);
  measure("svd:whiten=fisher,gradient_windows=4,keep=0.5," + calibration);
  CHECK(StatisticsFiles(program) == 2);  // the inputs are there already
  measure("asvd:" + calibration + "+int8@all");
  CHECK(StatisticsFiles(program) == 2);
  measure("fwsvd:" + calibration);
  CHECK(StatisticsFiles(program) == 3);
  {
    const Store store = program.Database();
    const Json detail = store.Stages(PhaseOf(store, 2, "compress").data_id).at(0).detail;
    REQUIRE(detail.at("statistics").size() == 2);
    const Json& inputs = detail.at("statistics")[0];
    CHECK(inputs.at("text_sha256") == Sha256File(program / "text.txt"));
    CHECK(inputs.at("tokens") == 128);
    CHECK(detail.at("statistics")[1].at("tokens") == 64);
    CHECK(detail.at("statistics")[1].at("labels") == "model");
    const auto budget = detail.at("allocation").at("budget").get<double>();
    const auto spent = detail.at("allocation").at("parameters").get<double>();
    CHECK(spent <= budget);
    CHECK(spent >= 0.97 * budget);  // one step of matrices this small is 2 % of the whole
    CHECK(store.Stages(PhaseOf(store, 4, "compress").data_id).at(0).detail.at("statistics")[0].at("labels") ==
          "text");
  }
  // The same command is not measured again; another text under the same name is.
  CHECK_THAT(measure("svd-llm:keep=0.5," + calibration).errors, Contains("already measured"));
  WriteFileAtomically(program / "text.txt", Sentences(60));
  CHECK_THAT(measure("svd-llm:keep=0.5," + calibration).errors, !Contains("already measured"));
  CHECK(StatisticsFiles(program) == 4);
}

TEST_CASE("a calibration text that is missing or a task's own is refused before anything runs") {
  const Program program;
  Outcome outcome = program.Measure({"--method", "svd-llm:data=absent.txt"});
  CHECK(outcome.exit_code != 0);
  CHECK(testing::IsOneLineError(outcome.errors));
  CHECK_THAT(outcome.errors, Contains("absent.txt") && Contains("data=FILE"));
  outcome = program.Measure({"--method", "svd-llm:data=task.jsonl,length=4,windows=2"});
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.errors, Contains("calibrated on the items of a task") && Contains("tiny"));
  CHECK_FALSE(std::filesystem::exists(program / "results.db"));
  // Random weights have no text to read.
  WriteFileAtomically(program / "text.txt", Sentences(40));
  outcome =
      program.Measure({"--method", "svd-llm:data=text.txt", "--weights", "random", "--phases", "compress"});
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.errors, Contains("needs a model with a tokenizer"));
}

}  // namespace tnb
