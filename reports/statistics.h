// Descriptive statistics of measured numbers. Functions take the observations by span and throw Error{kData}
// when there are too few or one is NaN: a number without observations does not exist, and is not 0.
#pragma once

#include <cstdint>
#include <span>

namespace tnb {

struct Interval {
  double lo = 0;
  double hi = 0;
};

double Mean(std::span<const double> values);  // n >= 1
// Square root of the unbiased variance (divisor n - 1). n >= 2.
double SampleDeviation(std::span<const double> values);
// Sample deviation / sqrt(n), which is mean_stderr of lm-evaluation-harness. n >= 2.
double StandardError(std::span<const double> values);
// The p-th percentile, 0 <= p <= 100, linear between order statistics as numpy.percentile's default. n >= 1.
double Percentile(std::span<const double> values, double p);
double Median(std::span<const double> values);
// Score interval of a proportion (Wilson 1927), 0 <= successes <= n, n >= 1, 0 < confidence < 1.
Interval WilsonInterval(int64_t successes, int64_t n, double confidence = 0.95);

}  // namespace tnb
