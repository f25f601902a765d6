// The nightly verdict on synthetic histories whose truth is known. All seeds are fixed.
#include "reports/history.h"

#include <cmath>
#include <functional>
#include <random>

#include "reports/statistics/verdict.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Noise = std::function<double(std::mt19937_64&)>;

Noise Normal(double sigma) {
  return [sigma](std::mt19937_64& random) { return 1 + sigma * std::normal_distribution<double>()(random); };
}

// One night in thirty is much slower, as when something else ran on the machine.
Noise WithWildNights(double sigma) {
  return [sigma](std::mt19937_64& random) {
    const double wild = std::uniform_real_distribution<double>()(random);
    const double value = std::normal_distribution<double>()(random);
    return 1 + sigma * (wild < 1.0 / 30 ? 8 * std::fabs(value) : value);
  };
}

double AlarmShare(const Noise& noise, int nights, const WatchOptions& options, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> values;
  int alarms = 0, judged = 0;
  while (judged < nights) {
    values.push_back(50 * noise(random));
    const SeriesJudgment judgment = JudgeSeries(values, options);
    if (judgment.verdict == NightVerdict::kTooFewNights) continue;
    ++judged;
    alarms += judgment.verdict == NightVerdict::kRegression;
    if (values.size() > 100) values.erase(values.begin());
  }
  return static_cast<double>(alarms) / nights;
}

double FoundShare(const Noise& noise, double factor, int trials, const WatchOptions& options, uint64_t seed) {
  std::mt19937_64 random(seed);
  int found = 0;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<double> values;
    for (size_t i = 0; i < options.history; ++i) values.push_back(50 * noise(random));
    bool alarm = false;
    for (int night = 0; night < 3; ++night) {
      values.push_back(50 * factor * noise(random));
      alarm = alarm || JudgeSeries(values, options).verdict == NightVerdict::kRegression;
    }
    found += alarm;
  }
  return static_cast<double>(found) / trials;
}

TEST_CASE("nights without a change raise an alarm in at most 1 % of all cases") {
  const WatchOptions options;
  for (const double sigma : {0.01, 0.015, 0.02}) {
    CAPTURE(sigma);
    CHECK(AlarmShare(Normal(sigma), 1000, options, 1) <= 0.01);
    // More nights, since alarms come in clusters: the share itself, not one draw of it.
    CHECK(AlarmShare(Normal(sigma), 20000, options, 2) <= 0.01);
    CHECK(AlarmShare(WithWildNights(sigma), 20000, options, 3) <= 0.01);
  }
  WatchOptions rate = options;
  rate.higher_is_better = true;
  CHECK(AlarmShare(Normal(0.02), 20000, rate, 4) <= 0.01);
}

TEST_CASE("a slowdown of 5 % is found within three nights in 90 % of all cases") {
  const WatchOptions options;
  for (const double sigma : {0.01, 0.015, 0.02}) {
    CAPTURE(sigma);
    CHECK(FoundShare(Normal(sigma), 1.05, 2000, options, 5) >= 0.9);
  }
  CHECK(FoundShare(WithWildNights(0.015), 1.05, 2000, options, 6) >= 0.9);
  WatchOptions rate = options;
  rate.higher_is_better = true;
  CHECK(FoundShare(Normal(0.015), 1 / 1.05, 2000, rate, 7) >= 0.9);
  // The other direction is none.
  CHECK(FoundShare(Normal(0.01), 0.95, 200, options, 8) == 0);
}

// Items of a task of 1000: a run answers as the reference does, but for `churn` of the items, which differ
// either way with the same probability, and `loss` of those that were right.
std::vector<double> Night(const std::vector<double>& reference, double churn, double loss,
                          std::mt19937_64& random) {
  std::vector<double> scores = reference;
  std::uniform_real_distribution<double> uniform;
  double right = 0;
  for (const double score : reference) right += score;
  const auto n = static_cast<double>(reference.size());
  for (double& score : scores) {
    // As many won as lost by churn.
    const double flip = score == 1 ? churn / 2 * n / right : churn / 2 * n / (n - right);
    if (uniform(random) < flip) {
      score = 1 - score;
    } else if (score == 1 && uniform(random) < loss * n / right) {
      score = 0;
    }
  }
  return scores;
}

TEST_CASE("a loss of 2 points on 1000 items is found within three nights in 90 % of all cases") {
  std::mt19937_64 random(9);
  std::vector<double> reference(1000, 0);
  for (size_t i = 0; i < 600; ++i) reference[i] = 1;
  const TestOptions options = {.alpha = 0.01, .resampling = {.resamples = 10}};
  int found = 0, alarms = 0;
  constexpr int kTrials = 300, kNights = 1000;
  for (int trial = 0; trial < kTrials; ++trial) {
    bool alarm = false;
    for (int night = 0; night < 3; ++night) {
      const Comparison comparison =
          CompareShares(reference, Night(reference, 0.01, 0.02, random), {}, options);
      alarm = alarm || (comparison.p < options.alpha && comparison.difference < 0);
    }
    found += alarm;
  }
  CHECK(found >= 0.9 * kTrials);
  for (int night = 0; night < kNights; ++night) {
    const Comparison comparison = CompareShares(reference, Night(reference, 0.02, 0, random), {}, options);
    alarms += comparison.p < options.alpha && comparison.difference < 0;
  }
  CHECK(alarms <= kNights / 100);

  // The same in a table of five tasks, of which one loses: Holm, as tnbench nightly does.
  found = alarms = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    bool alarm = false, false_alarm = false;
    for (int night = 0; night < 3; ++night) {
      std::vector<double> p_values;
      std::vector<bool> worse;
      for (int task = 0; task < 5; ++task) {
        const Comparison comparison =
            CompareShares(reference, Night(reference, 0.01, task == 0 ? 0.02 : 0, random), {}, options);
        p_values.push_back(comparison.p);
        worse.push_back(comparison.difference < 0);
      }
      const std::vector<double> adjusted = Holm(p_values);
      for (size_t task = 0; task < 5; ++task) {
        const bool said = adjusted[task] < options.alpha && worse[task];
        (task == 0 ? alarm : false_alarm) |= said;
      }
    }
    found += alarm;
    alarms += false_alarm;
  }
  CHECK(found >= 0.9 * kTrials);
  CHECK(alarms <= 3 * kTrials / 100);  // three nights a trial
}

TEST_CASE("a number that never varied needs no confirmation") {
  std::vector<double> values(10, 1000);
  CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kFine);
  values.push_back(1010);  // below the floor
  CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kFine);
  values.back() = 1030;
  const SeriesJudgment judgment = JudgeSeries(values, {});
  CHECK(judgment.verdict == NightVerdict::kRegression);
  CHECK(judgment.level == 1000);
  CHECK(judgment.change == Approx(0.03));
  CHECK(JudgeSeries(values, {.floor = 0.05}).verdict == NightVerdict::kFine);
  values.back() = 900;
  CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kImprovement);
  CHECK(JudgeSeries(values, {.higher_is_better = true}).verdict == NightVerdict::kRegression);
}

TEST_CASE("one wild night is watched, and a new level becomes the normal one") {
  std::mt19937_64 random(10);
  std::vector<double> values;
  const Noise noise = Normal(0.01);
  for (int i = 0; i < 30; ++i) values.push_back(noise(random));
  values.push_back(1.4);
  CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kWatch);
  values.push_back(noise(random));
  CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kFine);
  int alarms = 0;
  for (int i = 0; i < 30; ++i) {
    values.push_back(1.2 * noise(random));
    alarms += JudgeSeries(values, {}).verdict == NightVerdict::kRegression;
  }
  CHECK(alarms >= 8);   // it is said for some nights
  CHECK(alarms <= 12);  // and not forever
  CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kFine);
  CHECK(JudgeSeries(values, {}).level == Approx(1.2).epsilon(0.01));
  CHECK(ReferenceNight(values, {}) >= 30);  // where the new level began; the wild night fits either side
}

TEST_CASE("an accepted level is the normal one at once, and the next change is found from there") {
  std::mt19937_64 random(12);
  const Noise noise = Normal(0.01);
  for (const int late : {0, 4}) {  // accepted on the third night, or some nights later
    CAPTURE(late);
    std::vector<double> values;
    for (int i = 0; i < 30; ++i) values.push_back(50 * noise(random));
    for (int i = 0; i < 3 + late; ++i) values.push_back(45 * noise(random));
    const WatchOptions rate = {.higher_is_better = true};
    CHECK(JudgeSeries(values, rate).verdict == NightVerdict::kRegression);
    const size_t accepted = values.size() - 1;
    const auto judge = [&] { return JudgeSeries(AcceptLevel(values, accepted, rate), rate); };
    CHECK(judge().verdict == NightVerdict::kFine);
    for (int i = 0; i < 10; ++i) {
      values.push_back(45 * noise(random));
      CHECK(judge().verdict == NightVerdict::kFine);
      CHECK(judge().level == Approx(45).epsilon(0.01));
    }
    for (int i = 0; i < 3; ++i) values.push_back(42 * noise(random));
    CHECK(judge().verdict == NightVerdict::kRegression);
  }
  // Found as soon after the acceptance as without one.
  std::vector<double> values;
  for (int i = 0; i < 20; ++i) values.push_back(10 * noise(random));
  for (int i = 0; i < 3; ++i) values.push_back(12 * noise(random));
  for (int i = 0; i < 3; ++i) values.push_back(14 * noise(random));
  CHECK(JudgeSeries(AcceptLevel(values, 22, {}), {}).verdict == NightVerdict::kRegression);
  CHECK(JudgeSeries(AcceptLevel(AcceptLevel(values, 22, {}), 25, {}), {}).verdict == NightVerdict::kFine);
}

TEST_CASE("an accepted size that never varied stays one that never varies") {
  std::vector<double> values(10, 1000);
  values.push_back(1030);
  CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kRegression);
  CHECK(JudgeSeries(AcceptLevel(values, 10, {}), {}).verdict == NightVerdict::kFine);
  values.push_back(1030);
  CHECK(JudgeSeries(AcceptLevel(values, 10, {}), {}).verdict == NightVerdict::kFine);
  CHECK(JudgeSeries(AcceptLevel(values, 11, {}), {}).verdict == NightVerdict::kFine);
  values.push_back(1070);  // one night is enough, as before
  for (const size_t accepted : {10, 11}) {
    CHECK(JudgeSeries(AcceptLevel(values, accepted, {}), {}).verdict == NightVerdict::kRegression);
  }
  // Nothing to move where there was no verdict.
  const std::vector<double> few = {1, 2, 3};
  CHECK(AcceptLevel(few, 2, {}) == few);
  CHECK_THROWS(AcceptLevel(few, 3, {}));
}

TEST_CASE("too few nights are no verdict") {
  std::vector<double> values = {1};
  for (int i = 0; i < 7; ++i) {
    CHECK(JudgeSeries(values, {}).verdict == NightVerdict::kTooFewNights);
    values.push_back(1.1);
  }
  CHECK(ReferenceNight(std::vector<double>{3}, {}) == 0);
  CHECK_THROWS(JudgeSeries(std::vector<double>{}, {}));
  CHECK_THROWS(JudgeSeries(std::vector<double>{1, NAN}, {}));
  CHECK_THROWS(JudgeSeries(std::vector<double>{1, 0}, {}));
  CHECK_THROWS(CheckWatchOptions({.nights = 0}));
  CHECK_THROWS(CheckWatchOptions({.alpha = 0}));
}

TEST_CASE("pieces are cut where the level steps") {
  std::mt19937_64 random(11);
  const Noise noise = Normal(0.01);
  std::vector<double> values;
  for (int i = 0; i < 60; ++i) values.push_back((i < 20 ? 100.0 : i < 45 ? 110.0 : 95.0) * noise(random));
  CHECK(FindPieces(values, 3, 0.01) == std::vector<size_t>{0, 20, 45});
  CHECK(FindPieces(std::vector<double>(10, 3.0), 3, 0.01) == std::vector<size_t>{0});
  CHECK(FindPieces(std::vector<double>{3, 9}, 3, 0.01) == std::vector<size_t>{0});
  // Exactly constant levels.
  std::vector<double> steps(12, 5.0);
  steps.resize(20, 6.0);
  CHECK(FindPieces(steps, 3, 0.01) == std::vector<size_t>{0, 12});
  // Noise alone is rarely cut.
  int cut = 0;
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<double> flat;
    for (int i = 0; i < 100; ++i) flat.push_back(noise(random));
    cut += FindPieces(flat, 3, 0).size() > 1;
  }
  CHECK(cut <= 10);
}

}  // namespace
}  // namespace tnb
