#include "methods/allocate/allocation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>

#include "base/error.h"

namespace tnb {
namespace {

using Choice = std::vector<size_t>;

int64_t Total(const std::vector<RateCurve>& curves, const Choice& choice) {
  int64_t total = 0;
  for (size_t i = 0; i < curves.size(); ++i) total += curves[i].parameters[choice[i]];
  return total;
}

// The point where loss + price * parameters is least; the smaller one on ties.
size_t AtPrice(const RateCurve& curve, double price) {
  size_t best = 0;
  double least = INFINITY;
  for (size_t i = 0; i < curve.parameters.size(); ++i) {
    const double cost = curve.loss[i] + price * static_cast<double>(curve.parameters[i]);
    if (cost < least) {
      least = cost;
      best = i;
    }
  }
  return best;
}

// The smallest point whose relative loss is at most `share`.
size_t AtShare(const RateCurve& curve, double share) {
  for (size_t i = 0; i < curve.loss.size(); ++i) {
    if (curve.loss[i] <= share * curve.total) return i;
  }
  return curve.loss.size() - 1;
}

// The choice of the least `x` in [low, high] whose total is within the budget; totals fall as x grows. `high`
// must be within it. Bisection on a logarithmic scale where low > 0.
Choice Bisect(const std::vector<RateCurve>& curves, int64_t budget, double low, double high,
              const std::function<size_t(const RateCurve&, double)>& choose) {
  const auto all = [&](double x) {
    Choice choice;
    for (const RateCurve& curve : curves) choice.push_back(choose(curve, x));
    return choice;
  };
  Choice best = all(high);
  for (int step = 0; step < 200; ++step) {
    const double middle = low > 0 ? std::sqrt(low) * std::sqrt(high) : (low + high) / 2;
    if (middle <= low || middle >= high) break;
    Choice choice = all(middle);
    if (Total(curves, choice) <= budget) {
      high = middle;
      best = std::move(choice);
    } else {
      low = middle;
    }
  }
  return best;
}

// Spends what is left: again and again the step to a larger point that lowers the loss most a parameter.
void TopUp(const std::vector<RateCurve>& curves, int64_t budget, bool relative, Choice& choice) {
  int64_t left = budget - Total(curves, choice);
  struct Step {
    double gain;
    size_t curve, from, to;
    bool operator<(const Step& other) const {
      return gain != other.gain ? gain < other.gain : curve > other.curve;
    }
  };
  std::priority_queue<Step> steps;
  const auto offer = [&](size_t i) {
    const RateCurve& curve = curves[i];
    Step best{-1, i, choice[i], 0};
    for (size_t to = choice[i] + 1; to < curve.parameters.size(); ++to) {
      const int64_t cost = curve.parameters[to] - curve.parameters[choice[i]];
      if (cost > left) break;
      const double scale = relative && curve.total > 0 ? curve.total : 1;
      const double gain = (curve.loss[choice[i]] - curve.loss[to]) / scale / static_cast<double>(cost);
      if (gain > best.gain) {
        best.gain = gain;
        best.to = to;
      }
    }
    if (best.gain > 0) steps.push(best);
  };
  for (size_t i = 0; i < curves.size(); ++i) offer(i);
  while (!steps.empty()) {
    const Step step = steps.top();
    steps.pop();
    if (choice[step.curve] == step.from) {
      const std::vector<int64_t>& parameters = curves[step.curve].parameters;
      const int64_t cost = parameters[step.to] - parameters[step.from];
      if (cost <= left) {
        left -= cost;
        choice[step.curve] = step.to;
      }
      // Too dear by now: a shorter step may still fit.
      offer(step.curve);
    }
  }
}

// The largest point of at most `most` parameters; the first one when there is none.
size_t Within(const RateCurve& curve, double most) {
  const auto after = std::upper_bound(curve.parameters.begin(), curve.parameters.end(), most,
                                      [](double x, int64_t p) { return x < static_cast<double>(p); });
  return after == curve.parameters.begin() ? 0 : static_cast<size_t>(after - curve.parameters.begin()) - 1;
}

Choice Uniform(const std::vector<RateCurve>& curves, int64_t budget) {
  int64_t dense = 0, least_left = 0;
  for (const RateCurve& curve : curves) {
    dense += curve.parameters.back();
    least_left += curve.parameters.front();
  }
  const double keep = static_cast<double>(budget) / static_cast<double>(std::max<int64_t>(1, dense));
  Choice choice;
  double due = 0;  // what all linears so far should have
  int64_t spent = 0;
  for (const RateCurve& curve : curves) {
    due += keep * static_cast<double>(curve.parameters.back());
    least_left -= curve.parameters.front();
    // Those that follow get at least their smallest point.
    const double most =
        std::min(due - static_cast<double>(spent), static_cast<double>(budget - spent - least_left));
    choice.push_back(Within(curve, most));
    spent += curve.parameters[choice.back()];
  }
  return choice;
}

// Parameters of a linear by D-Rank, up to a factor: rank times parameters a rank.
double DRankShare(const RateCurve& curve) {
  const auto points = static_cast<double>(curve.parameters.size());
  const double a_rank =
      points > 1 ? static_cast<double>(curve.parameters.back() - curve.parameters.front()) / (points - 1) : 1;
  return std::sqrt(std::max(curve.effective_rank, 1e-9) * std::max(a_rank, 1.0));
}

void Check(const std::vector<RateCurve>& curves, int64_t budget) {
  int64_t least = 0, dense = 0;
  for (const RateCurve& curve : curves) {
    if (curve.parameters.empty() || curve.parameters.size() != curve.loss.size()) {
      throw Error(ErrorKind::kInternal, "a rate curve has no points: " + curve.name);
    }
    for (const double loss : curve.loss) {
      if (std::isfinite(loss)) continue;
      throw Error(ErrorKind::kData, {"the loss of compressing a linear is not finite", "", "", curve.name,
                                     "more calibration text, or a larger ridge"});
    }
    least += curve.parameters.front();
    dense += curve.parameters.back();
  }
  if (budget >= least) return;
  const auto share = [&](int64_t parameters) {
    return std::to_string(static_cast<double>(parameters) / static_cast<double>(std::max<int64_t>(1, dense)));
  };
  throw Error(ErrorKind::kUsage, {"keep is too small for one singular value a matrix",
                                  "at least " + share(least), share(budget), "", "a larger keep"});
}

}  // namespace

Allocation AllocationFrom(const std::string& name) {
  if (name == "uniform") return Allocation::kUniform;
  if (name == "energy") return Allocation::kEnergy;
  if (name == "threshold") return Allocation::kThreshold;
  if (name == "drank") return Allocation::kDRank;
  throw Error(ErrorKind::kUsage, {"unknown allocation", "uniform, energy, threshold or drank", name, "", ""});
}

std::vector<size_t> Allocate(Allocation allocation, const std::vector<RateCurve>& curves, int64_t budget) {
  Check(curves, budget);
  Choice choice;
  if (allocation == Allocation::kEnergy) {
    // Keeping nothing has a relative loss of 1, and no point loses more.
    choice = Bisect(curves, budget, 0, 1 + 1e-9, AtShare);
    TopUp(curves, budget, true, choice);
  } else if (allocation == Allocation::kThreshold) {
    double largest = 0;
    for (const RateCurve& curve : curves) largest = std::max(largest, curve.loss.front());
    if (largest <= 0) return Choice(curves.size(), 0);  // nothing to lose anywhere
    // A price of the largest loss a parameter leaves every linear at its smallest point.
    choice = Bisect(curves, budget, largest * 1e-30, largest * 2, AtPrice);
    TopUp(curves, budget, false, choice);
  } else if (allocation == Allocation::kDRank) {
    double largest = 0;
    for (const RateCurve& curve : curves)
      largest = std::max(largest, static_cast<double>(curve.parameters.back()) / DRankShare(curve));
    // The price is the inverse of the factor: at the lowest one everything is dense.
    const auto at = [](const RateCurve& curve, double x) { return Within(curve, DRankShare(curve) / x); };
    choice = Bisect(curves, budget, 1 / (largest * 2), 1e30, at);
    TopUp(curves, budget, true, choice);
  } else {
    choice = Uniform(curves, budget);
  }
  return choice;
}

}  // namespace tnb
