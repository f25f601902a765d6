// Two systems on the same items: exact McNemar and Tango's score interval for right-or-wrong items, sign-flip
// permutation, bootstrap and cluster-robust standard errors for any score. Differences are always second
// minus first.
//
//   const PairedSample sample = MakePairedSample(base, candidate, {}, passages);
//   const double p = SignFlipTest(sample).p;
//   const Interval interval = BootstrapInterval(sample, 0.95);
//
// Items of one cluster (questions about one passage) are not independent: they are summed, and clusters are
// what is flipped, resampled and counted (Miller 2024, arXiv 2411.00640; for right-or-wrong items flipping
// cluster sums is the permutation form of Durkalski et al. 2003). Weights make the estimate a ratio, such as
// log-likelihood per word. Everything is deterministic: resampling has a fixed seed and integer draws.
//
// Error{kData} for sequences of different lengths, nothing to compare, NaN or infinite scores, weights that
// are not positive in sum.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "reports/statistics.h"

namespace tnb {

// Items that exactly one of the two answers right.
struct Discordant {
  int64_t first = 0, second = 0;
};

// Two-sided exact p (McNemar 1947): twice the binomial tail, at most 1. 1 without discordant items.
double McNemarExact(const Discordant& discordant);
// z of the score test of: difference of the two shares = `difference` (Tango 1998), -1 < difference < 1;
// positive when the observed difference is larger.
double TangoScore(const Discordant& discordant, int64_t n, double difference);
// The differences that the score test does not reject: of (second - first) / n. n >= 1.
Interval TangoInterval(const Discordant& discordant, int64_t n, double confidence = 0.95);
// Equivalence by two one-sided score tests: small when the difference of the shares surely lies within
// (-margin, margin), 0 < margin < 1.
double TangoEquivalence(const Discordant& discordant, int64_t n, double margin);

// One entry a cluster (without clusters: an item).
struct PairedSample {
  std::vector<double> sums;     // of second - first
  std::vector<double> weights;  // of its items
  int64_t items = 0;
  int64_t identical_items = 0;  // whose scores do not differ
  bool clustered = false;       // some cluster has more than one item

  double estimate() const;  // sum of sums / sum of weights
  bool identical() const;   // no item differs
};

// Empty weights: 1 an item. Empty clusters: every item is its own; so is an item whose cluster is "".
PairedSample MakePairedSample(std::span<const double> first, std::span<const double> second,
                              std::span<const double> weights = {},
                              std::span<const std::string> clusters = {});

// Standard error of the estimate, clusters independent: linearized ratio with the factor G / (G - 1), which
// is the CR1 error of a regression on a constant. At least 2 clusters.
double ClusterStandardError(const PairedSample& sample);

struct Resampling {
  int resamples = 10000;
  uint64_t seed = 20240601;
};

// Percentile interval of the estimate over resampled clusters (Efron 1979).
Interval BootstrapInterval(const PairedSample& sample, double confidence = 0.95,
                           const Resampling& resampling = {});

struct PermutationTest {
  double p = 1;
  double smallest_p = 1;  // that this many clusters (and resamples) can give
};
// Two-sided test of: the two systems are exchangeable within each cluster. Exact where all clusters that
// differ do so by the same amount (then it is McNemar's test) or where they are at most 16, otherwise
// (1 + hits) / (1 + resamples).
PermutationTest SignFlipTest(const PairedSample& sample, const Resampling& resampling = {});

// Equivalence by two one-sided t tests (Schuirmann 1987) with the cluster-robust error and clusters - 1
// degrees of freedom. `range` is the largest difference that one unit of weight can make (1 for shares; 0:
// the largest one seen); half such a cluster each way is added to the variance, after Agresti and Min (2005):
// rare losses that happen not to be among the items would otherwise look impossible. 1 when nothing can be
// concluded.
double MeanEquivalence(const PairedSample& sample, double margin, double range);

}  // namespace tnb
