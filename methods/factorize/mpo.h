// mpo: a matrix as a matrix product operator (tensor train of its rearrangement), as CompactifAI (arXiv
// 2401.14109) describes it.
//
// W[(o1..oK), (i1..iK)] is read as T[(o1 i1), (o2 i2), ..., (oK iK)] and cut by K - 1 singular value
// decompositions from left to right, the largest chi values kept at each. Every cut works on what the cuts
// before left over, so that the squared error is exactly the sum of all discarded squares. Parameters: sum of
// r(k-1) o(k) i(k) r(k), r(0) = r(K) = 1.
#pragma once

#include <ATen/core/Tensor.h>

#include "methods/factorize/legs.h"
#include "methods/factorize/truncation.h"
#include "methods/factorize/whitening.h"
#include "methods/stage.h"

namespace tnb {

StageEntry MpoEntry();

struct MpoResult {
  std::unique_ptr<Linear> linear;  // without bias
  std::vector<int64_t> bonds;
  double discarded_squares = 0;  // of the (whitened) matrix
  double discarded_weight = 0;   // the same over |W|^2
};

// Error{kUsage} with the legal range when a bond dimension above the exact one is asked for, or when `keep`
// is too little for one singular value. The gauge is balanced: sqrt(S) goes to both sides of every bond.
//
// With `whitening` the whitened matrix is cut, its norm and discarded squares are what is reported, and every
// core gets the inverse of its legs' factors.
MpoResult DecomposeMpo(const at::Tensor& w, const Legs& legs, const Amount& amount,
                       const LegWhitening* whitening = nullptr);

// The largest bond dimension that `amount` (rank or keep) allows; errors as DecomposeMpo.
int64_t BondFor(const Amount& amount, const Legs& legs, int64_t dense_parameters);
// Squared singular values at every cut of w as it is, descending.
std::vector<at::Tensor> CutSpectra(const at::Tensor& w, const Legs& legs);

// Bond dimensions at which nothing is cut.
std::vector<int64_t> ExactBonds(const Legs& legs);
// Parameters when every bond is at most chi.
int64_t MpoParameters(const Legs& legs, int64_t chi);

}  // namespace tnb
