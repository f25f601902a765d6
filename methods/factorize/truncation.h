// Truncated singular value decomposition, the step that all factorizations share.
#pragma once

#include <ATen/core/Tensor.h>

#include "methods/stage.h"

namespace tnb {

struct TruncatedSvd {
  at::Tensor left;               // [rows, rank], orthonormal columns
  at::Tensor values;             // [rank], descending
  at::Tensor right;              // [rank, cols], orthonormal rows
  double discarded_squares = 0;  // sum of the squares of what was cut
};

// Keeps `rank` values, or, with rank 0, the fewest whose discarded norm is at most `discarded_norm`.
// LibTorch's divide-and-conquer driver; where that fails or gives NaN, Eigen's one-sided Jacobi. Error{kData}
// for input that is not finite. Cost: O(rows cols min(rows, cols)).
//
// Of matrices of 1024 x 1024 and more `rank` values come from the eigenvectors of a Gram matrix in fp32,
// several times as fast: the left factor is orthonormal, the discarded squares are exactly the squared error,
// and that is within 1e-5 of the least one; values and rows of the right factor are singular ones to about
// 1e-3.
TruncatedSvd Truncate(const at::Tensor& matrix, int64_t rank, double discarded_norm = 0);

// Squares of all singular values, descending, fp64: from the eigenvalues of the smaller Gram matrix, which
// costs a fraction of the decomposition. Absolute error about 1e-15 of the largest square.
at::Tensor SquaredSingularValues(const at::Tensor& matrix);

// How much of a matrix a factorization keeps: exactly one of the three.
struct Amount {
  int64_t rank = 0;  // bond dimension
  double keep = 0;   // fraction of the dense parameters
  double error = 0;  // relative Frobenius error
};
// From parameters chi (or rank), keep and error.
Amount AmountFrom(const StageValues& values, const std::string& rank_name);
std::vector<ParameterDescription> AmountParameters(const std::string& rank_name);

}  // namespace tnb
