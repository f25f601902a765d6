// The comparisons of verdict.h: which tests belong to which kind of number.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "reports/statistics/distributions.h"
#include "reports/statistics/ranks.h"
#include "reports/statistics/verdict.h"

namespace tnb {
namespace {

// Resampling fewer observations gives intervals that are far too narrow.
constexpr size_t kFewest = 5;

double LogDeviation(std::span<const double> values) {
  std::vector<double> logs;
  for (const double value : values) logs.push_back(std::log(value));
  return SampleDeviation(logs);
}

// Everything that holds for every paired sample of scores.
Comparison CompareSample(const PairedSample& sample, double range, double margin,
                         const TestOptions& options) {
  Comparison comparison{.difference = sample.estimate(), .margin = margin};
  comparison.identical = sample.identical();
  comparison.n = sample.items;
  comparison.clusters = static_cast<int64_t>(sample.sums.size());
  if (options.intervals && sample.sums.size() >= kFewest) {
    comparison.interval = BootstrapInterval(sample, 1 - options.alpha, options.resampling);
  }
  const PermutationTest permutation = SignFlipTest(sample, options.resampling);
  comparison.p = permutation.p;
  comparison.smallest_p = permutation.smallest_p;
  comparison.test = sample.clustered ? "sign flips by cluster" : "sign flips";
  if (sample.sums.size() < 2) return comparison;
  comparison.p_equivalent = comparison.identical && range == 0 ? 1 : MeanEquivalence(sample, margin, range);
  comparison.null_error = ClusterStandardError(sample);
  comparison.degrees = static_cast<double>(sample.sums.size() - 1);
  return comparison;
}

}  // namespace

Comparison CompareShares(std::span<const double> first, std::span<const double> second,
                         std::span<const std::string> clusters, const TestOptions& options) {
  const PairedSample sample = MakePairedSample(first, second, {}, clusters);
  Discordant flips;
  for (size_t i = 0; i < first.size(); ++i) {
    if ((first[i] != 0 && first[i] != 1) || (second[i] != 0 && second[i] != 1)) {
      throw Error(ErrorKind::kData, "a score of a right-or-wrong item is neither 0 nor 1");
    }
    flips.first += first[i] > second[i] ? 1 : 0;
    flips.second += second[i] > first[i] ? 1 : 0;
  }
  Comparison comparison;
  const auto n = static_cast<double>(sample.items);
  if (sample.clustered) {
    comparison = CompareSample(sample, 1, options.margin, options);
  } else {
    comparison.difference = sample.estimate();
    comparison.interval = TangoInterval(flips, sample.items, 1 - options.alpha);
    comparison.p = McNemarExact(flips);
    comparison.smallest_p =
        std::min(1.0, std::ldexp(1.0, 1 - static_cast<int>(std::min<int64_t>(sample.items, 1000))));
    comparison.p_equivalent = TangoEquivalence(flips, sample.items, options.margin);
    comparison.margin = options.margin;
    comparison.identical = sample.identical();
    comparison.test = "exact McNemar";
    comparison.n = comparison.clusters = sample.items;
    comparison.null_error = std::sqrt(static_cast<double>(flips.first + flips.second)) / n;
  }
  comparison.flips = flips;
  comparison.step = 1 / n;
  return comparison;
}

Comparison CompareMeans(std::span<const double> first, std::span<const double> second,
                        std::span<const double> weights, std::span<const std::string> clusters, double range,
                        const TestOptions& options) {
  return CompareSample(MakePairedSample(first, second, weights, clusters), range, options.margin, options);
}

Comparison ComparePerplexities(std::span<const double> first, std::span<const double> second,
                               std::span<const double> weights, std::span<const std::string> clusters,
                               const TestOptions& options) {
  Comparison comparison = CompareSample(MakePairedSample(first, second, weights, clusters), 0,
                                        std::log1p(options.margin), options);
  comparison.ratio = true;
  comparison.higher_is_better = false;
  comparison.margin = options.margin;
  comparison.difference = std::exp(comparison.difference);
  if (comparison.interval) {
    comparison.interval = Interval{std::exp(comparison.interval->lo), std::exp(comparison.interval->hi)};
  }
  return comparison;
}

Comparison CompareEstimates(const Estimate& first, const Estimate& second, int64_t n,
                            const TestOptions& options) {
  Comparison comparison{.difference = second.value - first.value, .margin = options.margin};
  comparison.n = comparison.clusters = n;
  comparison.smallest_p = 0;
  comparison.identical = first.value == second.value && first.error == second.error;
  comparison.test = "z of standard errors";
  const double error = std::hypot(first.error, second.error);
  comparison.null_error = error;
  if (!(error > 0)) return comparison;
  const auto above = [](double z) { return NormalBelow(-z); };
  const double half = NormalQuantile(1 - options.alpha / 2) * error;
  comparison.interval = Interval{comparison.difference - half, comparison.difference + half};
  comparison.p = std::min(1.0, 2 * above(std::fabs(comparison.difference) / error));
  comparison.p_equivalent = above((options.margin - std::fabs(comparison.difference)) / error);
  return comparison;
}

Comparison CompareTimes(std::span<const double> first, std::span<const double> second, double noise_floor,
                        const TestOptions& options) {
  Comparison comparison{.ratio = true, .margin = options.margin, .noise_floor = noise_floor};
  comparison.higher_is_better = false;
  comparison.p = MannWhitney(first, second);
  comparison.difference = Median(second) / Median(first);
  comparison.p_equivalent = RatioEquivalence(first, second, options.margin);
  const auto m = static_cast<int64_t>(first.size()), n = static_cast<int64_t>(second.size());
  comparison.smallest_p = SmallestMannWhitney(m, n);
  comparison.smallest_p_equivalent = comparison.smallest_p / 2;
  comparison.test = "exact Mann-Whitney";
  comparison.n = comparison.clusters = std::min(m, n);
  if (std::min(first.size(), second.size()) >= kFewest) {
    comparison.interval = MedianRatioInterval(first, second, 1 - options.alpha, options.resampling);
  }
  if (m < 2 || n < 2) return comparison;
  // The test's efficiency relative to t is 3 / pi for normal log times.
  comparison.null_error =
      std::hypot(LogDeviation(first) / std::sqrt(m), LogDeviation(second) / std::sqrt(n)) *
      std::sqrt(std::acos(-1.0) / 3);
  comparison.degrees = static_cast<double>(m + n - 2);
  return comparison;
}

}  // namespace tnb
