// Bootstrap and sign flips of paired samples.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <random>

#include "base/error.h"
#include "reports/statistics/paired.h"
#include "reports/statistics/random_index.h"

namespace tnb {
namespace {

constexpr size_t kMostEnumerated = 16;  // 65536 sign patterns

void Check(const Resampling& resampling) {
  if (resampling.resamples < 100) {
    throw Error(ErrorKind::kUsage,
                {"too few resamples", "100 or more", std::to_string(resampling.resamples), "", ""});
  }
}

// Equal up to rounding of the sums.
double Slack(const std::vector<double>& values) {
  double size = 0;
  for (const double value : values) size += std::fabs(value);
  return 1e-12 * size;
}

double FlippedSum(const std::vector<double>& values, uint64_t signs) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += (signs >> i & 1) != 0 ? -values[i] : values[i];
  return sum;
}

}  // namespace

Interval BootstrapInterval(const PairedSample& sample, double confidence, const Resampling& resampling) {
  Check(resampling);
  if (!(confidence > 0 && confidence < 1)) {
    throw Error(ErrorKind::kUsage,
                {"wrong confidence", "between 0 and 1", std::to_string(confidence), "", ""});
  }
  std::mt19937_64 random(resampling.seed);
  const size_t clusters = sample.sums.size();
  const bool equal_weights = std::all_of(sample.weights.begin(), sample.weights.end(),
                                         [&](double weight) { return weight == sample.weights[0]; });
  const double total = std::accumulate(sample.weights.begin(), sample.weights.end(), 0.0);
  std::vector<double> estimates;
  while (estimates.size() < static_cast<size_t>(resampling.resamples)) {
    double sum = 0, weight = 0;
    for (size_t i = 0; i < clusters; ++i) {
      const size_t drawn = RandomIndex(random, clusters);
      sum += sample.sums[drawn];
      if (!equal_weights) weight += sample.weights[drawn];
    }
    if (equal_weights) weight = total;
    // Only empty texts were drawn: no estimate. They cannot be all (MakePairedSample).
    if (weight > 0) estimates.push_back(sum / weight);
  }
  return {Percentile(estimates, 50 * (1 - confidence)), Percentile(estimates, 50 * (1 + confidence))};
}

PermutationTest SignFlipTest(const PairedSample& sample, const Resampling& resampling) {
  Check(resampling);
  PermutationTest test;
  test.smallest_p =
      std::min(1.0, std::ldexp(1.0, 1 - static_cast<int>(std::min<size_t>(sample.sums.size(), 1000))));
  // A cluster that does not differ adds nothing, whatever its sign.
  std::vector<double> values;
  std::copy_if(sample.sums.begin(), sample.sums.end(), std::back_inserter(values),
               [](double sum) { return sum != 0; });
  if (values.empty()) return test;
  const double size = std::fabs(values[0]);
  const bool equal = std::all_of(values.begin(), values.end(), [&](double value) {
    return std::fabs(std::fabs(value) - size) <= 1e-12 * size;
  });
  if (equal) {
    const auto gained = std::count_if(values.begin(), values.end(), [](double value) { return value > 0; });
    test.p = McNemarExact({.first = static_cast<int64_t>(values.size()) - gained, .second = gained});
    return test;
  }
  const double observed = std::fabs(std::accumulate(values.begin(), values.end(), 0.0)) - Slack(values);
  if (values.size() <= kMostEnumerated) {
    const uint64_t patterns = uint64_t{1} << values.size();
    uint64_t hits = 0;
    for (uint64_t signs = 0; signs < patterns; ++signs) {
      hits += std::fabs(FlippedSum(values, signs)) >= observed ? 1 : 0;
    }
    test.p = static_cast<double>(hits) / static_cast<double>(patterns);
    return test;
  }
  std::mt19937_64 random(resampling.seed);
  int hits = 0;
  for (int resample = 0; resample < resampling.resamples; ++resample) {
    double sum = 0;
    uint64_t bits = 0;
    for (size_t i = 0; i < values.size(); ++i, bits >>= 1) {
      if (i % 64 == 0) bits = random();
      sum += (bits & 1) != 0 ? -values[i] : values[i];
    }
    hits += std::fabs(sum) >= observed ? 1 : 0;
  }
  const double trials = 1.0 + resampling.resamples;
  test.p = (1 + hits) / trials;
  test.smallest_p = std::max(test.smallest_p, 1 / trials);
  return test;
}

}  // namespace tnb
