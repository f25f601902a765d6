#include "methods/factorize/form.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "methods/factorize/alternating.h"

namespace tnb {
namespace {

std::vector<int64_t> Shape(const Legs& legs) {
  std::vector<int64_t> shape = legs.out;
  shape.insert(shape.end(), legs.in.begin(), legs.in.end());
  return shape;
}

}  // namespace

int64_t Form::dense_parameters() const {
  const std::vector<int64_t> shape = Shape(legs_);
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::optional<NetworkCut> Form::Round(const Linear&, const Amount&) const { return std::nullopt; }

int64_t SizedForm::SizeFor(const Amount& amount) const {
  const int64_t largest = LargestSize();
  if (amount.rank > 0) {
    if (amount.rank > largest) {
      throw Error(ErrorKind::kUsage,
                  {"the size asked for is larger than the exact one",
                   size_name_ + " from 1 to " + std::to_string(largest) + " with legs " + ToString(legs()),
                   std::to_string(amount.rank), "", "a smaller " + size_name_ + ", or keep="});
    }
    return amount.rank;
  }
  const auto dense = static_cast<double>(dense_parameters());
  const double budget = amount.BudgetOf(dense_parameters());
  if (static_cast<double>(Parameters(1)) > budget) {
    throw Error(ErrorKind::kUsage, {"keep is too small for " + size_name_ + "=1",
                                    "at least " + std::to_string(static_cast<double>(Parameters(1)) / dense) +
                                        " with legs " + ToString(legs()),
                                    std::to_string(budget / dense), "", "a larger keep, or more cores"});
  }
  // Parameters do not fall as the size grows: bisection for the largest that fits.
  int64_t low = 1, high = largest;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (static_cast<double>(Parameters(middle)) <= budget) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

NetworkCut SizedForm::Cut(const at::Tensor& matrix, const Amount& amount) const {
  if (amount.error > 0) return CutTo(matrix, 0, amount.error * std::sqrt(SquaredNorm(matrix)));
  return CutTo(matrix, SizeFor(amount), 0);
}

std::vector<int64_t> SizedForm::Sizes(const at::Tensor&) const {
  std::vector<int64_t> sizes;
  const int64_t dense = dense_parameters(), largest = LargestSize();
  for (int64_t size = 1; size <= largest; ++size) {
    const int64_t parameters = Parameters(size);
    if (parameters >= dense) break;
    if (sizes.empty() || parameters > sizes.back()) sizes.push_back(parameters);
  }
  return sizes;
}

RateCurve SizedForm::Curve(const at::Tensor& matrix) const {
  constexpr int kMeasured = 7;
  const int64_t dense = dense_parameters();
  // The last size that is smaller than the dense matrix; at most the exact one.
  int64_t last = 1;
  if (Parameters(1) < dense) last = SizeFor(Amount{.parameters = dense - 1});
  RateCurve curve;
  curve.total = SquaredNorm(matrix);
  curve.effective_rank = std::exp(SpectralEntropy(SquaredSingularValues(matrix)));
  std::vector<int64_t> sizes;
  std::vector<double> losses;
  for (int i = 0; i < kMeasured; ++i) {
    const auto size = static_cast<int64_t>(
        std::llround(std::pow(static_cast<double>(last), static_cast<double>(i) / (kMeasured - 1))));
    if (!sizes.empty() && size <= sizes.back()) continue;
    sizes.push_back(size);
    const double loss = CutTo(matrix, size, 0).loss;
    losses.push_back(losses.empty() ? loss : std::min(loss, losses.back()));
  }
  const double floor = 1e-14 * curve.total;  // below it a loss is rounding
  size_t next = 0;
  for (int64_t size = 1; size <= last; ++size) {
    const int64_t parameters = Parameters(size);
    if (parameters >= dense) break;
    while (sizes[next] < size) ++next;
    double loss = losses[next];
    if (sizes[next] > size) {
      const double share =
          static_cast<double>(size - sizes[next - 1]) / static_cast<double>(sizes[next] - sizes[next - 1]);
      loss = std::exp((1 - share) * std::log(std::max(losses[next - 1], floor)) +
                      share * std::log(std::max(losses[next], floor)));
    }
    if (!curve.parameters.empty() && curve.parameters.back() == parameters) {
      curve.loss.back() = loss;  // a larger size that costs no more
    } else {
      curve.parameters.push_back(parameters);
      curve.loss.push_back(loss);
    }
  }
  return curve;
}

NetworkCut CutWhitened(const Form& form, const at::Tensor& w, const LegWhitening& whitening,
                       const Amount& amount, CutKind kind) {
  const at::Tensor matrix = whitening.none() ? w : Whiten(w, form.legs(), whitening);
  NetworkCut cut = kind == CutKind::kSketch ? form.Sketch(matrix, amount) : form.Cut(matrix, amount);
  cut.total = SquaredNorm(matrix);
  std::vector<at::Tensor> factors = whitening.out;
  factors.insert(factors.end(), whitening.in.begin(), whitening.in.end());
  for (NetworkTensor& core : cut.cores) {
    for (size_t axis = 0; axis < core.legs.size(); ++axis) {
      const auto leg = static_cast<size_t>(core.legs[axis]);
      if (leg < factors.size() && factors[leg].defined()) {
        core.values = Unwhiten(core.values, static_cast<int64_t>(axis), factors[leg]);
      }
    }
  }
  BalanceBonds(cut.cores);
  return cut;
}

double SquaredNorm(const at::Tensor& t) { return t.to(at::kDouble).square().sum().item<double>(); }

std::unique_ptr<Linear> LinearOf(const std::vector<NetworkTensor>& cores, const Legs& legs) {
  std::vector<int> out_legs(legs.out.size()), in_legs(legs.in.size());
  std::iota(out_legs.begin(), out_legs.end(), 0);
  std::iota(in_legs.begin(), in_legs.end(), static_cast<int>(legs.out.size()));
  return MakeNetworkLinear(cores, out_legs, in_legs);
}

double MeasuredLoss(const at::Tensor& matrix, const std::vector<NetworkTensor>& cores, const Legs& legs) {
  return SquaredNorm(matrix - LinearOf(cores, legs)->Rebuild());
}

at::Tensor Unfolded(const at::Tensor& w, const Legs& legs) { return w.reshape(Shape(legs)); }

}  // namespace tnb
