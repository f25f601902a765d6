// Percentile bootstrap of means (Efron 1979), as rouge_score's BootstrapAggregator: whole items are drawn
// with replacement, so that all scores of an item stay together; bounds are numpy.percentile's (linear).
// rouge_score draws 1,000 times and is not seeded; here it is 10,000 times with a fixed seed, so that the
// same items give the same interval.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace tnb {

constexpr int kBootstrapResamples = 10000;

// 95 % intervals (2.5th and 97.5th percentile) of the mean of each column; columns[c][i] is score c of item
// i. Needs two items or more and columns of one length (Error{kInternal}).
std::vector<std::pair<double, double>> BootstrapMeans(const std::vector<std::vector<double>>& columns,
                                                      int resamples = kBootstrapResamples,
                                                      uint32_t seed = 1234);

}  // namespace tnb
