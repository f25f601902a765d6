#include "methods/factorize/alternating.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

namespace tnb {
namespace {

bool IsOuter(int leg, const Legs& legs) { return leg < static_cast<int>(legs.out.size() + legs.in.size()); }

// The copy of a bond in the second layer.
int Primed(int leg) { return -1 - leg; }

// A core times itself over its outer legs: bonds, then primed bonds.
NetworkTensor Doubled(const NetworkTensor& core, const Legs& legs) {
  NetworkTensor copy = core;
  for (int& leg : copy.legs) {
    if (!IsOuter(leg, legs)) leg = Primed(leg);
  }
  return Contract(core, copy);
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

// Contracts everything in `parts`, each with a neighbour of what there is so far where one is left.
NetworkTensor ContractAll(std::vector<NetworkTensor> parts) {
  NetworkTensor result = std::move(parts.front());
  parts.erase(parts.begin());
  while (!parts.empty()) {
    const auto shares = [&](const NetworkTensor& part) {
      return std::any_of(part.legs.begin(), part.legs.end(), [&](int leg) {
        return std::find(result.legs.begin(), result.legs.end(), leg) != result.legs.end();
      });
    };
    auto next = std::find_if(parts.begin(), parts.end(), shares);
    if (next == parts.end()) next = parts.begin();
    result = Contract(result, *next);
    parts.erase(next);
  }
  return result;
}

void Improve(const NetworkTensor& target, const Legs& legs, size_t k, std::vector<NetworkTensor>& cores) {
  NetworkTensor& core = cores[k];
  std::vector<int> outer, bonds, order;
  for (const int leg : core.legs) (IsOuter(leg, legs) ? outer : bonds).push_back(leg);
  if (bonds.empty()) return;
  order = outer;
  order.insert(order.end(), bonds.begin(), bonds.end());
  std::vector<int> layers = bonds;
  for (const int leg : bonds) layers.push_back(Primed(leg));
  std::vector<NetworkTensor> doubled, single{target};
  for (size_t j = 0; j < cores.size(); ++j) {
    if (j == k) continue;
    doubled.push_back(Doubled(cores[j], legs));
    single.push_back(cores[j]);
  }
  at::Tensor gram = Matrix(ContractAll(std::move(doubled)), layers, bonds.size()).to(at::kDouble);
  at::Tensor right = Matrix(ContractAll(std::move(single)), order, outer.size()).to(at::kDouble);
  const at::Tensor before = Matrix(core, order, outer.size()).to(at::kDouble);
  const double damping = 1e-7 * std::max(gram.diagonal().mean().item<double>(), 1e-300);
  gram = (gram + gram.t()) / 2;
  gram.diagonal().add_(damping);
  right = right + damping * before;
  const auto [factor, failed] = at::linalg_cholesky_ex(gram);
  if (failed.item<int>() != 0) return;  // singular beyond rounding: the core stays
  const at::Tensor solved = at::cholesky_solve(right.t(), factor).t();
  if (!at::isfinite(solved).all().item<bool>()) return;
  std::vector<int64_t> shape;
  for (const int leg : order) {
    shape.push_back(core.values.size(std::find(core.legs.begin(), core.legs.end(), leg) - core.legs.begin()));
  }
  core.values = solved.to(at::kFloat).reshape(shape).contiguous();
  core.legs = order;
}

}  // namespace

void AlternatingLeastSquares(const at::Tensor& matrix, const Legs& legs, int64_t sweeps,
                             std::vector<NetworkTensor>& cores) {
  NetworkTensor target;
  std::vector<int64_t> shape = legs.out;
  shape.insert(shape.end(), legs.in.begin(), legs.in.end());
  target.values = matrix.reshape(shape);
  for (size_t leg = 0; leg < shape.size(); ++leg) target.legs.push_back(static_cast<int>(leg));
  for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
    BalanceBonds(cores);
    for (size_t k = 0; k < cores.size(); ++k) Improve(target, legs, k, cores);
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
