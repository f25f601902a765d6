#include "methods/factorize/randomized.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

namespace tnb {
namespace {

// The matrix times `width` random vectors: [rows, width].
at::Tensor Sample(const at::Tensor& matrix, int64_t width) {
  return at::matmul(matrix, RandomStart(matrix.size(1), width, matrix.scalar_type()));
}

// Sum of the largest `rank` squared singular values of y [m, k], k small.
double Captured(const at::Tensor& y, int64_t rank) {
  const at::Tensor gram = at::matmul(y.t(), y).to(at::kDouble);
  return at::linalg_eigvalsh(gram).flip(0).narrow(0, 0, rank).sum().item<double>();
}

}  // namespace

at::Tensor Orthonormal(const at::Tensor& columns) { return std::get<0>(at::linalg_qr(columns)); }

at::Tensor RandomStart(int64_t rows, int64_t cols, at::ScalarType type) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{20110615});
  at::Tensor start = at::empty({rows, cols}, type);
  return start.normal_(0, 1, generator);
}

bool FewValues(int64_t rows, int64_t cols, int64_t rank) {
  const int64_t side = std::min(rows, cols);
  return rank > 0 && side >= 512 && 6 * rank <= side;
}

std::optional<TruncatedSvd> RandomizedSvd(const at::Tensor& matrix, int64_t rank) {
  constexpr int kMostIterations = 16;
  constexpr double kSettled = 1e-3;
  const int64_t width = std::min({rank + std::max<int64_t>(16, rank / 5), matrix.size(0), matrix.size(1)});
  const double total = matrix.to(at::kDouble).square().sum().item<double>();
  at::Tensor y = Sample(matrix, width);
  double before = 0;
  bool settled = false;
  try {
    for (int iteration = 0; iteration < kMostIterations && !settled; ++iteration) {
      y = at::matmul(matrix, Orthonormal(at::matmul(matrix.t(), y)));
      const double captured = Captured(y, rank);
      // Sums in fp32 are no finer than a millionth of the whole.
      settled = captured - before <= std::max(kSettled * (total - captured), 1e-6 * total);
      before = captured;
    }
    if (!settled) return std::nullopt;
    const at::Tensor basis = Orthonormal(y);
    const auto [left, values, right] = at::linalg_svd(at::matmul(basis.t(), matrix), /*full_matrices=*/false);
    TruncatedSvd result;
    result.left = at::matmul(basis, left.narrow(1, 0, rank));
    result.values = values.narrow(0, 0, rank);
    result.right = right.narrow(0, 0, rank);
    const at::Tensor rest = matrix - at::matmul(result.left * result.values, result.right);
    result.discarded_squares = rest.to(at::kDouble).square().sum().item<double>();
    if (!std::isfinite(result.discarded_squares)) return std::nullopt;
    return result;
  } catch (const c10::Error&) {
    return std::nullopt;  // LAPACK did not converge
  }
}

at::Tensor RandomRange(const at::Tensor& matrix, int64_t rank) {
  const at::Tensor start = Orthonormal(Sample(matrix, std::min({rank, matrix.size(0), matrix.size(1)})));
  return Orthonormal(at::matmul(matrix, at::matmul(matrix.t(), start)));
}

}  // namespace tnb
