#include "methods/factorize/filtered.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "methods/factorize/randomized.h"
#include "models/engine/ops.h"

namespace tnb {
namespace {

// Rows that span the same, orthonormal.
at::Tensor Orthonormal(const at::Tensor& rows) {
  return std::get<0>(at::linalg_qr(rows.t())).t().contiguous();
}

}  // namespace

std::optional<at::Tensor> FilteredVectors(const at::Tensor& gram, int64_t rank) {
  constexpr int kMostRounds = 8;
  constexpr double kSettled = 1e-3;
  constexpr double kMostSpread = 150, kSmallSpread = 6;  // of the largest value over the smallest wanted one
  const int64_t size = gram.size(0), width = rank + std::max<int64_t>(16, rank / 8);
  if (10 * width > 7 * size) return std::nullopt;
  const double total = gram.diagonal().sum(at::kDouble).item<double>();
  // Vectors are rows: the matrix is symmetric, and the products are plain ones.
  at::Tensor basis = Orthonormal(TimesTransposed(RandomStart(width, size, at::kFloat), gram));
  double before = 0;
  for (int round = 0; round < kMostRounds; ++round) {
    const at::Tensor image = TimesTransposed(basis, gram);
    const at::Tensor small = TimesTransposed(image, basis);
    const at::Tensor symmetric = (small + small.t()) / 2;
    const at::Tensor values = at::linalg_eigvalsh(symmetric).flip(0).to(at::kDouble);
    const double captured = values.narrow(0, 0, rank).sum().item<double>();
    const double smallest = values[rank - 1].item<double>(), largest = values[0].item<double>();
    // Also false for NaN.
    if (!(smallest * kMostSpread > largest)) return std::nullopt;
    if (captured - before <= std::max(kSettled * (total - captured), 1e-6 * total)) {
      const at::Tensor vectors = std::get<1>(at::linalg_eigh(symmetric));  // ascending
      return at::matmul(basis.t(), vectors.narrow(1, width - rank, rank).flip(1));
    }
    before = captured;
    // T_degree(2 x / smallest - 1): at most 1 up to the smallest wanted value, growing quickly beyond.
    const int degree = largest < kSmallSpread * smallest ? 4 : 2;
    const double scale = 2 / smallest;
    at::Tensor last = basis, now = scale * image - basis;
    for (int k = 1; k < degree; ++k) {
      at::Tensor next = TimesTransposed(now, gram);
      next.mul_(2 * scale).sub_(now, 2).sub_(last);
      last = now;
      now = next;
    }
    basis = Orthonormal(now);
  }
  return std::nullopt;
}

}  // namespace tnb
