// Leading eigenvectors of a large matrix without its whole decomposition.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <utility>
#include <vector>

namespace tnb {

// From this size on it is several times as fast as LAPACK's.
inline constexpr int64_t kWorthFiltering = 2048;

// Where the eigenvalues of a symmetric matrix lie, by stochastic Lanczos quadrature (Lin, Saad and Yang
// 2016): counts are right to about a tenth.
struct SpectrumEstimate {
  std::vector<std::pair<double, double>> nodes;  // eigenvalue, how many there are of it; descending
  double largest() const { return nodes.front().first; }
  // The `rank`-th largest eigenvalue, 1 <= rank <= size.
  double At(double rank) const;
  // The part of the sum of all eigenvalues that the `rank` largest ones make.
  double Share(double rank) const;
};
// Of a matrix [n, n], fp32 or bf16. std::nullopt when it has too few different eigenvalues.
std::optional<SpectrumEstimate> EstimateSpectrum(const at::Tensor& gram);

// Orthonormal columns [n, rank] that span what the `rank` largest eigenvalues of a positive semidefinite
// matrix [n, n] belong to: subspace iteration with Chebyshev polynomials as filters (Zhou, Saad, Tiago and
// Chelikowsky 2006). A filter damps everything below the eigenvalue number 1.3 rank, so that what is wanted
// stands out of what is not; one round is most often enough. It ends when another one would gain less than
// 1/200 of the sum of the missed eigenvalues, estimated from residuals (a Gaussian matrix of which 30 % are
// wanted ends 1/450 above the least sum: 0.1 % of the error). Products of a bf16 matrix are
// in bf16, which is enough where what is missed is much more than the rounding: at least a hundredth of all.
// Nothing is returned when it is less (bf16), when it does not settle, when more than 70 % are wanted, or
// when the wanted values differ so much in size (by more than 150 times) that small ones would drown in the
// rounding of a filter. The random start is always the same.
std::optional<at::Tensor> FilteredVectors(const at::Tensor& gram, int64_t rank);

}  // namespace tnb
