// tnbench verify: the frame, and invariance on a tiny model.
#include <tuple>

#include "base/files.h"
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
                   "fp32,bf16,int8,int4:group=32,mpo,mpo+int8,pq:width=16", "--db", "results.db", "--json"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Json table = ParseJson(outcome.output, "verify");
  REQUIRE(table["rows"].size() == 7 * 5);
  for (const Json& row : table["rows"]) CHECK(row["verdict"] == "holds");
  CHECK_THAT(table.dump(),
             Contains("216 tokens") && Contains("6 sequences of 1 to 100 random tokens, seed 0"));

  const std::vector<MeasurementRow> rows = program.Database().Measurements("invariance");
  REQUIRE(rows.size() == 7 * 5);
  bool some_choice_rounds = false;
  for (const MeasurementRow& row : rows) {
    CAPTURE(row.subject, row.name);
    REQUIRE(row.tolerance);
    const bool factorized = row.subject.find("mpo") != std::string::npos;
    if (row.subject.find("pq") != std::string::npos) {
      CHECK(*row.tolerance == 1e-3);  // tables for few tokens, expanded for many
    } else if (factorized) {
      some_choice_rounds = some_choice_rounds || row.value > 0;
    } else {
      // The promise of dense formats: the same bits.
      CHECK(*row.tolerance == 0);
      CHECK(row.value == 0);
      CHECK(row.detail["values_changed"] == 0);
    }
    CHECK(row.detail["n"] == 1 + 2 + 15 + 33 + 65 + 100);
    CHECK(row.detail["model_hash"].get<std::string>().size() == 64);
    CHECK(row.settings["threads"] ==
          (row.name == "threads" ? 1 : row.settings["threads_of_base"].get<int>()));
    CHECK(row.unit == "nats");
    CHECK_THAT(row.command, Contains("verify invariance"));
  }
  // Contracting and rebuilding do not round alike: a comparison of a thing with itself would say so.
  CHECK(some_choice_rounds);
}

TEST_CASE("verify ising compares with published values, and promises nothing where it is not exact") {
  const Program program;
  const Outcome outcome =
      program.Run({"verify", "ising", "--chi", "4,2", "--plot", "m.svg", "--db", "results.db", "--json"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Json json = ParseJson(outcome.output, "verify");
  REQUIRE(json["rows"].size() == 2);
  CHECK(json["rows"][0]["check"] == "chi 2");
  CHECK_THAT(json.dump(), Contains("17 angles") && Contains("from the published values"));
  CHECK(json["rows"][1]["verdict"] == "");  // not exact: shown, not judged
  REQUIRE(json["tables"].size() == 2);
  CHECK(json["tables"][0]["rows"].size() == 17);
  CHECK(json["tables"][0]["rows"][8]["published"]["value"] == 0.452803869173);
  const std::vector<MeasurementRow> rows = program.Database().Measurements("ising");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].value > 10 * rows[1].value / 9);  // converging
  CHECK(rows[1].value > 1e-3);
  CHECK(rows[1].detail["values"].size() == 17);
  CHECK_THAT(ReadFile(program / "m.svg"), Contains("<svg") && Contains("published") && Contains("chi 4"));

  // Without published values the largest bond dimension is what the others are measured by.
  const Outcome other = program.Run({"verify", "ising", "--qubits", "23", "--steps", "2", "--chi", "1,4",
                                     "--site", "3", "--db", "results.db"});
  INFO(other.errors);
  REQUIRE(other.exit_code == 0);
  CHECK_THAT(other.output, Contains("Z_3 after 2 steps on 23 qubits") && !Contains("published"));
  for (const auto& [option, value, about] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"--qubits", "100", "65 or 127"}, {"--site", "127", "0 to 126"}, {"--chi", "0", "--chi"}}) {
    const Outcome bad = program.Run({"verify", "ising", option, value, "--db", "results.db"});
    CHECK(bad.exit_code == 2);
    CHECK(testing::IsOneLineError(bad.errors));
    CHECK_THAT(bad.errors, Contains(about));
  }
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
           {{"verify", "invariance", "--model", "./model", "--method", "int99"}, "int99"},
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
