#include "methods/factorize/permutation.h"

#include <ATen/ATen.h>

#include <vector>

namespace tnb {
namespace {

at::Tensor BySimilarity(const at::Tensor& rows) {
  const at::Tensor norms = rows.norm(2, {1});
  const at::Tensor unit = rows / norms.clamp_min(1e-30).unsqueeze(1);
  const at::Tensor cosines = at::matmul(unit, unit.t()).abs().contiguous();
  const int64_t count = rows.size(0);
  const float* similar = cosines.const_data_ptr<float>();
  std::vector<bool> used(static_cast<size_t>(count));
  std::vector<int64_t> order;
  int64_t now = norms.argmax().item<int64_t>();
  while (true) {
    order.push_back(now);
    used[static_cast<size_t>(now)] = true;
    int64_t next = -1;
    for (int64_t i = 0; i < count; ++i) {
      if (!used[static_cast<size_t>(i)] &&
          (next < 0 || similar[now * count + i] > similar[now * count + next]))
        next = i;
    }
    if (next < 0) break;
    now = next;
  }
  return at::tensor(order, at::kLong);
}

at::Tensor Order(const std::string& name, const at::Tensor& rows) {
  if (name == "similar") return BySimilarity(rows);
  return std::get<1>(rows.norm(2, {1}).sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
}

}  // namespace

Permutation ChoosePermutation(const std::string& name, const at::Tensor& w) {
  if (name == "none") return {};
  const at::Tensor rows = w.to(at::kFloat).contiguous();
  return {Order(name, rows), Order(name, rows.t().contiguous())};
}

at::Tensor Permuted(const at::Tensor& w, const Permutation& permutation) {
  if (permutation.none()) return w;
  return w.index_select(0, permutation.rows).index_select(1, permutation.columns);
}

at::Tensor PermutedCovariance(const at::Tensor& covariance, const at::Tensor& order) {
  if (!covariance.defined() || !order.defined()) return covariance;
  return covariance.index_select(0, order).index_select(1, order);
}

}  // namespace tnb
