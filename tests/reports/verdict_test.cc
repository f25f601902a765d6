// Verdicts on synthetic data whose truth is known: how often they are wrong, and how often they see a loss.
#include "reports/statistics/verdict.h"

#include <cmath>
#include <functional>
#include <random>

#include "base/error.h"
#include "tests/reports/golden.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Numbers = std::vector<double>;

class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed) {}
  double Uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  double Normal() {
    return std::sqrt(-2 * std::log(1 - Uniform())) * std::cos(2 * std::acos(-1.0) * Uniform());
  }

 private:
  std::mt19937_64 random_;
};

// Right-or-wrong items of two systems; `lost` and `gained` are the shares that change.
struct Shares {
  Numbers first, second;
};
Shares DrawShares(Draws& draws, int n, double lost, double gained) {
  Shares items;
  for (int i = 0; i < n; ++i) {
    const double u = draws.Uniform();
    const bool both = draws.Uniform() < 0.6;
    items.first.push_back(u < lost ? 1 : u < lost + gained ? 0 : both);
    items.second.push_back(u < lost ? 0 : u < lost + gained ? 1 : both);
  }
  return items;
}

// How often `claims` is true in `trials` repetitions.
double Rate(int trials, const std::function<bool()>& claims) {
  int count = 0;
  for (int i = 0; i < trials; ++i) count += claims() ? 1 : 0;
  return static_cast<double>(count) / trials;
}

// A rate of errors that is allowed to be alpha: three standard errors of a binomial.
double Allowed(double alpha, int trials) { return alpha + 3 * std::sqrt(alpha * (1 - alpha) / trials); }

Judgment JudgeOne(const Comparison& comparison) { return Judge(std::span(&comparison, 1)).front(); }
bool IsDifferent(const Judgment& judgment) {
  return judgment.verdict == Verdict::kBetter || judgment.verdict == Verdict::kWorse;
}

const TestOptions kQuick = {.alpha = 0.05, .margin = 0.01, .resampling = {.resamples = 400}};

TEST_CASE("Holm") {
  const Json& golden = testing::StatisticsGolden().at("holm");
  const auto adjusted = Holm(golden.at("p").get<Numbers>());
  for (size_t i = 0; i < adjusted.size(); ++i) {
    CHECK(adjusted[i] == Approx(golden.at("adjusted")[i].get<double>()).epsilon(1e-12));
  }
  CHECK(Holm(Numbers{}).empty());
  CHECK_THROWS_AS(Holm(Numbers{1.5}), Error);
}

TEST_CASE("smallest detectable differences of the usual tasks") {
  // Percentage points at 80 % power; unpaired, and paired with 5, 10 and 20 % of the items changing.
  struct Row {
    int64_t n;
    double unpaired, paired5, paired10, paired20;
  };
  for (const Row& row : {Row{500, 8.86, 2.80, 3.96, 5.60}, Row{1172, 5.79, 1.83, 2.59, 3.66},
                         Row{1267, 5.57, 1.76, 2.49, 3.52}, Row{1319, 5.46, 1.73, 2.44, 3.45},
                         Row{1838, 4.62, 1.46, 2.07, 2.92}, Row{2376, 4.06, 1.29, 1.82, 2.57},
                         Row{3270, 3.46, 1.10, 1.55, 2.19}, Row{10042, 1.98, 0.63, 0.88, 1.25},
                         Row{14042, 1.67, 0.53, 0.75, 1.06}}) {
    CHECK(100 * UnpairedDetectable(0.5, row.n) == Approx(row.unpaired).margin(0.006));
    CHECK(100 * PairedDetectable(0.05, row.n) == Approx(row.paired5).margin(0.006));
    CHECK(100 * PairedDetectable(0.10, row.n) == Approx(row.paired10).margin(0.006));
    CHECK(100 * PairedDetectable(0.20, row.n) == Approx(row.paired20).margin(0.006));
  }
}

TEST_CASE("right-or-wrong items without a difference are rarely called different") {
  Draws draws(1);
  const int trials = 2000;
  CHECK(Rate(trials, [&] {
          const Shares items = DrawShares(draws, 300, 0.06, 0.06);
          return IsDifferent(JudgeOne(CompareShares(items.first, items.second, {}, kQuick)));
        }) <= Allowed(0.05, trials));
}

TEST_CASE("a loss at the margin is rarely called equivalent") {
  Draws draws(2);
  const int trials = 2000;
  for (const double flips : {0.01, 0.02, 0.08}) {  // lost share minus gained share is the margin
    CHECK(Rate(trials, [&] {
            const Shares items = DrawShares(draws, 1000, (flips + 0.01) / 2, (flips - 0.01) / 2);
            return JudgeOne(CompareShares(items.first, items.second, {}, kQuick)).p_equivalent_adjusted <
                   0.05;
          }) <= Allowed(0.05, trials));
  }
  // Scores in [0, 1] of which few change, by much.
  for (const double share : {0.02, 0.1}) {
    CHECK(Rate(500, [&] {
            Numbers first, second;
            for (int i = 0; i < 200; ++i) {
              first.push_back(0.9);
              second.push_back(draws.Uniform() < share ? 0.9 - 0.01 / share : 0.9);
            }
            return CompareMeans(first, second, {}, {}, 1, kQuick).p_equivalent < 0.05;
          }) <= Allowed(0.05, 500));
  }
  CHECK(Rate(1000, [&] {
          Numbers first, second;
          for (int i = 0; i < 8; ++i) {
            first.push_back(std::exp(0.01 * draws.Normal()));
            second.push_back(1.02 * std::exp(0.01 * draws.Normal()));
          }
          return CompareTimes(first, second, 0.02, {.margin = 0.02, .resampling = {.resamples = 100}})
                     .p_equivalent < 0.05;
        }) <= Allowed(0.05, 1000));
}

TEST_CASE("equal systems are called equivalent when there are enough items") {
  Draws draws(3);
  CHECK(Rate(100, [&] {
          const Shares items = DrawShares(draws, 3000, 0.005, 0.005);
          return JudgeOne(CompareShares(items.first, items.second, {}, kQuick)).verdict ==
                 Verdict::kEquivalent;
        }) > 0.9);
}

TEST_CASE("means of scores and perplexities without a difference are rarely called different") {
  Draws draws(4);
  const int trials = 600;
  CHECK(Rate(trials, [&] {
          Numbers first, second, words;
          for (int i = 0; i < 40; ++i) {
            first.push_back(3 + draws.Normal());
            second.push_back(first.back() + 0.2 * draws.Normal());
            words.push_back(50 + 100 * draws.Uniform());
          }
          return IsDifferent(JudgeOne(ComparePerplexities(first, second, words, {}, kQuick)));
        }) <= Allowed(0.05, trials));
}

TEST_CASE("items of one passage: the test by clusters holds alpha, the naive one does not") {
  Draws draws(5);
  const int trials = 400;
  int naive = 0, robust = 0;
  for (int trial = 0; trial < trials; ++trial) {
    Numbers first, second;
    std::vector<std::string> clusters;
    for (int passage = 0; passage < 40; ++passage) {
      // All eight questions of a passage tend to change together.
      const double kind = draws.Uniform();
      for (int item = 0; item < 8; ++item) {
        const bool changes = kind < 0.3 && draws.Uniform() < 0.8;
        const bool right = changes ? kind < 0.15 : draws.Uniform() < 0.5;
        first.push_back(right);
        second.push_back(changes ? !right : right);
        clusters.push_back(std::to_string(passage));
      }
    }
    naive += IsDifferent(JudgeOne(CompareShares(first, second, {}, kQuick))) ? 1 : 0;
    const Comparison comparison = CompareShares(first, second, clusters, kQuick);
    robust += IsDifferent(JudgeOne(comparison)) ? 1 : 0;
    CHECK(comparison.clusters == 40);
  }
  CHECK(static_cast<double>(naive) / trials > 0.2);
  CHECK(static_cast<double>(robust) / trials <= Allowed(0.05, trials));
}

TEST_CASE("timings without a difference are rarely called different") {
  Draws draws(6);
  const int trials = 2000;
  const TestOptions options = {.resampling = {.resamples = 100}};
  CHECK(Rate(trials, [&] {
          Numbers first, second;
          for (int i = 0; i < 10; ++i) {
            first.push_back(std::exp(0.1 * draws.Normal()));
            second.push_back(std::exp(0.1 * draws.Normal()));
          }
          return IsDifferent(JudgeOne(CompareTimes(first, second, 0, options)));
        }) <= Allowed(0.05, trials));
}

TEST_CASE("estimates of which only the errors are known") {
  // scipy.stats.norm: difference 0.3, error 0.15811388, z 1.8973666.
  const Comparison comparison = CompareEstimates({1.0, 0.15}, {1.3, 0.05}, 1000, {.margin = 0.5});
  CHECK(comparison.difference == Approx(0.3));
  CHECK(comparison.p == Approx(0.0577795711).epsilon(1e-6));
  CHECK(comparison.interval->lo == Approx(-0.00989751).epsilon(1e-5));
  CHECK(comparison.interval->hi == Approx(0.60989751).epsilon(1e-5));
  CHECK(comparison.p_equivalent == Approx(0.1029516).epsilon(1e-5));
  CHECK(comparison.n == 1000);
  CHECK(CompareEstimates({1, 0}, {2, 0}, 5, {}).p == 1);  // without an error there is no test
  Draws draws(10);
  const int trials = 2000;
  CHECK(Rate(trials, [&] {
          const double first = 0.1 * draws.Normal(), second = 0.3 * draws.Normal();
          return IsDifferent(JudgeOne(CompareEstimates({first, 0.1}, {second, 0.3}, 100, kQuick)));
        }) <= Allowed(0.05, trials));
}

TEST_CASE("a table of twenty true nulls rarely has any verdict of a difference") {
  Draws draws(7);
  const int trials = 400;
  int raw = 0, any = 0;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<Comparison> table;
    for (int i = 0; i < 20; ++i) {
      const Shares items = DrawShares(draws, 400, 0.1, 0.1);
      table.push_back(CompareShares(items.first, items.second, {}, kQuick));
    }
    bool found = false, unadjusted = false;
    for (const Judgment& judgment : Judge(table)) found = found || IsDifferent(judgment);
    for (const Comparison& comparison : table) unadjusted = unadjusted || comparison.p < 0.05;
    any += found ? 1 : 0;
    raw += unadjusted ? 1 : 0;
  }
  CHECK(static_cast<double>(raw) / trials > 0.3);
  CHECK(static_cast<double>(any) / trials <= Allowed(0.05, trials));
}

TEST_CASE("power: a paired loss of two points on 1000 items is seen") {
  Draws draws(8);
  // 3 % of the items change, 2.5 % for the worse.
  CHECK(Rate(300, [&] {
          const Shares items = DrawShares(draws, 1000, 0.025, 0.005);
          return JudgeOne(CompareShares(items.first, items.second, {}, kQuick)).verdict == Verdict::kWorse;
        }) > 0.9);
  // At the difference that is printed as detectable, the power is what it promises.
  const double difference = PairedDetectable(0.06, 1000);
  CHECK(Rate(1000, [&] {
          const Shares items = DrawShares(draws, 1000, (0.06 + difference) / 2, (0.06 - difference) / 2);
          return JudgeOne(CompareShares(items.first, items.second, {}, kQuick)).verdict == Verdict::kWorse;
        }) > 0.74);  // the exact test is a little conservative
  // Ten percent slower, ten repetitions with 3 % noise.
  CHECK(Rate(200, [&] {
          Numbers first, second;
          for (int i = 0; i < 10; ++i) {
            first.push_back(std::exp(0.03 * draws.Normal()));
            second.push_back(1.1 * std::exp(0.03 * draws.Normal()));
          }
          const TestOptions options = {.resampling = {.resamples = 100}};
          return JudgeOne(CompareTimes(first, second, 0.02, options)).verdict == Verdict::kWorse;
        }) > 0.95);
}

TEST_CASE("what cannot be significant is said so") {
  const TestOptions options;
  const Comparison three = CompareTimes(Numbers{1, 1.01, 1.02}, Numbers{2, 2.01, 2.02}, 0.02, options);
  CHECK(JudgeOne(three).verdict == Verdict::kCannotBeSignificant);
  CHECK_FALSE(three.interval);
  const Comparison one = CompareTimes(Numbers{1}, Numbers{2}, 0.02, options);
  CHECK(JudgeOne(one).verdict == Verdict::kCannotBeSignificant);
  CHECK_FALSE(JudgeOne(one).detectable);
  // Four and four can be, alone (.0286); in a table of two of them not both at first, but one after the
  // other.
  const Comparison four =
      CompareTimes(Numbers{1, 1.01, 1.02, 1.03}, Numbers{2, 2.01, 2.02, 2.03}, 0.02, options);
  CHECK(JudgeOne(four).verdict == Verdict::kWorse);
  const std::vector<Comparison> two = {four, four};
  CHECK(Judge(two)[0].verdict == Verdict::kCannotBeSignificant);
  // What can never be significant costs the others nothing.
  const std::vector<Comparison> mixed = {four, one, three, one};
  CHECK(Judge(mixed)[0].verdict == Verdict::kWorse);
  CHECK(Judge(mixed)[0].p_adjusted == four.p);
  CHECK(Judge(mixed)[1].p_adjusted == 1);
  CHECK(Judge(mixed)[2].verdict == Verdict::kCannotBeSignificant);
  CHECK_FALSE(CanReject(three, 0.05));
  const Shares five = {{1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}};
  CHECK(JudgeOne(CompareShares(five.first, five.second, {}, options)).verdict ==
        Verdict::kCannotBeSignificant);
}

TEST_CASE("verdicts know direction, margin and noise floor") {
  Comparison comparison{.difference = 0.02, .p = 0.001, .smallest_p = 0, .margin = 0.01};
  CHECK(JudgeOne(comparison).verdict == Verdict::kBetter);
  comparison.higher_is_better = false;
  CHECK(JudgeOne(comparison).verdict == Verdict::kWorse);
  comparison.p_equivalent = 0.01;
  CHECK(JudgeOne(comparison).within_margin);
  comparison = {.difference = 0.99, .ratio = true, .p = 0.001, .smallest_p = 0, .noise_floor = 0.02};
  CHECK(JudgeOne(comparison).verdict == Verdict::kNotDistinguishable);
  comparison.difference = 0.9;
  CHECK(JudgeOne(comparison).verdict == Verdict::kWorse);
  CHECK_THROWS_AS(Judge(std::span(&comparison, 1), 0), Error);
}

TEST_CASE("the detectable difference is never flattering") {
  // Nothing changed on 100 items: still six would have had to, all in one direction.
  const Numbers same(100, 1);
  const Comparison identical = CompareShares(same, same, {}, {});
  CHECK(identical.identical);
  CHECK(JudgeOne(identical).verdict == Verdict::kNotDistinguishable);
  CHECK(*JudgeOne(identical).detectable == Approx(0.06));
  Draws draws(9);
  const Shares items = DrawShares(draws, 1000, 0.05, 0.05);
  const Comparison comparison = CompareShares(items.first, items.second, {}, {});
  const double flips = static_cast<double>(comparison.flips.first + comparison.flips.second) / 1000;
  CHECK(*JudgeOne(comparison).detectable == Approx(PairedDetectable(flips, 1000)));
  const std::vector<Comparison> five(5, comparison);
  CHECK(*Judge(five)[0].detectable == Approx(PairedDetectable(flips, 1000, 0.01)));
  // Timings: never below the noise floor.
  const Comparison times = CompareTimes(Numbers{1, 1, 1, 1}, Numbers{1, 1, 1, 1}, 0.02, {});
  CHECK(JudgeOne(times).detectable.value_or(0.02) == Approx(0.02));
}

}  // namespace
}  // namespace tnb
