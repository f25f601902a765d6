#include "reports/statistics.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "reports/statistics/distributions.h"
#include "tests/reports/golden.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Expected values from CPython's statistics module (quantiles: method inclusive, which is numpy's default).
const std::vector<double> kValues = {0.5, 1.25, -3, 8, 2.75, 2.75};

TEST_CASE("moments") {
  CHECK(Mean(kValues) == Approx(2.0416666666666665).epsilon(1e-15));
  CHECK(SampleDeviation(kValues) == Approx(3.6035283635163284).epsilon(1e-14));
  CHECK(StandardError(kValues) == Approx(1.4711342940435832).epsilon(1e-14));
  // For 0 and 1 this is sqrt(p (1 - p) / (n - 1)), the acc_stderr of lm-evaluation-harness.
  const std::vector<double> right = {1, 0, 0, 1, 1, 0, 1, 1, 1, 0};
  CHECK(StandardError(right) == Approx(std::sqrt(0.6 * 0.4 / 9)).epsilon(1e-14));
  CHECK(SampleDeviation(std::vector<double>{4, 4, 4}) == 0);
  CHECK(Mean(std::vector<double>{7}) == 7);
}

TEST_CASE("percentiles") {
  CHECK(Median(kValues) == 2);
  CHECK(Median(std::vector<double>{3, 1, 2}) == 2);
  CHECK(Percentile(kValues, 5) == Approx(-2.125));
  CHECK(Percentile(kValues, 95) == Approx(6.6875));
  CHECK(Percentile(kValues, 0) == -3);
  CHECK(Percentile(kValues, 100) == 8);
  CHECK(Median(std::vector<double>{1, 2, std::numeric_limits<double>::infinity()}) == 2);
  CHECK(Percentile(std::vector<double>{5}, 37) == 5);
}

TEST_CASE("too few observations, NaN and bad probabilities are errors") {
  const std::vector<double> none, one = {1}, nan = {1, std::nan("")};
  CHECK_THROWS_AS(Mean(none), Error);
  CHECK_THROWS_AS(Median(none), Error);
  CHECK_THROWS_AS(StandardError(one), Error);
  CHECK_THROWS_AS(Median(nan), Error);
  CHECK_THROWS_AS(Percentile(one, 101), Error);
  CHECK_THROWS_AS(Percentile(one, std::nan("")), Error);
  CHECK_THROWS_AS(NormalQuantile(1), Error);
  CHECK_THROWS_AS(WilsonInterval(1, 0), Error);
  CHECK_THROWS_AS(WilsonInterval(3, 2), Error);
  CHECK_THROWS_AS(WilsonInterval(-1, 2), Error);
}

TEST_CASE("normal quantiles") {
  CHECK(NormalQuantile(0.975) == Approx(1.9599639845400536).epsilon(1e-12));
  CHECK(NormalQuantile(0.01) == Approx(-2.3263478740408408).epsilon(1e-12));
}

TEST_CASE("distributions, against mpmath with 30 digits") {
  CHECK(NormalBelow(-1.5) == Approx(0.0668072012688580660).epsilon(1e-13));
  CHECK(NormalBelow(-9) == Approx(1.12858840595384064e-19).epsilon(1e-13));
  CHECK(StudentQuantile(0.975, 10) == Approx(2.22813885198627475).epsilon(1e-13));
  CHECK(StudentBelow(-2, 5) == Approx(0.0509697394149291781).epsilon(1e-13));
  CHECK(StudentBelow(-40, 3.5) == Approx(4.38322055468650936e-06).epsilon(1e-13));
  CHECK(CoinsBelow(3, 10) == Approx((1 + 10 + 45 + 120) / 1024.0).epsilon(1e-13));
  CHECK(BinomialCoefficient(50, 20) == Approx(47129212243960).epsilon(1e-15));
}

TEST_CASE("Wilson intervals") {
  // prop.test(8, 10, correct = FALSE) and prop.test(0, 10, correct = FALSE) of R.
  CHECK(WilsonInterval(8, 10).lo == Approx(0.4901625).epsilon(1e-6));
  CHECK(WilsonInterval(8, 10).hi == Approx(0.9433178).epsilon(1e-6));
  for (const Json& row : testing::StatisticsGolden().at("wilson")) {
    const Interval interval = WilsonInterval(row[0].get<int64_t>(), row[1].get<int64_t>());
    CHECK(interval.lo == Approx(row[2].get<double>()).margin(1e-12));
    CHECK(interval.hi == Approx(row[3].get<double>()).margin(1e-12));
  }
  CHECK(WilsonInterval(0, 10).lo == 0);
  CHECK(WilsonInterval(0, 10).hi == Approx(0.2775328).epsilon(1e-6));
  CHECK(WilsonInterval(10, 10).hi == 1);
  CHECK(WilsonInterval(8, 10, 0.9).lo > WilsonInterval(8, 10, 0.95).lo);
}

}  // namespace
}  // namespace tnb
