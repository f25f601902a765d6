// SparseGPT (arXiv 2301.00774): one matrix. With H = E[x xᵀ] + ridge and U the upper Cholesky factor of its
// inverse, columns are taken from the left; what a dropped element w_ij would have given is spread over the
// columns after it, w_i,k -= w_ij / U_jj * U_jk, which is the least squares answer when those before are
// fixed. Dropped are the elements with the least (w_ij / U_jj)^2, in blocks of columns (or in every group
// of a pattern), as in the release.
#pragma once

#include "methods/prune/mask.h"

namespace tnb {

struct PrunedMatrix {
  at::Tensor w;     // fp32 [rows, cols], zeros where not kept
  at::Tensor kept;  // bool
};
// `covariance` fp32 [cols, cols]; inputs that are always zero lose their column. Error{kData} when it is not
// positive definite with the ridge (a fraction of the mean of its diagonal).
PrunedMatrix SparseGpt(const at::Tensor& matrix, const at::Tensor& covariance, const PrunePattern& pattern,
                       double ridge, int64_t block = 128);

}  // namespace tnb
