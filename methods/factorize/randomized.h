// Randomized truncated singular value decomposition (Halko, Martinsson and Tropp 2011, algorithm 4.4 with a
// stopping rule): where few of many values are kept it costs a fraction of the whole decomposition.
#pragma once

#include <optional>

#include "methods/factorize/truncation.h"

namespace tnb {

// Whether a truncation to `rank` values is better left to this one: at most a sixth of the values of a matrix
// with 512 or more on its short side.
bool FewValues(int64_t rows, int64_t cols, int64_t rank);

// The leading `rank` values and vectors. Subspace iterations go on until the last one gained less than a
// thousandth of the discarded squares, which leaves the error at most about 0.2 % above the least one (a
// matrix without any decay is the slowest: 0.13 %); nothing is returned when they do not settle, or when a
// value is not finite. `discarded_squares` is the true error |A - U S Vᵀ|^2, which is orthogonal to U. The
// random numbers are the same every time.
std::optional<TruncatedSvd> RandomizedSvd(const at::Tensor& matrix, int64_t rank);

// Columns that span the same, orthonormal, by Householder's QR.
at::Tensor Orthonormal(const at::Tensor& columns);

// Standard normal [rows, cols], the same every time.
at::Tensor RandomStart(int64_t rows, int64_t cols, at::ScalarType type);

// Orthonormal columns [m, rank] that hold most of a matrix [m, n]: one subspace iteration from a random
// start. What they miss is 5 to 20 % more than the least that `rank` columns can miss when values decay
// slowly. For comparisons.
at::Tensor RandomRange(const at::Tensor& matrix, int64_t rank);

}  // namespace tnb
