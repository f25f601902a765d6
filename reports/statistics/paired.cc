#include "reports/statistics/paired.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/error.h"
#include "reports/statistics/distributions.h"

namespace tnb {
namespace {

double Total(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

void CheckCounts(const Discordant& discordant, int64_t n) {
  if (discordant.first < 0 || discordant.second < 0 || n < 1 || discordant.first + discordant.second > n) {
    throw Error(ErrorKind::kData,
                {"wrong counts of discordant items", "0 or more, together at most n, n at least 1",
                 std::to_string(discordant.first) + " and " + std::to_string(discordant.second) + " of " +
                     std::to_string(n),
                 "", ""});
  }
}

void CheckScores(std::span<const double> scores) {
  if (!std::all_of(scores.begin(), scores.end(), [](double score) { return std::isfinite(score); })) {
    throw Error(ErrorKind::kData, "a score of an item is not finite", "a ruined model has no paired test");
  }
}

}  // namespace

double McNemarExact(const Discordant& discordant) {
  const int64_t total = discordant.first + discordant.second;
  CheckCounts(discordant, std::max<int64_t>(1, total));
  if (total == 0) return 1;
  const auto fewer = static_cast<double>(std::min(discordant.first, discordant.second));
  return std::min(1.0, 2 * CoinsBelow(fewer, static_cast<double>(total)));
}

double TangoScore(const Discordant& discordant, int64_t n, double difference) {
  CheckCounts(discordant, n);
  if (!(difference > -1 && difference < 1)) {
    throw Error(ErrorKind::kUsage,
                {"wrong difference of shares", "between -1 and 1", std::to_string(difference), "", ""});
  }
  const auto gained = static_cast<double>(discordant.second), lost = static_cast<double>(discordant.first);
  const auto size = static_cast<double>(n);
  // Probability of "lost", restricted to the difference: the positive root of a quadratic (Tango 1998, eq.
  // 7).
  const double a = 2 * size;
  const double b = -gained - lost + (2 * size - gained + lost) * difference;
  const double c = -lost * difference * (1 - difference);
  const double root = std::sqrt(std::max(0.0, b * b - 4 * a * c));
  const double probability = std::max({0.0, -difference, (root - b) / (2 * a)});
  const double variance = size * (2 * probability + difference * (1 - difference));
  const double excess = gained - lost - size * difference;
  if (variance <= 0) return excess == 0 ? 0 : std::copysign(INFINITY, excess);
  return excess / std::sqrt(variance);
}

Interval TangoInterval(const Discordant& discordant, int64_t n, double confidence) {
  const double z = NormalQuantile(0.5 + confidence / 2);
  CheckCounts(discordant, n);
  const double observed = static_cast<double>(discordant.second - discordant.first) / static_cast<double>(n);
  // The score falls as the difference under test grows, and is 0 at the observed one.
  const auto solve = [&](double inside, double outside, double bound) {
    for (int i = 0; i < 100; ++i) {
      const double middle = (inside + outside) / 2;
      if (middle <= -1 || middle >= 1) break;
      const bool rejected = std::fabs(TangoScore(discordant, n, middle)) > bound;
      (rejected ? outside : inside) = middle;
    }
    return inside;
  };
  return {solve(observed, -1, z), solve(observed, 1, z)};
}

double TangoEquivalence(const Discordant& discordant, int64_t n, double margin) {
  if (!(margin > 0 && margin < 1)) {
    throw Error(ErrorKind::kUsage, {"wrong margin", "between 0 and 1", std::to_string(margin), "", ""});
  }
  const double above_lower = NormalBelow(-TangoScore(discordant, n, -margin));
  const double below_upper = NormalBelow(TangoScore(discordant, n, margin));
  return std::max(above_lower, below_upper);
}

double PairedSample::estimate() const { return Total(sums) / Total(weights); }

bool PairedSample::identical() const { return identical_items == items; }

PairedSample MakePairedSample(std::span<const double> first, std::span<const double> second,
                              std::span<const double> weights, std::span<const std::string> clusters) {
  const size_t n = first.size();
  if (n == 0) throw Error(ErrorKind::kData, "there are no items to compare");
  if (second.size() != n || (!weights.empty() && weights.size() != n) ||
      (!clusters.empty() && clusters.size() != n)) {
    throw Error(ErrorKind::kData, {"paired observations are not of equal number", std::to_string(n),
                                   std::to_string(second.size()), "", ""});
  }
  CheckScores(first);
  CheckScores(second);
  CheckScores(weights);
  PairedSample sample;
  sample.items = static_cast<int64_t>(n);
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < n; ++i) {
    size_t place = sample.sums.size();
    if (!clusters.empty() && !clusters[i].empty()) {
      place = places.try_emplace(clusters[i], place).first->second;
    }
    if (place == sample.sums.size()) {
      sample.sums.push_back(0);
      sample.weights.push_back(0);
    } else {
      sample.clustered = true;
    }
    sample.sums[place] += second[i] - first[i];
    sample.weights[place] += weights.empty() ? 1 : weights[i];
    sample.identical_items += second[i] == first[i] ? 1 : 0;
  }
  if (!(Total(sample.weights) > 0)) throw Error(ErrorKind::kData, "the items have nothing to divide by");
  return sample;
}

double ClusterStandardError(const PairedSample& sample) {
  const size_t clusters = sample.sums.size();
  if (clusters < 2) {
    throw Error(ErrorKind::kData, {"too few clusters", "2 or more", std::to_string(clusters), "", ""});
  }
  const double estimate = sample.estimate();
  double squares = 0;
  for (size_t i = 0; i < clusters; ++i) {
    const double residual = sample.sums[i] - estimate * sample.weights[i];
    squares += residual * residual;
  }
  const auto g = static_cast<double>(clusters);
  return std::sqrt(g / (g - 1) * squares) / Total(sample.weights);
}

double MeanEquivalence(const PairedSample& sample, double margin, double range) {
  if (!(margin > 0) || !(range >= 0)) {
    throw Error(ErrorKind::kUsage, {"wrong margin", "more than 0", std::to_string(margin), "", ""});
  }
  if (sample.sums.size() < 2) return 1;
  if (range == 0) {
    for (size_t i = 0; i < sample.sums.size(); ++i) {
      if (sample.weights[i] > 0) range = std::max(range, std::fabs(sample.sums[i]) / sample.weights[i]);
    }
  }
  const double unseen = range / static_cast<double>(sample.sums.size());
  const double error = std::hypot(ClusterStandardError(sample), unseen);
  if (error == 0) return 1;
  const double degrees = static_cast<double>(sample.sums.size() - 1);
  const double estimate = sample.estimate();
  const double above_lower = StudentBelow(-(estimate + margin) / error, degrees);
  const double below_upper = StudentBelow((estimate - margin) / error, degrees);
  return std::max(above_lower, below_upper);
}

}  // namespace tnb
