// tnbench verify: the frame, and invariance on a tiny model.
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::Program;

TEST_CASE("verify invariance measures every way, states what is allowed and stores both") {
  const Program program;
  const Outcome outcome =
      program.Run({"verify", "invariance", "--model", "./model", "--method",
                   "fp32,bf16,int8,int4:group=32,mpo,mpo+int8", "--db", "results.db", "--json"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Json table = ParseJson(outcome.output, "verify");
  REQUIRE(table["rows"].size() == 6 * 5);
  for (const Json& row : table["rows"]) CHECK(row["verdict"] == "holds");

  const std::vector<MeasurementRow> rows = program.Database().Measurements("invariance");
  REQUIRE(rows.size() == 6 * 5);
  bool some_choice_rounds = false;
  for (const MeasurementRow& row : rows) {
    CAPTURE(row.subject, row.name);
    REQUIRE(row.tolerance);
    const bool factorized = row.subject.find("mpo") != std::string::npos;
    if (factorized) {
      some_choice_rounds = some_choice_rounds || row.value > 0;
    } else {
      // The promise of dense formats: the same bits.
      CHECK(*row.tolerance == 0);
      CHECK(row.value == 0);
      CHECK(row.detail["values_changed"] == 0);
    }
    CHECK(row.detail["tokens"] == 1 + 2 + 15 + 33 + 65 + 100);
    CHECK(row.detail["model_hash"].get<std::string>().size() == 64);
    CHECK(row.settings["threads"] ==
          (row.name == "threads" ? 1 : row.settings["threads_of_base"].get<int>()));
    CHECK(row.unit == "nats");
    CHECK_THAT(row.command, Contains("verify invariance"));
  }
  // Contracting and rebuilding do not round alike: a comparison of a thing with itself would say so.
  CHECK(some_choice_rounds);
}

TEST_CASE("verify takes random weights, and says what it cannot do") {
  const Program program;
  const Outcome random = program.Run({"verify", "invariance", "--model", "./model", "--weights", "random",
                                      "--seed", "3", "--method", "int8", "--db", "r.db"});
  INFO(random.errors);
  CHECK(random.exit_code == 0);
  CHECK_THAT(random.output, Contains("random weights") && Contains("batched decode") && Contains("holds"));
  for (const auto& [arguments, about] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"verify"}, "subcommand"},
           {{"verify", "nothing"}, "verify --help"},
           {{"verify", "invariance", "--model", "./model", "--method", "int5"}, "int5"},
           {{"verify", "invariance", "--weights", "none"}, "--weights"}}) {
    const Outcome outcome = program.Run(arguments);
    CAPTURE(about, outcome.errors);
    CHECK(outcome.exit_code == 2);
    CHECK(testing::IsOneLineError(outcome.errors));
    CHECK_THAT(outcome.errors, Contains(about));
  }
}

}  // namespace
}  // namespace tnb
