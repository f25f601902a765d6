#include "reports/statistics/ranks.h"

#include <cmath>
#include <random>
#include <vector>

#include "base/error.h"
#include "tests/reports/golden.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Numbers = std::vector<double>;
using testing::StatisticsGolden;

TEST_CASE("exact Mann-Whitney") {
  const Json& golden = StatisticsGolden().at("times");
  auto first = golden.at("first").get<Numbers>();
  const auto second = golden.at("second").get<Numbers>();
  CHECK(MannWhitney(first, second) == Approx(golden.at("p").get<double>()).epsilon(1e-12));
  CHECK(MannWhitney(second, first) == MannWhitney(first, second));
  for (double& value : first) value *= 1.5;
  CHECK(MannWhitney(first, second) == Approx(golden.at("shifted_p").get<double>()).epsilon(1e-12));
}

TEST_CASE("the smallest p that repetitions can give") {
  const std::vector<std::pair<int64_t, double>> known = {{3, .1},     {4, .0286},  {5, .0079},  {6, .00216},
                                                         {7, .00058}, {8, .00016}, {10, 1.1e-5}};
  for (const auto& [n, p] : known) {
    CHECK(SmallestMannWhitney(n, n) == Approx(p).epsilon(0.035));
    Numbers low, high;
    for (int64_t i = 0; i < n; ++i) {
      low.push_back(1 + 0.01 * static_cast<double>(i));
      high.push_back(2 + 0.01 * static_cast<double>(i));
    }
    CHECK(MannWhitney(low, high) == Approx(SmallestMannWhitney(n, n)).epsilon(1e-12));
  }
  CHECK(SmallestMannWhitney(1, 1) == 1);
  CHECK(SmallestMannWhitney(0, 5) == 1);
}

TEST_CASE("ties count against significance") {
  // 1 2 3 | 3 4 5: without the tie .1; the tie makes U 1 instead of 0.
  CHECK(MannWhitney(Numbers{1, 2, 3}, Numbers{3, 4, 5}) == Approx(0.2));
  CHECK(MannWhitney(Numbers{1, 1, 1, 1}, Numbers{1, 1, 1, 1}) == 1);
  CHECK(MannWhitney(Numbers{3, 4, 5}, Numbers{1, 2, 3}) == Approx(0.2));
}

TEST_CASE("large samples: the approximation goes on where the exact test ends") {
  std::mt19937_64 random(3);
  Numbers first, second;
  for (int i = 0; i < 50; ++i) {
    first.push_back(1 + static_cast<double>(random() % 100000) * 1e-5);
    second.push_back(1.15 + static_cast<double>(random() % 100000) * 1e-5);
  }
  const double exact = MannWhitney(first, second);
  first.push_back(1.49);  // near the middle: hardly changes p
  CHECK(exact > 1e-6);
  CHECK(MannWhitney(first, second) == Approx(exact).epsilon(0.3));
}

TEST_CASE("interval of the ratio of medians") {
  const Json& golden = StatisticsGolden().at("times");
  const Interval interval =
      MedianRatioInterval(golden.at("first").get<Numbers>(), golden.at("second").get<Numbers>());
  // Percentiles of resampled medians of 9 and 12 values move in steps.
  CHECK(interval.lo == Approx(golden.at("interval")[0].get<double>()).epsilon(0.01));
  CHECK(interval.hi == Approx(golden.at("interval")[1].get<double>()).epsilon(0.01));
}

TEST_CASE("equivalence of timings") {
  const Numbers first = {1.00, 1.001, 1.002, 1.003, 1.004, 1.005};
  Numbers second = {1.0005, 1.0015, 1.0025, 1.0035, 1.0045, 1.0055};
  CHECK(RatioEquivalence(first, second, 0.02) == Approx(0.00108).epsilon(0.01));  // 1 / 924
  CHECK(RatioEquivalence(first, second, 0.0001) > 0.2);
  for (double& value : second) value *= 1.05;
  CHECK(RatioEquivalence(first, second, 0.02) > 0.9);
  CHECK(RatioEquivalence(second, first, 0.02) > 0.9);
}

TEST_CASE("noise floor of A/A runs") {
  CHECK(NoiseFloor({}) == 0.02);
  CHECK(NoiseFloor(Numbers{1.01, 0.9}) == Approx(1 / 0.9 - 1));
  CHECK(NoiseFloor(Numbers{1.001}) == 0.02);
  CHECK(NoiseFloor(Numbers(10, 1.005)) == Approx(0.005));
  CHECK_THROWS_AS(NoiseFloor(Numbers{0}), Error);
}

TEST_CASE("observations that are no timings are refused") {
  CHECK_THROWS_AS(MannWhitney(Numbers{}, Numbers{1}), Error);
  CHECK_THROWS_AS(MannWhitney(Numbers{1}, Numbers{-1}), Error);
  CHECK_THROWS_AS(MannWhitney(Numbers{1}, Numbers{std::nan("")}), Error);
  CHECK_THROWS_AS(MedianRatioInterval(Numbers{0}, Numbers{1}), Error);
  CHECK_THROWS_AS(RatioEquivalence(Numbers{1}, Numbers{1}, 0), Error);
}

}  // namespace
}  // namespace tnb
