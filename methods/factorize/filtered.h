// Leading eigenvectors of a large matrix without its whole decomposition.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace tnb {

// From this size on it is several times as fast as LAPACK's.
inline constexpr int64_t kWorthFiltering = 2048;

// Orthonormal columns [n, rank] that span what the `rank` largest eigenvalues of a positive semidefinite fp32
// matrix [n, n] belong to: subspace iteration with Chebyshev polynomials as filters (Zhou, Saad, Tiago and
// Chelikowsky 2006), which damp everything below the smallest wanted value found so far. It goes on until a
// round gains less than a thousandth of what is missed, which leaves the sum of the missed eigenvalues less
// than that above the least one (a Gaussian matrix of which 30 % are wanted: 2e-4). Nothing is returned when
// it does not settle, when more than 70 % are wanted, or when the wanted values differ so much in size (by
// more than 150 times) that small ones would drown in the rounding of a filter. The random start is always
// the same.
std::optional<at::Tensor> FilteredVectors(const at::Tensor& gram, int64_t rank);

}  // namespace tnb
