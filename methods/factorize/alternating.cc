#include "methods/factorize/alternating.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "methods/factorize/contraction.h"

namespace tnb {
namespace {

bool IsOuter(int leg, const Legs& legs) { return leg < static_cast<int>(legs.out.size() + legs.in.size()); }

// The copy of a bond in the second layer.
int Primed(int leg) { return -1 - leg; }

// The second layer of a doubled network: the same core, whose bonds are others.
NetworkTensor Copy(const NetworkTensor& core, const Legs& legs) {
  NetworkTensor copy = core;
  for (int& leg : copy.legs) {
    if (!IsOuter(leg, legs)) leg = Primed(leg);
  }
  return copy;
}

// [legs...] of `t` permuted to `order` and flattened to a matrix whose rows are the first `rows` of them.
at::Tensor Matrix(const NetworkTensor& t, const std::vector<int>& order, size_t rows) {
  std::vector<int64_t> axes;
  int64_t height = 1;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto axis = std::find(t.legs.begin(), t.legs.end(), order[i]) - t.legs.begin();
    axes.push_back(axis);
    if (i < rows) height *= t.values.size(axis);
  }
  return t.values.permute(axes).reshape({height, -1});
}

// gram X = right by Cholesky decomposition, in fp64; nothing when it is singular beyond rounding.
std::optional<at::Tensor> Solved(at::Tensor gram, at::Tensor right, const at::Tensor& before) {
  const double damping = 1e-7 * std::max(gram.diagonal().mean().item<double>(), 1e-300);
  gram = (gram + gram.t()) / 2;
  gram.diagonal().add_(damping);
  right = right + damping * before;
  const auto [factor, failed] = at::linalg_cholesky_ex(gram);
  if (failed.item<int>() != 0) return std::nullopt;
  return at::cholesky_solve(right.t(), factor).t();
}

double Dot(const at::Tensor& a, const at::Tensor& b) { return (a * b).sum(at::kDouble).item<double>(); }

// The same by conjugate gradients from the core as it is; every step lowers the loss.
at::Tensor Descended(const std::function<at::Tensor(const at::Tensor&)>& normal, const at::Tensor& right,
                     const at::Tensor& before, int64_t steps) {
  at::Tensor x = before.clone(), residual = right - normal(x), direction = residual.clone();
  const double first = Dot(residual, residual);
  double now = first;
  for (int64_t step = 0; step < steps && now > 1e-10 * first; ++step) {
    const at::Tensor image = normal(direction);
    const double curvature = Dot(direction, image);
    if (!(curvature > 0)) break;
    const double length = now / curvature;
    x.add_(direction, length);
    residual.sub_(image, length);
    const double next = Dot(residual, residual);
    direction = residual + (next / now) * direction;
    now = next;
  }
  return x;
}

void Improve(const NetworkTensor& target, const Legs& legs, size_t k, int64_t largest_gram,
             std::vector<NetworkTensor>& cores) {
  NetworkTensor& core = cores[k];
  std::vector<int> outer, bonds, order, layers;
  for (const int leg : core.legs) (IsOuter(leg, legs) ? outer : bonds).push_back(leg);
  if (bonds.empty()) return;
  order = outer;
  order.insert(order.end(), bonds.begin(), bonds.end());
  layers = bonds;
  for (const int leg : bonds) layers.push_back(Primed(leg));
  std::vector<NetworkTensor> doubled, single{target};
  for (size_t j = 0; j < cores.size(); ++j) {
    if (j == k) continue;
    doubled.push_back(cores[j]);
    doubled.push_back(Copy(cores[j], legs));
    single.push_back(cores[j]);
  }
  const at::Tensor right = Matrix(Contraction(std::move(single)).Run(), order, outer.size());
  const at::Tensor before = Matrix(core, order, outer.size());
  std::vector<int64_t> shape;
  for (const int leg : order) {
    shape.push_back(core.values.size(std::find(core.legs.begin(), core.legs.end(), leg) - core.legs.begin()));
  }
  at::Tensor solved;
  if (before.size(1) <= largest_gram) {
    const at::Tensor gram = Matrix(Contraction(std::move(doubled)).Run(), layers, bonds.size());
    const auto found = Solved(gram.to(at::kDouble), right.to(at::kDouble), before.to(at::kDouble));
    if (!found) return;  // the core stays
    solved = found->to(at::kFloat);
  } else {
    constexpr int64_t kSteps = 10;
    std::vector<int> image = outer;
    for (const int leg : bonds) image.push_back(Primed(leg));
    doubled.push_back({before.reshape(shape), order});
    const size_t own = doubled.size() - 1;
    Contraction network(std::move(doubled), own, kSteps);
    solved = Descended(
        [&](const at::Tensor& x) {
          return Matrix(network.Run({x.reshape(shape), order}), image, outer.size());
        },
        right, before, kSteps);
  }
  if (!at::isfinite(solved).all().item<bool>()) return;
  core.values = solved.reshape(shape).contiguous();
  core.legs = order;
}

}  // namespace

void AlternatingLeastSquares(const at::Tensor& matrix, const Legs& legs, int64_t sweeps,
                             std::vector<NetworkTensor>& cores, int64_t largest_gram) {
  NetworkTensor target;
  std::vector<int64_t> shape = legs.out;
  shape.insert(shape.end(), legs.in.begin(), legs.in.end());
  target.values = matrix.reshape(shape);
  for (size_t leg = 0; leg < shape.size(); ++leg) target.legs.push_back(static_cast<int>(leg));
  for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
    BalanceBonds(cores);
    for (size_t k = 0; k < cores.size(); ++k) Improve(target, legs, k, largest_gram, cores);
  }
}

void BalanceBonds(std::vector<NetworkTensor>& cores) {
  constexpr int kRounds = 8;
  std::map<int, std::vector<size_t>> owners;
  for (size_t k = 0; k < cores.size(); ++k) {
    for (const int leg : cores[k].legs) owners[leg].push_back(k);
  }
  const auto axis_of = [&](size_t k, int leg) {
    return std::find(cores[k].legs.begin(), cores[k].legs.end(), leg) - cores[k].legs.begin();
  };
  for (int round = 0; round < kRounds; ++round) {
    double largest = 0;
    for (const auto& [leg, of] : owners) {
      if (of.size() != 2) continue;
      const auto slices = [&, bond = leg](size_t k) {
        const int64_t axis = axis_of(k, bond);
        const at::Tensor& values = cores[k].values;
        return values.transpose(0, axis).reshape({values.size(axis), -1}).to(at::kDouble).norm(2, {1});
      };
      const at::Tensor a = slices(of[0]), b = slices(of[1]);
      // An index that one side does not use has no product: it stays as it is.
      const at::Tensor used = at::logical_and(a > 0, b > 0);
      const at::Tensor scale = at::where(used, at::sqrt(b / a), at::ones_like(a));
      largest = std::max(largest, (scale.log().abs().max()).item<double>());
      const auto rescale = [&, bond = leg](size_t k, const at::Tensor& by) {
        at::Tensor& values = cores[k].values;
        std::vector<int64_t> shape(static_cast<size_t>(values.dim()), 1);
        shape[static_cast<size_t>(axis_of(k, bond))] = by.size(0);
        values = (values * by.to(at::kFloat).view(shape)).contiguous();
      };
      rescale(of[0], scale);
      rescale(of[1], scale.reciprocal());
    }
    if (largest < 1e-3) break;
  }
}

}  // namespace tnb
