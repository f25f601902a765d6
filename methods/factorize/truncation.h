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
// LibTorch's divide-and-conquer driver; where that fails or gives NaN, Eigen's one-sided Jacobi; where few of
// many values are kept, the randomized one (randomized.h), unless it does not settle. Error{kData} for input
// that is not finite. Cost: O(rows cols min(rows, cols)), or O(rows cols rank).
//
// From 96 x 96 on `rank` values come from the eigenvectors of a Gram matrix, in a fraction of the time: the
// left factor is orthonormal and the discarded squares are exactly the squared error, measured. The Gram
// matrix is in fp64, which leaves the error within 1e-6 of the least one; from 1536 x 1536 on it is in fp32
// where the values at the cut can be seen in it: within 1e-5 then, and values and rows of the right factor
// are singular ones to about 1e-3. From 2048 on these vectors come from filtered.h, where that applies (in
// bf16 where at least a hundredth of the squares is cut): the error, measured too, is then within 2
// thousandths of the least one, columns of a tall matrix's left factor are orthonormal to 1e-4, and values
// and rows of the right factor are what the projection has, singular ones only nearly.
TruncatedSvd Truncate(const at::Tensor& matrix, int64_t rank, double discarded_norm = 0);

// Squares of all singular values, descending, fp64: from the eigenvalues of the smaller Gram matrix, which
// costs a fraction of the decomposition. Absolute error about 1e-15 of the largest square.
at::Tensor SquaredSingularValues(const at::Tensor& matrix);

// -sum p ln p of p = squares / their sum: ln of the number of equally large values that would carry as much.
// 0 for zeros.
double SpectralEntropy(const at::Tensor& squares);

// How much of a matrix a factorization keeps: exactly one of these.
struct Amount {
  int64_t rank = 0;        // bond dimension, rank, number of terms
  double keep = 0;         // fraction of the dense parameters
  double error = 0;        // relative Frobenius error
  int64_t parameters = 0;  // at most so many: what an allocation gives
  // Of the whole model, which the factorizer turns into one of the above for every matrix:
  double budget = 0, budget_bytes = 0;  // fractions of its parameters, of its bytes in 16 bits
  std::string profile;                  // file with a fraction to keep for every linear

  // For keep and parameters.
  double BudgetOf(int64_t dense_parameters) const {
    return parameters > 0 ? static_cast<double>(parameters) : keep * static_cast<double>(dense_parameters);
  }
};
// From parameters chi (or rank), keep and error.
Amount AmountFrom(const StageValues& values, const std::string& rank_name);
std::vector<ParameterDescription> AmountParameters(const std::string& rank_name);

}  // namespace tnb
