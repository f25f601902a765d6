#include "tasks/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"

namespace tnb {
namespace {

double SortedPercentile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<std::pair<double, double>> BootstrapMeans(const std::vector<std::vector<double>>& columns,
                                                      int resamples, uint32_t seed) {
  if (columns.empty()) return {};
  const size_t n = columns[0].size();
  for (const auto& column : columns) {
    if (column.size() != n || n < 2 || resamples < 1) {
      throw Error(ErrorKind::kInternal, "a bootstrap needs two items and columns of one length");
    }
  }
  std::mt19937 random(seed);
  std::vector<std::vector<double>> means(columns.size());
  std::vector<double> sums(columns.size());
  for (int round = 0; round < resamples; ++round) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (size_t draw = 0; draw < n; ++draw) {
      const auto item = static_cast<size_t>((uint64_t{random()} * n) >> 32);
      for (size_t c = 0; c < columns.size(); ++c) sums[c] += columns[c][item];
    }
    for (size_t c = 0; c < columns.size(); ++c) means[c].push_back(sums[c] / static_cast<double>(n));
  }
  std::vector<std::pair<double, double>> intervals;
  for (std::vector<double>& values : means) {
    std::sort(values.begin(), values.end());
    intervals.emplace_back(SortedPercentile(values, 0.025), SortedPercentile(values, 0.975));
  }
  return intervals;
}

}  // namespace tnb
