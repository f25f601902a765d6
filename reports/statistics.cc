#include "reports/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "reports/statistics/distributions.h"

namespace tnb {
namespace {

void Check(std::span<const double> values, size_t least) {
  if (values.size() < least) {
    throw Error(ErrorKind::kData, {"too few observations", std::to_string(least) + " or more",
                                   std::to_string(values.size()), "", ""});
  }
  if (std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); })) {
    throw Error(ErrorKind::kData, "an observation is NaN");
  }
}

}  // namespace

double Mean(std::span<const double> values) {
  Check(values, 1);
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double SampleDeviation(std::span<const double> values) {
  Check(values, 2);
  const double mean = Mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double StandardError(std::span<const double> values) {
  return SampleDeviation(values) / std::sqrt(static_cast<double>(values.size()));
}

double Percentile(std::span<const double> values, double p) {
  Check(values, 1);
  if (!(p >= 0 && p <= 100)) {
    throw Error(ErrorKind::kUsage, {"wrong percentile", "0 to 100", std::to_string(p), "", ""});
  }
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double position = p / 100 * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(position);
  if (below + 1 >= sorted.size()) return sorted.back();
  const double fraction = position - static_cast<double>(below);
  if (fraction == 0) return sorted[below];  // also keeps infinities from becoming NaN
  return sorted[below] + fraction * (sorted[below + 1] - sorted[below]);
}

double Median(std::span<const double> values) { return Percentile(values, 50); }

Interval WilsonInterval(int64_t successes, int64_t n, double confidence) {
  if (n < 1 || successes < 0 || successes > n) {
    throw Error(ErrorKind::kData, {"wrong count of successes", "0 to n, n at least 1",
                                   std::to_string(successes) + " of " + std::to_string(n), "", ""});
  }
  const double z = NormalQuantile(0.5 + confidence / 2);
  const double size = static_cast<double>(n);
  const double p = static_cast<double>(successes) / size;
  const double scale = 1 + z * z / size;
  const double center = (p + z * z / (2 * size)) / scale;
  const double half = z / scale * std::sqrt(p * (1 - p) / size + z * z / (4 * size * size));
  // At the ends the formula gives exactly 0 and 1 but for rounding.
  return {successes == 0 ? 0.0 : center - half, successes == n ? 1.0 : center + half};
}

}  // namespace tnb
