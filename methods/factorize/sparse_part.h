// What a factorization keeps beside the network, in a sparse matrix: y = x (N + S)ᵀ.
//
// A few weights carry huge activations (superweights: Yu et al., arXiv 2411.07191), and a network smears them
// over a whole row and column. `superweights=K` takes the K largest out before the network is cut and gives
// them back exactly. `saten` (arXiv 2505.14871) keeps what the network misses most: a fraction of the
// residual's elements, or two of every four.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "models/engine/linear.h"

namespace tnb {

struct SparseOptions {
  int64_t superweights = 0;  // largest |w| of every matrix
  double density = 0;        // fraction of the residual's elements
  bool two_of_four = false;  // of the residual, instead of density
};

// Elements that S stores for a matrix of this shape. Error{kUsage} when rows of `cols` are not whole groups.
int64_t SparseCount(const SparseOptions& options, int64_t rows, int64_t cols);
// bool [rows, cols]: the superweights of w; undefined when there are none.
at::Tensor Superweights(const SparseOptions& options, const at::Tensor& w);
// Network plus sparse matrix, exactly `w` where S has elements: at the superweights and where `importance`
// (of every element, >= 0) times the residual is largest. The network itself when nothing is asked for.
std::unique_ptr<Linear> AddSparse(const SparseOptions& options, std::unique_ptr<Linear> network,
                                  const at::Tensor& w, const at::Tensor& importance);

}  // namespace tnb
