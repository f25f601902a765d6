#include "reports/statistics/verdict.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "reports/statistics/distributions.h"

namespace tnb {
namespace {

constexpr double kPower = 0.8;

double Quantile(double p, double degrees) {
  if (degrees <= 0) return NormalQuantile(p);
  return StudentQuantile(p, degrees);
}

std::optional<double> Detectable(const Comparison& comparison, double alpha) {
  // A sign test needs this many items that all changed in one direction.
  const double least_items = std::ceil(1 - std::log2(alpha));
  const double floor = comparison.step * least_items;
  if (!(comparison.null_error > 0) && !(floor > 0)) return std::nullopt;
  double difference = (Quantile(1 - alpha / 2, comparison.degrees) + Quantile(kPower, comparison.degrees)) *
                      comparison.null_error;
  if (comparison.ratio) difference = std::expm1(difference);
  difference = std::max({difference, floor, comparison.noise_floor});
  return std::isfinite(difference) ? std::optional<double>(difference) : std::nullopt;
}

// How far the difference is from none, in the scale of the noise floor.
double Distance(const Comparison& comparison) {
  if (!comparison.ratio) return std::fabs(comparison.difference);
  return std::max(comparison.difference, 1 / comparison.difference) - 1;
}

}  // namespace

bool IsGain(const Comparison& comparison) {
  return (comparison.difference > (comparison.ratio ? 1 : 0)) == comparison.higher_is_better;
}

std::vector<double> Holm(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const double p = p_values[order[rank]];
    if (!(p >= 0 && p <= 1)) {
      throw Error(ErrorKind::kData, {"wrong p value", "0 to 1", std::to_string(p), "", ""});
    }
    largest = std::max(largest, std::min(1.0, static_cast<double>(order.size() - rank) * p));
    adjusted[order[rank]] = largest;
  }
  return adjusted;
}

bool CanReject(const Comparison& comparison, double alpha) { return comparison.smallest_p < alpha; }

double PairedDetectable(double flip_rate, int64_t n, double alpha, double power) {
  if (!(flip_rate >= 0 && flip_rate <= 1) || n < 1) {
    throw Error(ErrorKind::kUsage, "wrong flip rate or number of items", "a share, and at least 1");
  }
  return (NormalQuantile(1 - alpha / 2) + NormalQuantile(power)) *
         std::sqrt(flip_rate / static_cast<double>(n));
}

double UnpairedDetectable(double p, int64_t n, double alpha, double power) {
  return PairedDetectable(2 * p * (1 - p), n, alpha, power);
}

const char* ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBetter:
      return "better";
    case Verdict::kWorse:
      return "worse";
    case Verdict::kEquivalent:
      return "equivalent";
    case Verdict::kCannotBeSignificant:
      return "cannot be significant";
    case Verdict::kNotDistinguishable:
      break;
  }
  return "not distinguishable";
}

namespace {

// Over those that are in the family; 1 for the others.
std::vector<double> HolmOf(std::span<const double> p_values, const std::vector<bool>& in_family) {
  std::vector<double> family, adjusted(p_values.size(), 1);
  for (size_t i = 0; i < p_values.size(); ++i) {
    if (in_family[i]) family.push_back(p_values[i]);
  }
  const std::vector<double> holm = Holm(family);
  size_t next = 0;
  for (size_t i = 0; i < p_values.size(); ++i) {
    if (in_family[i]) adjusted[i] = holm[next++];
  }
  return adjusted;
}

}  // namespace

std::vector<Judgment> Judge(std::span<const Comparison> table, double alpha) {
  if (!(alpha > 0 && alpha < 1)) {
    throw Error(ErrorKind::kUsage, {"wrong alpha", "between 0 and 1", std::to_string(alpha), "", ""});
  }
  std::vector<double> different, equivalent;
  std::vector<bool> can_differ, can_be_equivalent;
  size_t family = 0;
  for (const Comparison& comparison : table) {
    different.push_back(comparison.p);
    equivalent.push_back(comparison.p_equivalent);
    can_differ.push_back(CanReject(comparison, alpha));
    can_be_equivalent.push_back(comparison.smallest_p_equivalent < alpha);
    family += can_differ.back() ? 1 : 0;
  }
  const std::vector<double> p = HolmOf(different, can_differ);
  const std::vector<double> p_equivalent = HolmOf(equivalent, can_be_equivalent);
  std::vector<Judgment> judgments;
  for (size_t i = 0; i < table.size(); ++i) {
    const Comparison& comparison = table[i];
    Judgment judgment{.p_adjusted = p[i], .p_equivalent_adjusted = p_equivalent[i]};
    judgment.detectable = Detectable(comparison, alpha / static_cast<double>(std::max<size_t>(family, 1)));
    std::vector<double> best = different;
    best[i] = comparison.smallest_p;
    if (p[i] < alpha && Distance(comparison) > comparison.noise_floor) {
      judgment.verdict = IsGain(comparison) ? Verdict::kBetter : Verdict::kWorse;
      judgment.within_margin = p_equivalent[i] < alpha;
    } else if (p_equivalent[i] < alpha) {
      judgment.verdict = Verdict::kEquivalent;
    } else if (HolmOf(best, can_differ)[i] >= alpha) {
      judgment.verdict = Verdict::kCannotBeSignificant;
    }
    judgments.push_back(judgment);
  }
  return judgments;
}

}  // namespace tnb
