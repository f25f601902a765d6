// The nightly verdict from rows of a database.
#include "reports/night.h"

#include <cmath>

#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

struct NightValues {
  double rate = 50;
  int wrong = 10;  // of 200 items
  double stored = 1000;
  int64_t shots = 0;
  std::string machine = "laptop", model = "nano";
};

int64_t AddNight(Store& store, const NightValues& values) {
  const int64_t run = testing::BeginSampleRun(store, "int8@all", {{"seed", 1}}, values.model, values.machine);
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  store.AddMetric({.phase_id = compress, .name = "stored_bytes", .value = values.stored, .unit = "bytes"});
  store.FinishPhase(compress, {});
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  std::vector<ItemRow> items;
  for (int i = 0; i < 200; ++i) {
    items.push_back({.phase_id = quality,
                     .task = "boolq",
                     .doc_index = i,
                     .prompt_sha256 = Sha256Hex(std::to_string(i)),
                     .scores = {{"acc", i < values.wrong ? 0.0 : 1.0}}});
  }
  store.AddItems(items);
  store.AddMetric(
      {.phase_id = quality,
       .name = "acc",
       .task = "boolq",
       .filter = "none",
       .value = 1 - values.wrong / 200.0,
       .unit = "fraction",
       .n = 200,
       .main = true,
       .protocol_id = store.PutProtocol({.name = "boolq", .content = {{"num_fewshot", values.shots}}})});
  store.FinishPhase(quality, {});
  const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
  store.AddMetric({.phase_id = speed, .name = "decode_64", .value = values.rate, .unit = "tokens/s"});
  store.AddMetric({.phase_id = speed,
                   .name = "decode_64",
                   .variant = "rebuilt",
                   .value = values.rate,
                   .unit = "tokens/s"});
  store.FinishPhase(speed, {});
  store.FinishRun(run, RunStatus::kOk);
  return run;
}

const NightRow& RowOf(const Night& night, const std::string& series) {
  for (const NightRow& row : night.rows) {
    if (row.series == series) return row;
  }
  FAIL("no row of " << series);
  return night.rows.front();
}

// Ten nights around 50 tokens/s.
void AddHistory(Store& store, int64_t nights = 10) {
  for (int64_t i = 0; i < nights; ++i)
    AddNight(store, {.rate = 50 + 0.2 * static_cast<double>(i * 7 % 5 - 2)});
}

TEST_CASE("the first night is fine, and nights like it stay so") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const NightOptions options = {.suite = "s"};
  const Night first = JudgeNight(store, {AddNight(store, {})}, options);
  CHECK(NightExitCode(first) == 0);
  CHECK(RowOf(first, "speed.decode_64").verdict == NightVerdict::kTooFewNights);
  CHECK(first.rows.size() == 3);  // variants are not watched
  AddHistory(store);
  const Night night = JudgeNight(store, {AddNight(store, {})}, options);
  CHECK(NightExitCode(night) == 0);
  CHECK(RowOf(night, "speed.decode_64").verdict == NightVerdict::kFine);
  CHECK(RowOf(night, "quality.boolq.acc").verdict == NightVerdict::kFine);
  CHECK(RowOf(night, "compress.stored_bytes").verdict == NightVerdict::kFine);
  CHECK(night.changes.empty());
}

TEST_CASE("a slower program is a regression on the third night, and the step is kept") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const NightOptions options = {.suite = "s"};
  AddHistory(store, 12);
  Night night;
  int64_t first_slow = 0;
  for (int i = 0; i < 3; ++i) {
    const int64_t run = AddNight(store, {.rate = 46 + 0.1 * i});
    if (i == 0) first_slow = run;
    night = JudgeNight(store, {run}, options);
    const NightVerdict verdict = RowOf(night, "speed.decode_64").verdict;
    CHECK(verdict == (i < 2 ? NightVerdict::kWatch : NightVerdict::kRegression));
    CHECK(NightExitCode(night) == (i < 2 ? 0 : 1));
  }
  REQUIRE(night.changes.size() == 1);
  const ChangePointRow& change = night.changes[0].row;
  CHECK(change.run_id == first_slow);
  CHECK(change.level_before == Approx(50).epsilon(0.01));
  CHECK(change.level_after == Approx(46.1));
  CHECK(night.changes[0].nights_before == 12);
  CHECK(night.changes[0].nights_after == 3);
  CHECK(store.PutChangePoint(change));
  CHECK_FALSE(store.PutChangePoint(change));  // found again the next night
  CHECK(store.ChangePoints("s").size() == 1);
  CHECK(store.ChangePoints("other").empty());
  const std::string text = NightMarkdown(options, night);
  CHECK_THAT(text, Contains("# s: regression") && Contains("| regression") && Contains("speed.decode_64") &&
                       Contains("Steps in the history"));
  // Every number with its n and its protocol.
  CHECK_THAT(text, Contains(" (12 nights) to ") && Contains(" (3 nights, -") && Contains("P1: settings ") &&
                       Contains("{\"seed\":1}") && Contains("| P1 "));
  const NightRow& boolq = RowOf(night, "quality.boolq.acc");
  CHECK(boolq.n == 200);
  CHECK_THAT(text, Contains(": " + boolq.protocol + "\n"));
  CHECK_THAT(NightJUnit(options, night), Contains("(n=200, " + boolq.protocol + ")"));
}

TEST_CASE("lost answers are a regression at once") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const NightOptions options = {.suite = "s"};
  AddNight(store, {});
  const Night worse = JudgeNight(store, {AddNight(store, {.wrong = 20})}, options);
  const NightRow& row = RowOf(worse, "quality.boolq.acc");
  CHECK(row.verdict == NightVerdict::kRegression);  // 10 lost, none won: exact p = 0.002
  CHECK(row.change == Approx(-0.05));
  CHECK_THAT(row.text, Contains("10 lost, 0 won"));
  CHECK(NightExitCode(worse) == 1);
  const Night better = JudgeNight(store, {AddNight(store, {.wrong = 0})}, options);
  CHECK(RowOf(better, "quality.boolq.acc").verdict == NightVerdict::kImprovement);
  const Night close = JudgeNight(store, {AddNight(store, {.wrong = 12})}, options);
  CHECK(RowOf(close, "quality.boolq.acc").verdict == NightVerdict::kFine);
}

TEST_CASE("nights of other machines, weights and protocols are not compared") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const NightOptions options = {.suite = "s"};
  AddHistory(store);
  Night night = JudgeNight(store, {AddNight(store, {.machine = "server"})}, options);
  CHECK(NightExitCode(night) == 3);
  CHECK_THAT(RowOf(night, "speed.decode_64").text, Contains("another machine"));
  night = JudgeNight(store, {AddNight(store, {.shots = 5})}, options);
  CHECK(NightExitCode(night) == 3);
  CHECK_THAT(RowOf(night, "quality.boolq.acc").text, Contains("another protocol"));
  CHECK(RowOf(night, "speed.decode_64").verdict == NightVerdict::kFine);  // times have none
  // A reused phase is no night.
  const int64_t reuse = testing::BeginSampleRun(store, "int8@all");
  for (const PhaseRow& phase : store.Phases(1)) store.AdoptPhase(reuse, phase.id);
  store.FinishRun(reuse, RunStatus::kOk);
  CHECK(JudgeNight(store, {reuse}, options).rows.empty());
  CHECK(MachineClass({.facts = {{"cores", 2}, {"system", "Debian 12"}}}) ==
        MachineClass({.facts = {{"cores", 2}, {"system", "Debian 13"}}}));
}

TEST_CASE("an accepted regression is not said again, and the next one is") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const NightOptions options = {.suite = "s"};
  AddHistory(store, 12);
  int64_t tonight = 0;
  for (int i = 0; i < 3; ++i) tonight = AddNight(store, {.rate = 46 + 0.1 * i, .wrong = 30});
  Night night = JudgeNight(store, {tonight}, options);
  REQUIRE(RowOf(night, "speed.decode_64").verdict == NightVerdict::kRegression);
  REQUIRE(RowOf(night, "quality.boolq.acc").verdict == NightVerdict::kRegression);

  const auto accept = [&](const std::vector<std::string>& series, const std::string& reason) {
    for (const AcceptanceRow& row : AcceptRegressions(night, "s", series, reason)) store.PutAcceptance(row);
  };
  CHECK_THROWS_WITH(accept({"speed.decode_65"}, "x"),
                    Contains("speed.decode_65") && Contains("quality.boolq.acc, speed.decode_64, or all"));
  CHECK_THROWS_WITH(accept({"speed.decode_64"}, ""), Contains("reason"));
  accept({"speed.decode_64"}, "exact, but slower");
  night = JudgeNight(store, {tonight}, options);
  CHECK(RowOf(night, "speed.decode_64").verdict == NightVerdict::kFine);
  CHECK(RowOf(night, "speed.decode_64").level == Approx(46).epsilon(0.01));
  CHECK_THAT(RowOf(night, "speed.decode_64").text, Contains("accepted at run 15: exact, but slower"));
  CHECK(NightExitCode(night) == 1);  // the answers are still worse
  accept({"all"}, "a smaller table");
  CHECK(store.Acceptances("s").size() == 2);
  night = JudgeNight(store, {tonight}, options);
  CHECK(NightExitCode(night) == 0);
  CHECK_THAT(NightMarkdown(options, night), Contains("a smaller table"));
  CHECK_THROWS_WITH(accept({"all"}, "again"), Contains("nothing regressed"));

  // The nights that follow are compared with the accepted level; other suites with their own.
  night = JudgeNight(store, {AddNight(store, {.rate = 46, .wrong = 30})}, options);
  CHECK(NightExitCode(night) == 0);
  CHECK_THAT(RowOf(night, "quality.boolq.acc").text, Contains("against run 15: the same answers"));
  CHECK(NightExitCode(JudgeNight(store, {tonight}, {.suite = "other"})) == 1);
  for (int i = 0; i < 3; ++i) tonight = AddNight(store, {.rate = 43 - 0.1 * i, .wrong = 45});
  night = JudgeNight(store, {tonight}, options);
  CHECK(RowOf(night, "speed.decode_64").verdict == NightVerdict::kRegression);
  CHECK(RowOf(night, "quality.boolq.acc").verdict == NightVerdict::kRegression);
}

TEST_CASE("groups and perplexities are compared item by item") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const auto add = [&](int wrong, double more) {
    const int64_t run = testing::BeginSampleRun(store, "int8@all");
    const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
    std::vector<ItemRow> items;
    for (const std::string task : {"law", "physics"}) {
      for (int i = 0; i < 60; ++i) {
        items.push_back(
            {.phase_id = quality, .task = task, .doc_index = i, .scores = {{"acc", i < wrong ? 0.0 : 1.0}}});
      }
    }
    double sum = 0;
    for (int i = 0; i < 20; ++i) {
      const double loglikelihood = -100 - i - more * (1 + i % 3);
      sum += loglikelihood;
      items.push_back({.phase_id = quality,
                       .task = "wiki",
                       .doc_index = i,
                       .scores = {{"loglikelihood", loglikelihood}, {"tokens", 40.0}}});
    }
    store.AddItems(items);
    store.AddMetric(
        {.phase_id = quality,
         .name = "acc",
         .task = "mmlu",
         .value = 1 - wrong / 60.0,
         .unit = "fraction",
         .n = 120,
         .main = true,
         .protocol_id = store.PutProtocol(
             {.name = "mmlu", .content = {{"group", "mmlu"}, {"tasks", {{"law", "x"}, {"physics", "y"}}}}})});
    store.AddMetric({.phase_id = quality,
                     .name = "ppl.gptq",
                     .task = "wiki",
                     .value = std::exp(-sum / 800),
                     .unit = "perplexity",
                     .n = 20,
                     .main = true,
                     .protocol_id = store.PutProtocol({.name = "wiki", .content = {{"window", 40}}})});
    store.FinishPhase(quality, {});
    store.FinishRun(run, RunStatus::kOk);
    return run;
  };
  NightOptions options = {.suite = "s"};
  options.shapes = [](const std::string& name) {
    return name == "ppl.gptq" ? MetricShape{.higher_is_better = false, .ratio = true, .denominator = "tokens"}
                              : MetricShape{};
  };
  add(10, 0);
  Night night = JudgeNight(store, {add(10, 0)}, options);
  CHECK(NightExitCode(night) == 0);
  CHECK_THAT(RowOf(night, "quality.mmlu.acc").text, Contains("120 items") && Contains("the same answers"));
  night = JudgeNight(store, {add(10, 1)}, options);
  CHECK(RowOf(night, "quality.wiki.ppl.gptq").verdict == NightVerdict::kRegression);
  night = JudgeNight(store, {add(10, -1)}, options);
  CHECK(RowOf(night, "quality.wiki.ppl.gptq").verdict == NightVerdict::kImprovement);
  // Two subjects are two observations, which decide nothing.
  night = JudgeNight(store, {add(30, 0)}, options);
  CHECK(RowOf(night, "quality.mmlu.acc").verdict == NightVerdict::kFine);
  CHECK_THAT(RowOf(night, "quality.mmlu.acc").text, Contains("by cluster"));
}

TEST_CASE("limits and what is watched come from the suite") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  NightOptions options = {.suite = "s & <co>"};
  options.series = {{"compress.stored_bytes", false, 0.01}};
  options.limits = {{.series = "quality.boolq.acc", .least = 0.96},
                    {.series = "compress.stored_bytes", .method = "int8@all", .most = 1000.0},
                    {.series = "compress.stored_bytes", .method = "int4@all", .most = 1.0},
                    {.series = "speed.gone", .least = 1.0}};
  const Night night = JudgeNight(store, {AddNight(store, {})}, options);
  CHECK(RowOf(night, "limit quality.boolq.acc").verdict == NightVerdict::kRegression);  // 0.95
  CHECK(RowOf(night, "limit compress.stored_bytes").verdict == NightVerdict::kFine);
  CHECK(RowOf(night, "limit speed.gone").verdict == NightVerdict::kNotComparable);
  CHECK(night.rows.size() == 5);
  CHECK(NightExitCode(night) == 1);
  const std::string xml = NightJUnit(options, night);
  CHECK_THAT(xml, Contains("name=\"s &amp; &lt;co&gt;\" tests=\"5\" failures=\"1\"") &&
                      Contains("<failure message=") && Contains("skipped=\"3\""));
  CHECK_THROWS(JudgeNight(store, {1}, {.suite = "s", .accuracy_alpha = 0}));
}

TEST_CASE("a run that failed is a regression") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t run = testing::BeginSampleRun(store, "int8@all");
  store.FinishRun(run, RunStatus::kCrashed, "compress: out of memory");
  const Night night = JudgeNight(store, {run}, {.suite = "s"});
  REQUIRE(night.rows.size() == 1);
  CHECK_THAT(night.rows[0].text, Contains("crashed: compress: out of memory"));
  CHECK(NightExitCode(night) == 1);
}

}  // namespace
}  // namespace tnb
