// The model that comes with tnbench, models/nano, on the tasks of its world.
#include <map>

#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;

TEST_CASE("the model that comes with tnbench is the default, and knows its world") {
  const Program program;
  const Outcome outcome = program.Run({"run", "--method", "svd:keep=0.4", "--phases", "compress,quality",
                                       "--db", "results.db", "--artefacts", "artefacts"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  const Store store = program.Database();
  const auto scores = [&](int64_t run) {
    std::map<std::string, double> values;
    for (const MetricRow& metric : store.Metrics(PhaseOf(store, run, "quality").data_id)) {
      if (metric.main) values[metric.task] = metric.value;
    }
    return values;
  };
  // The goals of its recipe; what cannot be compared here, another processor's rounding, moves single items.
  const std::map<std::string, double> base = scores(1);
  CHECK(base.at("world-facts") >= 0.97);
  CHECK(base.at("world-arithmetic") >= 0.95);
  CHECK(base.at("world-summaries") >= 0.95);
  CHECK(base.at("world-endings") >= 0.80);
  CHECK(base.at("world-reading") > 0.35);  // it guesses
  // Compressed hard it does no sums any more.
  CHECK(scores(2).at("world-arithmetic") < 0.5);
  CHECK_THAT(program.Ask({"list", "models"}).output,
             Contains("nano") && Contains("1.8 M") && Contains("part of tnbench"));
  CHECK_THAT(program.Ask({"fetch", "nano"}).output, Contains("part of tnbench"));
}

}  // namespace tnb
