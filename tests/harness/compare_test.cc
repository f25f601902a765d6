// tnbench compare and report on real runs of the tiny model.
#include "harness/metric_shapes.h"
#include "tasks/metrics.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::IsOneLineError;
using testing::Outcome;
using testing::Program;

TEST_CASE("compare: from runs to verdicts and exit codes") {
  const Program program;
  REQUIRE(program.Measure({"--method", "int8", "--phases", "compress,quality,speed"}).exit_code == 0);
  const auto compare = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "compare");
    arguments.insert(arguments.end(), {"--db", "results.db"});
    return program.Run(arguments);
  };
  const Outcome methods = compare({"fp32", "int8"});
  CHECK(methods.exit_code == 0);
  CHECK_THAT(methods.output, Contains("tiny acc [%]") && Contains("decode_64") && Contains("verdict on B") &&
                                 Contains("exact McNemar") && Contains("better (exact)") &&
                                 Contains("protocol tiny 0-shot"));
  // The same by run, by uuid, by file and by commit.
  const std::string uuid = program.Database().Run(2).run.uuid;
  const std::string commit = program.Database().Run(2).build.commit;
  for (const std::string& side :
       {std::string("2"), uuid, std::string("results.db:int8"), "commit:" + commit + ":int8"}) {
    const Outcome outcome = compare({"1", side, "--json"});
    INFO(side << outcome.errors);
    CHECK(outcome.exit_code == 0);
    const Json json = Json::parse(outcome.output);
    CHECK(json["comparisons"][0]["a"]["run"] == 1);
    CHECK(json["comparisons"][0]["b"]["run"] == 2);
    CHECK(json["comparisons"][0]["numbers"][0]["n"] == 12);
  }
  for (const std::string format : {"md", "csv", "latex"}) {
    CHECK_THAT(compare({"1", "2", "--format", format}).output, Contains("tiny acc"));
  }
  const Outcome itself = compare({"1", "1", "--only", "accuracy"});
  CHECK(itself.exit_code == 3);
  CHECK_THAT(itself.output, Contains("not comparable: it is the same measurement"));
  for (const auto& [side, words] : {std::pair{"99", "no such run"},
                                    {"int9", "is nothing to compare"},
                                    {"commit:", "no commit"},
                                    {"mpo", "no such run"}}) {
    const Outcome outcome = compare({"1", side});
    CHECK(outcome.exit_code == 2);
    CHECK(IsOneLineError(outcome.errors));
    CHECK_THAT(outcome.errors, Contains(words));
  }
  CHECK(compare({"1", "2", "--margin", "0"}).exit_code == 2);
  CHECK(compare({"1", "2", "--only", "taste"}).exit_code == 2);

  const Outcome report = program.Run({"report", "--db", "results.db"});
  CHECK_THAT(report.output, Contains("| int8 ") && Contains("- int8 is int8:act=int8"));
  CHECK_THAT(program.Run({"report", "--db", "results.db", "--pivot", "task"}).output, Contains("| number"));
  CHECK_THAT(program.Run({"report", "--db", "results.db", "--format", "latex"}).output,
             Contains("bottomrule"));
}

TEST_CASE("compare --measure times two methods in turns, each in runs of its own") {
  const Program program;
  const Outcome outcome =
      program.Run({"compare", "--measure", "fp32", "int8", "--model", "./model", "--db", "results.db",
                   "--artefacts", "artefacts", "--threads", "1", "--rounds", "2", "--repetitions", "1"});
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("decode_64") && Contains("A B B A") && Contains("exact Mann-Whitney"));
  std::string order;
  for (const RunView& run : program.Database().Runs()) order += run.method.text[0];
  CHECK(order == "fiiffiif");
}

TEST_CASE("reports know the direction of every metric of tasks") {
  for (const MetricInfo& info : MetricInfos()) {
    CHECK(ShapeOfMetric(info.name).higher_is_better == info.higher_is_better);
    CHECK(ShapeOfMetric(info.name).ratio == (info.kind != MetricInfo::Kind::kMean));
  }
  CHECK_FALSE(ShapeOfMetric("kld_mean").higher_is_better);
  CHECK(ShapeOfMetric("top1_agreement").higher_is_better);
}

}  // namespace
}  // namespace tnb
