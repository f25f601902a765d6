#include "reports/statistics/ranks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "reports/statistics/distributions.h"
#include "reports/statistics/random_index.h"

namespace tnb {
namespace {

constexpr size_t kMostExact = 50;
constexpr size_t kTrustedPairs = 10;

void Check(std::span<const double> values) {
  if (values.empty()) throw Error(ErrorKind::kData, "there are no observations to compare");
  for (const double value : values) {
    if (std::isfinite(value) && value > 0) continue;
    throw Error(ErrorKind::kData, {"a timing is not a positive number", "", std::to_string(value), "", ""});
  }
}

// In how many pairs the first is larger, and in how many the two are equal.
struct PairCounts {
  int64_t larger = 0, equal = 0;
};

PairCounts Count(std::span<const double> first, std::span<const double> second) {
  PairCounts counts;
  for (const double a : first) {
    for (const double b : second) {
      counts.larger += a > b ? 1 : 0;
      counts.equal += a == b ? 1 : 0;
    }
  }
  return counts;
}

// P(U <= u) of the null distribution. Its frequencies are the coefficients of the Gaussian binomial
// coefficient (m + n over m), made factor by factor: times (1 - q^(n+i)), divided by (1 - q^i). Halved along
// the way, which keeps them in range; the total is taken from their sum.
double ExactBelow(int64_t u, size_t m, size_t n) {
  if (u < 0) return 0;
  std::vector<long double> frequency(m * n + 1, 0);
  frequency[0] = 1;
  size_t degree = 0;
  for (size_t i = 1; i <= m; ++i) {
    // Multiplying by 1 + q^i + q^2i + ... + q^(n...) is not available directly; the recurrence
    // F(i) = F(i-1) * (1 - q^(n+i)) / (1 - q^i) is, and stays within degree i * n.
    degree = i * n;
    for (size_t k = degree; k >= n + i; --k) frequency[k] -= frequency[k - n - i];
    for (size_t k = i; k <= degree; ++k) frequency[k] += frequency[k - i];
  }
  long double below = 0, total = 0;
  for (size_t k = 0; k < frequency.size(); ++k) {
    total += frequency[k];
    if (static_cast<int64_t>(k) <= u) below += frequency[k];
  }
  return static_cast<double>(below / total);
}

// P(U <= u) for m + n observations.
double Below(int64_t u, size_t m, size_t n) {
  if (std::max(m, n) <= kMostExact) return ExactBelow(u, m, n);
  const double pairs = static_cast<double>(m) * static_cast<double>(n);
  const double deviation = std::sqrt(pairs * static_cast<double>(m + n + 1) / 12);
  return NormalBelow((static_cast<double>(u) + 0.5 - pairs / 2) / deviation);
}

// One-sided p of: the first are not smaller. All ties count against it.
double FirstSmaller(std::span<const double> first, std::span<const double> second) {
  const PairCounts counts = Count(first, second);
  return Below(counts.larger + counts.equal, first.size(), second.size());
}

double ResampledMedian(std::mt19937_64& random, std::span<const double> values, std::vector<double>& buffer) {
  buffer.clear();
  for (size_t i = 0; i < values.size(); ++i) buffer.push_back(values[RandomIndex(random, values.size())]);
  return Median(buffer);
}

// From 1; equal values share the mean of their ranks.
std::vector<double> MeanRanks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (const double value : values) {
    if (std::isnan(value)) throw Error(ErrorKind::kData, "a number to be ranked is NaN");
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + 1 + end) / 2;
  }
  return ranks;
}

}  // namespace

double MannWhitney(std::span<const double> first, std::span<const double> second) {
  Check(first);
  Check(second);
  const PairCounts counts = Count(first, second);
  const auto pairs = static_cast<int64_t>(first.size() * second.size());
  // U is symmetric about pairs / 2; its smaller side with ties moved towards the middle.
  const int64_t least = std::min(counts.larger, pairs - counts.larger - counts.equal);
  const int64_t u = std::min(least + counts.equal, pairs / 2);
  return std::min(1.0, 2 * Below(u, first.size(), second.size()));
}

double SmallestMannWhitney(int64_t m, int64_t n) {
  if (m < 1 || n < 1) return 1;
  if (m + n > 1000) return 0;
  const double orders = BinomialCoefficient(static_cast<unsigned>(m + n), static_cast<unsigned>(m));
  return std::min(1.0, 2 / orders);
}

double RatioEquivalence(std::span<const double> first, std::span<const double> second, double margin) {
  Check(first);
  Check(second);
  if (!(margin > 0 && std::isfinite(margin))) {
    throw Error(ErrorKind::kUsage, {"wrong margin", "more than 0", std::to_string(margin), "", ""});
  }
  std::vector<double> larger_first(first.begin(), first.end()), larger_second(second.begin(), second.end());
  for (double& value : larger_first) value *= 1 + margin;
  for (double& value : larger_second) value *= 1 + margin;
  return std::max(FirstSmaller(second, larger_first), FirstSmaller(first, larger_second));
}

Interval MedianRatioInterval(std::span<const double> first, std::span<const double> second, double confidence,
                             const Resampling& resampling) {
  Check(first);
  Check(second);
  if (!(confidence > 0 && confidence < 1) || resampling.resamples < 100) {
    throw Error(ErrorKind::kUsage, "wrong confidence or number of resamples",
                "between 0 and 1; 100 or more resamples");
  }
  std::mt19937_64 random(resampling.seed);
  std::vector<double> ratios, buffer;
  for (int i = 0; i < resampling.resamples; ++i) {
    const double below = ResampledMedian(random, first, buffer);
    ratios.push_back(ResampledMedian(random, second, buffer) / below);
  }
  return {Percentile(ratios, 50 * (1 - confidence)), Percentile(ratios, 50 * (1 + confidence))};
}

double NoiseFloor(std::span<const double> ratios, double least) {
  double largest = 0;
  for (const double ratio : ratios) {
    if (!(std::isfinite(ratio) && ratio > 0)) {
      throw Error(ErrorKind::kData,
                  {"a ratio of timings is not positive", "", std::to_string(ratio), "", ""});
    }
    largest = std::max(largest, std::max(ratio, 1 / ratio) - 1);
  }
  return ratios.size() >= kTrustedPairs ? largest : std::max(largest, least);
}

std::optional<double> Spearman(std::span<const double> first, std::span<const double> second) {
  if (first.size() != second.size()) {
    throw Error(ErrorKind::kData, {"pairs to correlate are incomplete", std::to_string(first.size()),
                                   std::to_string(second.size()), "", ""});
  }
  if (first.size() < 3) return std::nullopt;
  const std::vector<double> a = MeanRanks(first), b = MeanRanks(second);
  const double mean = static_cast<double>(a.size() + 1) / 2;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) * (a[i] - mean);
    bb += (b[i] - mean) * (b[i] - mean);
  }
  if (aa == 0 || bb == 0) return std::nullopt;
  return ab / std::sqrt(aa * bb);
}

}  // namespace tnb
