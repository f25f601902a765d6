#include "reports/statistics/paired.h"

#include <cmath>

#include "base/error.h"
#include "tests/reports/golden.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Numbers = std::vector<double>;
using testing::StatisticsGolden;

TEST_CASE("exact McNemar") {
  for (const Json& row : StatisticsGolden().at("mcnemar")) {
    const auto b = row[0].get<int64_t>(), c = row[1].get<int64_t>();
    CHECK(McNemarExact({b, c}) == Approx(row[2].get<double>()).epsilon(1e-10));
    CHECK(McNemarExact({c, b}) == McNemarExact({b, c}));
  }
  CHECK(McNemarExact({0, 0}) == 1);
  CHECK_THROWS_AS(McNemarExact({-1, 2}), Error);
}

TEST_CASE("Tango's score against a numerical restricted likelihood") {
  for (const Json& row : StatisticsGolden().at("tango")) {
    const Discordant discordant = {row[0].get<int64_t>(), row[1].get<int64_t>()};
    INFO(row.dump());
    // The oracle's optimizer finds the probability to about 1e-8.
    CHECK(TangoScore(discordant, row[2].get<int64_t>(), row[3].get<double>()) ==
          Approx(row[4].get<double>()).epsilon(1e-6));
  }
  CHECK(TangoScore({4, 9}, 50, 0.1) == Approx(0).margin(1e-12));
}

TEST_CASE("Tango's interval holds exactly what the score test does not reject") {
  for (const Discordant& discordant : {Discordant{12, 5}, Discordant{0, 0}, Discordant{0, 7}}) {
    const Interval interval = TangoInterval(discordant, 100);
    INFO(discordant.first << " " << discordant.second);
    CHECK(TangoScore(discordant, 100, interval.lo) == Approx(1.959964).epsilon(1e-6));
    CHECK(TangoScore(discordant, 100, interval.hi) == Approx(-1.959964).epsilon(1e-6));
  }
  // No item changed: the difference may still be z^2 / (n + z^2), not 0.
  CHECK(TangoInterval({0, 0}, 100).hi == Approx(3.8414588 / 103.8414588).epsilon(1e-6));
  CHECK(TangoInterval({0, 3}, 3).hi <= 1);
  CHECK_THROWS_AS(TangoInterval({3, 3}, 5), Error);
}

TEST_CASE("equivalence of shares is the interval at 1 - 2 alpha within the margin") {
  for (const Discordant& discordant : {Discordant{3, 5}, Discordant{20, 21}, Discordant{0, 0}}) {
    for (const double margin : {0.01, 0.02, 0.05}) {
      const Interval interval = TangoInterval(discordant, 500, 0.9);
      const bool inside = interval.lo > -margin && interval.hi < margin;
      CHECK((TangoEquivalence(discordant, 500, margin) < 0.05) == inside);
    }
  }
  CHECK_THROWS_AS(TangoEquivalence({1, 1}, 10, 0), Error);
}

TEST_CASE("cluster-robust standard error") {
  const Json& golden = StatisticsGolden().at("clusters");
  const auto values = golden.at("values").get<Numbers>();
  const auto clusters = golden.at("clusters").get<std::vector<std::string>>();
  const Numbers zeros(values.size(), 0);
  const PairedSample sample = MakePairedSample(zeros, values, {}, clusters);
  CHECK(sample.clustered);
  CHECK(sample.sums.size() == 7);
  CHECK(ClusterStandardError(sample) == Approx(golden.at("se").get<double>()).epsilon(1e-12));
  // An empty cluster is an item of its own.
  CHECK(MakePairedSample(zeros, values, {}, std::vector<std::string>(values.size())).sums.size() ==
        values.size());
  CHECK_THROWS_AS(ClusterStandardError(MakePairedSample(Numbers{1}, Numbers{2})), Error);
}

TEST_CASE("means of paired scores") {
  const Json& golden = StatisticsGolden().at("scores");
  const auto first = golden.at("first").get<Numbers>(), second = golden.at("second").get<Numbers>();
  const PairedSample sample = MakePairedSample(first, second);
  CHECK_FALSE(sample.clustered);
  CHECK(ClusterStandardError(sample) == Approx(golden.at("se").get<double>()).epsilon(1e-12));
  // statsmodels' ttost_paired; a negligible range takes the addition to the variance away.
  CHECK(MeanEquivalence(sample, 0.03, 1e-12) == Approx(golden.at("tost_0.03").get<double>()).epsilon(1e-9));
  CHECK(MeanEquivalence(sample, 0.03, 1) > MeanEquivalence(sample, 0.03, 1e-12));
  // Two bootstraps with 10,000 and 200,000 resamples: their ends differ by a few percent of the width.
  const Interval interval = BootstrapInterval(sample);
  const double lo = golden.at("interval")[0], hi = golden.at("interval")[1];
  CHECK(interval.lo == Approx(lo).margin(0.04 * (hi - lo)));
  CHECK(interval.hi == Approx(hi).margin(0.04 * (hi - lo)));
  CHECK(BootstrapInterval(sample).lo == interval.lo);  // fixed seed
  CHECK(BootstrapInterval(sample, 0.95, {.seed = 1}).lo != interval.lo);

  const PairedSample few = MakePairedSample(std::span(first).first(11), std::span(second).first(11));
  CHECK(SignFlipTest(few).p == Approx(golden.at("permutation_11").get<double>()).epsilon(1e-12));
  CHECK(SignFlipTest(few).smallest_p == std::ldexp(1.0, -10));
}

TEST_CASE("sign flips of right-or-wrong items are McNemar's test, and random flips come near the exact") {
  Numbers first(100, 0), second(100, 0);
  for (int i = 0; i < 13; ++i) (i < 10 ? first : second)[static_cast<size_t>(i)] = 1;
  CHECK(SignFlipTest(MakePairedSample(first, second)).p == Approx(0.09228515625));
  // One score of another size: not McNemar any more, enumerated with 13 differing items...
  second[12] = 1.01;
  const double exact = SignFlipTest(MakePairedSample(first, second)).p;
  CHECK(exact == Approx(0.0923).margin(0.05));
  // ... and drawn with 13 + 4 of them, the four being too small to matter: within 5 standard errors.
  for (size_t i = 20; i < 24; ++i) second[i] = 1e-6 * static_cast<double>(i - 19);
  const PermutationTest drawn = SignFlipTest(MakePairedSample(first, second));
  CHECK(drawn.p == Approx(exact).margin(0.025));
  CHECK(drawn.smallest_p == Approx(1 / 10001.0));
}

TEST_CASE("weights make a ratio, identical items are known as such") {
  const PairedSample sample = MakePairedSample(Numbers{1, 2, 3}, Numbers{2, 2, 5}, Numbers{10, 20, 30});
  CHECK(sample.estimate() == Approx(3.0 / 60));
  CHECK(sample.identical_items == 1);
  CHECK_FALSE(sample.identical());
  const PairedSample same = MakePairedSample(Numbers{1, 2}, Numbers{1, 2});
  CHECK(same.identical());
  CHECK(SignFlipTest(same).p == 1);
  CHECK(MeanEquivalence(same, 0.1, 0) == 1);  // no error and no range: nothing is known
}

TEST_CASE("what cannot be paired is refused") {
  const Numbers one = {1}, two = {1, 2}, none, nan = {std::nan("")}, infinite = {INFINITY};
  CHECK_THROWS_AS(MakePairedSample(one, two), Error);
  CHECK_THROWS_AS(MakePairedSample(none, none), Error);
  CHECK_THROWS_AS(MakePairedSample(nan, one), Error);
  CHECK_THROWS_AS(MakePairedSample(one, infinite), Error);
  CHECK_THROWS_AS(MakePairedSample(one, one, Numbers{0}), Error);
  CHECK_THROWS_AS(BootstrapInterval(MakePairedSample(one, one), 0.95, {.resamples = 5}), Error);
}

}  // namespace
}  // namespace tnb
