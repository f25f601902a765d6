#include "reports/history.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "base/error.h"
#include "reports/statistics.h"
#include "reports/statistics/distributions.h"

namespace tnb {
namespace {

// A piece costs as much as kPieceCost deviations times the logarithm of the length: with it, 100 values of
// one level are cut in about 1 % of all cases (tested).
constexpr double kPieceCost = 4;
constexpr size_t kLongest = 1000;  // values that FindPieces looks at; older ones are one piece

// Sum of absolute deviations from the median of a growing set.
class RunningDeviation {
 public:
  void Add(double value) {
    if (low_.empty() || value <= low_.top()) {
      low_.push(value);
      low_sum_ += value;
    } else {
      high_.push(value);
      high_sum_ += value;
    }
    if (low_.size() > high_.size() + 1) {
      Move(&low_, &low_sum_, &high_, &high_sum_);
    } else if (high_.size() > low_.size()) {
      Move(&high_, &high_sum_, &low_, &low_sum_);
    }
  }
  double Sum() const {
    const double median = low_.top();
    const double low = median * static_cast<double>(low_.size()) - low_sum_;
    return low + high_sum_ - median * static_cast<double>(high_.size());
  }

 private:
  template <typename From, typename To>
  static void Move(From* from, double* from_sum, To* to, double* to_sum) {
    const double value = from->top();
    from->pop();
    to->push(value);
    *from_sum -= value;
    *to_sum += value;
  }

  std::priority_queue<double> low_;
  std::priority_queue<double, std::vector<double>, std::greater<>> high_;
  double low_sum_ = 0, high_sum_ = 0;
};

void RequireFinite(std::span<const double> values) {
  for (const double value : values) {
    if (!std::isfinite(value)) throw Error(ErrorKind::kData, "a night's number is not finite");
  }
}

// Deviation of the noise from differences of neighbors, which a few steps do not change.
double NoiseOf(std::span<const double> values, double resolution) {
  std::vector<double> differences;
  for (size_t i = 1; i < values.size(); ++i) differences.push_back(std::fabs(values[i] - values[i - 1]));
  // The median of |N(0, 2 sigma^2)| is 0.9539 sigma.
  const double noise = differences.empty() ? 0 : Median(differences) / 0.9539;
  return std::max(noise, resolution * std::fabs(Median(values)) / kPieceCost);
}

// The last piece with at least `least` values, as a range; all values when there is none.
std::pair<size_t, size_t> LastingPiece(std::span<const double> values, const WatchOptions& options) {
  const std::vector<size_t> starts = FindPieces(values, options.nights, options.floor / 2);
  for (size_t i = starts.size(); i-- > 0;) {
    const size_t end = i + 1 < starts.size() ? starts[i + 1] : values.size();
    if (end - starts[i] >= options.least_history) return {starts[i], end};
  }
  return {0, values.size()};
}

// Positive numbers; an accepted level is a product, and rounded.
bool IsConstant(std::span<const double> values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return *most - *least <= 1e-12 * *most;
}

// The nights that the last ones are compared with, and how many these are. A number that never varied is
// judged tonight, anything else after `nights` nights.
struct Split {
  std::span<const double> base;  // empty: there are too few
  size_t nights = 0;
  bool constant = false;
};

Split SplitNights(std::span<const double> values, const WatchOptions& options) {
  Split split;
  const auto compare = [&](size_t nights) {
    std::span<const double> past = values.first(values.size() - nights);
    if (past.size() > options.history) past = past.last(options.history);
    const auto [begin, end] = LastingPiece(past, options);
    return past.subspan(begin, end - begin);
  };
  if (values.size() < options.least_history + 1) return split;
  const std::span<const double> base = compare(1);
  split.constant = IsConstant(base);
  split.nights = split.constant ? 1 : options.nights;
  if (values.size() < options.least_history + split.nights) return split;
  split.base = compare(split.nights);
  return split;
}

}  // namespace

void CheckWatchOptions(const WatchOptions& options) {
  const auto check = [](bool good, const char* field, const char* expected) {
    if (!good) throw Error(ErrorKind::kUsage, {"value out of range", expected, "", field, ""});
  };
  check(options.nights >= 1 && options.nights <= 30, "nights", "1 to 30");
  check(options.least_history >= 4, "least_history", "4 or more");
  check(options.history >= options.least_history && options.history <= kLongest, "history",
        "least_history to 1000");
  check(options.alpha > 0 && options.alpha <= 0.5, "alpha", "above 0, at most 0.5");
  check(options.floor >= 0 && options.floor < 1, "floor", "0 to below 1");
}

std::vector<size_t> FindPieces(std::span<const double> values, size_t shortest, double resolution) {
  if (values.empty()) throw Error(ErrorKind::kData, "there are no nights");
  RequireFinite(values);
  const size_t skipped = values.size() > kLongest ? values.size() - kLongest : 0;
  const std::span<const double> x = values.subspan(skipped);
  const size_t n = x.size();
  shortest = std::max<size_t>(shortest, 1);
  const double price =
      kPieceCost * NoiseOf(x, resolution) * std::log(std::max<double>(static_cast<double>(n), 2));
  // best[e]: cost of the first e values; the last piece of that fit starts at last[e].
  std::vector<double> best(n + 1, INFINITY);
  std::vector<size_t> last(n + 1, 0);
  best[0] = 0;
  for (size_t begin = 0; begin < n; ++begin) {
    if (!std::isfinite(best[begin])) continue;
    RunningDeviation deviation;
    for (size_t end = begin + 1; end <= n; ++end) {
      deviation.Add(x[end - 1]);
      if (end - begin < shortest && !(begin == 0 && end == n)) continue;
      const double cost = best[begin] + price + deviation.Sum();
      if (cost < best[end]) {
        best[end] = cost;
        last[end] = begin;
      }
    }
  }
  std::vector<size_t> starts;
  for (size_t end = n; end > 0; end = last[end]) starts.push_back(last[end] == 0 ? 0 : last[end] + skipped);
  std::reverse(starts.begin(), starts.end());
  return starts;
}

const char* ToString(NightVerdict verdict) {
  switch (verdict) {
    case NightVerdict::kFine:
      return "fine";
    case NightVerdict::kWatch:
      return "watch";
    case NightVerdict::kRegression:
      return "regression";
    case NightVerdict::kImprovement:
      return "improvement";
    case NightVerdict::kTooFewNights:
      return "too few nights";
    case NightVerdict::kNotComparable:
      return "not comparable";
  }
  throw Error(ErrorKind::kInternal, "a verdict is not named");
}

SeriesJudgment JudgeSeries(std::span<const double> values, const WatchOptions& options) {
  RequireFinite(values);
  if (values.empty()) throw Error(ErrorKind::kData, "there are no nights");
  for (const double value : values) {
    if (value <= 0) throw Error(ErrorKind::kData, "a night's number is not positive");
  }
  SeriesJudgment judgment{.tonight = values.back()};
  const auto [base, nights, constant] = SplitNights(values, options);
  if (base.empty()) return judgment;
  judgment.level = Median(base);
  judgment.nights = base.size();

  // Relative to the level, positive is worse.
  const double sign = options.higher_is_better ? -1 : 1;
  std::vector<double> past, recent;
  for (const double value : base) past.push_back(sign * (value / judgment.level - 1));
  for (const double value : values.last(nights)) recent.push_back(sign * (value / judgment.level - 1));
  const double q1 = Percentile(past, 25), q3 = Percentile(past, 75), iqr = q3 - q1;
  const auto cut = [&](double value) { return std::clamp(value, q1 - 1.5 * iqr, q3 + 1.5 * iqr); };
  std::vector<double> cut_past, cut_recent;
  for (const double value : past) cut_past.push_back(cut(value));
  for (const double value : recent) cut_recent.push_back(iqr > 0 ? cut(value) : value);
  double room = 0;
  if (!constant) {
    const auto n = static_cast<double>(past.size());
    room = StudentQuantile(1 - options.alpha, n - 1) * SampleDeviation(cut_past) *
           std::sqrt(1 / static_cast<double>(nights) + 1 / n);
  }
  const double shift = Mean(cut_recent) - Mean(cut_past);
  judgment.threshold = std::max(room, options.floor);
  judgment.change = sign * Mean(recent);
  const auto confirmed = [&](double side) {
    const bool consecutive =
        std::all_of(recent.begin(), recent.end(), [&](double value) { return side * value > 0; });
    return consecutive && side * shift > room && side * Median(recent) > options.floor;
  };
  const double tonight = recent.back();
  const bool outside = tonight > q3 + 3 * iqr || tonight < q1 - 3 * iqr;
  judgment.verdict = confirmed(1)                                    ? NightVerdict::kRegression
                     : confirmed(-1)                                 ? NightVerdict::kImprovement
                     : outside && std::fabs(tonight) > options.floor ? NightVerdict::kWatch
                                                                     : NightVerdict::kFine;
  return judgment;
}

std::vector<double> AcceptLevel(std::span<const double> values, size_t accepted,
                                const WatchOptions& options) {
  std::vector<double> leveled(values.begin(), values.end());
  if (accepted >= values.size()) throw Error(ErrorKind::kInternal, "an accepted night is not in the history");
  const std::span<const double> until = values.first(accepted + 1);
  const auto [base, nights, constant] = SplitNights(until, options);
  if (base.empty()) return leveled;
  // The step, where it is seen. Where numbers scatter, the nights of the verdict belong to the new level in
  // any case: a wild last night is no level.
  size_t step = until.size() - nights;
  if (const std::vector<size_t> starts = FindPieces(until, 1, options.floor / 2); starts.size() > 1) {
    const bool exact = IsConstant(base) && IsConstant(until.subspan(starts.back()));
    step = exact ? starts.back() : std::min(step, starts.back());
  }
  const double factor = Median(until.subspan(step)) / Median(base);
  for (size_t i = 0; i < step; ++i) leveled[i] *= factor;
  return leveled;
}

size_t ReferenceNight(std::span<const double> values, const WatchOptions& options) {
  const size_t skipped = values.size() > options.history ? values.size() - options.history : 0;
  return skipped + LastingPiece(values.subspan(skipped), options).first;
}

}  // namespace tnb
