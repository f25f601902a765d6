// Ranks. Timings of two systems: independent repetitions, compared by ranks, because times are skewed and
// have outliers. Ratios are always second / first; observations are positive.
//
// Error{kData} for no observations, NaN, infinity, or ones that are not positive.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "reports/statistics.h"
#include "reports/statistics/paired.h"

namespace tnb {

// Two-sided Mann-Whitney test (1947). Exact up to 50 + 50 observations, beyond that by the normal
// approximation with continuity correction. Ties are resolved against significance: of all orders that they
// leave open the least significant one is taken, as airspeed velocity does.
double MannWhitney(std::span<const double> first, std::span<const double> second);
// Smallest two-sided p that m + n observations can give: 2 / binomial(m + n, m), at most 1.
double SmallestMannWhitney(int64_t m, int64_t n);
// Equivalence by two one-sided Mann-Whitney tests on scaled observations: small when second / first surely
// lies within (1 / (1 + margin), 1 + margin). Valid when the two distributions differ by a factor.
double RatioEquivalence(std::span<const double> first, std::span<const double> second, double margin);

// Of median(second) / median(first), both resampled: percentile bootstrap.
Interval MedianRatioInterval(std::span<const double> first, std::span<const double> second,
                             double confidence = 0.95, const Resampling& resampling = {});

// The relative difference below which a timing says nothing, from ratios of A/A runs (the same thing
// measured twice): the largest one seen, but at least `least` unless there are 10 pairs or more.
double NoiseFloor(std::span<const double> ratios, double least = 0.02);

// Spearman's rank correlation: Pearson's of the ranks, equal values sharing their mean rank. None for fewer
// than three pairs, or when all values of one side are equal. Infinite values are ranked; Error{kData} for
// NaN and for sequences of different lengths.
std::optional<double> Spearman(std::span<const double> first, std::span<const double> second);

}  // namespace tnb
