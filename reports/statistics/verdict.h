// From tests to verdicts: multiplicity, power, and the one rule that turns the tests of a table into words.
//
//   std::vector<Comparison> table = {CompareShares(base, candidate, ...), CompareTimes(...), ...};
//   std::vector<Judgment> judged = Judge(table, {.alpha = 0.05});
//
// The rule, with p values adjusted by Holm (1979) over the table, those of difference and those of
// equivalence each as a family (without the tests that data of their size never bring below alpha, whatever
// the data: they reject nothing, and so cost the others nothing; Tarone 1990):
//   better, worse               adjusted p < alpha, and beyond the noise floor of timings
//   equivalent within margin    adjusted p of the two one-sided tests < alpha
//   cannot be significant       even the most extreme data of this size would not reach alpha in this table
//   not distinguishable         none of these; then the smallest difference that would have been seen with
//                               power 0.8 says how little that means
// A better or worse that is also equivalent is real but within the margin (within_margin).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reports/statistics/paired.h"

namespace tnb {

// Adjusted p values in the given order: step-down Bonferroni (Holm 1979).
std::vector<double> Holm(std::span<const double> p_values);

// Smallest difference of shares that a paired test sees with this power when a share `flip_rate` of n items
// changes: (z(1 - alpha / 2) + z(power)) sqrt(flip_rate / n).
double PairedDetectable(double flip_rate, int64_t n, double alpha = 0.05, double power = 0.8);
// As above for two independent samples of n items and share p.
double UnpairedDetectable(double p, int64_t n, double alpha = 0.05, double power = 0.8);

// One difference with its tests. Differences and intervals are second - first, or where `ratio` is set second
// / first; n is that of the smaller side.
struct Comparison {
  double difference = 0;
  bool ratio = false;
  std::optional<Interval> interval{};  // 1 - alpha, not adjusted; none for fewer than 5 observations
  double p = 1;                        // two-sided
  double smallest_p = 1;               // that data of this size can give
  double p_equivalent = 1;             // two one-sided tests against `margin`
  double smallest_p_equivalent = 0;    // that data of this size can give
  double margin = 0;                   // of the difference; of a ratio: 0.02 is within 1/1.02 to 1.02
  double noise_floor = 0;  // |difference| (|ratio - 1|) must be beyond it to be called better or worse
  bool higher_is_better = true;
  bool identical = false;  // no item differs at all
  std::string test{};      // "exact McNemar", as shown
  int64_t n = 0, clusters = 0;
  Discordant flips{};  // right-or-wrong items only
  // For the smallest detectable difference: standard error without a difference (log scale for ratios), its
  // degrees of freedom (0: normal), and the difference that one item makes (0: no such step).
  double null_error = 0;
  double degrees = 0;
  double step = 0;
};

struct TestOptions {
  double alpha = 0.05;
  double margin = 0.01;
  Resampling resampling{};
  bool intervals = true;  // false: p values only, where intervals take time
};

// Items that are right (1) or wrong (0): exact McNemar, Tango's interval and equivalence. Clustered items:
// sign flips of cluster sums, bootstrap over clusters, cluster-robust t. The margin is one of shares.
Comparison CompareShares(std::span<const double> first, std::span<const double> second,
                         std::span<const std::string> clusters, const TestOptions& options);
// Scores of items: sign flips, paired bootstrap, t. `range` as in MeanEquivalence.
Comparison CompareMeans(std::span<const double> first, std::span<const double> second,
                        std::span<const double> weights, std::span<const std::string> clusters, double range,
                        const TestOptions& options);
// CompareMeans of negative log-likelihoods, shown as the ratio of perplexities; the margin is relative.
Comparison ComparePerplexities(std::span<const double> first, std::span<const double> second,
                               std::span<const double> weights, std::span<const std::string> clusters,
                               const TestOptions& options);
// Two numbers of which only the standard errors are known, taken as independent, by the normal distribution:
// for means of very many observations (n: of each side).
struct Estimate {
  double value = 0, error = 0;
};
Comparison CompareEstimates(const Estimate& first, const Estimate& second, int64_t n,
                            const TestOptions& options);
// Repetitions of a timing or other positive observations: Mann-Whitney, bootstrap of the ratio of medians.
// The margin is relative.
Comparison CompareTimes(std::span<const double> first, std::span<const double> second, double noise_floor,
                        const TestOptions& options);

// Whether the difference is for the better; not whether it is significant.
bool IsGain(const Comparison& comparison);

enum class Verdict { kBetter, kWorse, kEquivalent, kNotDistinguishable, kCannotBeSignificant };
// "better" "worse" "equivalent" "not distinguishable" "cannot be significant".
const char* ToString(Verdict verdict);

struct Judgment {
  Verdict verdict = Verdict::kNotDistinguishable;
  bool within_margin = false;  // better or worse, but surely by less than the margin
  double p_adjusted = 1;
  double p_equivalent_adjusted = 1;
  // With power 0.8 at alpha divided by the size of the family; in units of `difference` (of ratios: ratio
  // - 1). None where the data cannot tell.
  std::optional<double> detectable{};
};

// Whether the test of a difference can reject at all, alone: others are no part of the family.
bool CanReject(const Comparison& comparison, double alpha);

// One judgment a comparison; the comparisons are one family.
std::vector<Judgment> Judge(std::span<const Comparison> table, double alpha = 0.05);

}  // namespace tnb
