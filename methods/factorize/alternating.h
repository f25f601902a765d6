// Alternating least squares for tensor networks with loops (rings, grids), and the gauge of bonds.
#pragma once

#include <vector>

#include "methods/factorize/legs.h"
#include "models/engine/linear.h"

namespace tnb {

// `sweeps` times each core in turn becomes the one with the least |matrix - network| while the others stand.
// Its normal equations come from the network of all other cores doubled over their outer legs
// (contraction.h), so that nothing as large as the environment is ever built. Up to `largest_gram` unknowns a
// row (the product of the core's bonds) they are solved by Cholesky decomposition, damped towards the core as
// it is (1e-7 of the mean diagonal), which keeps singular ones solvable and the loss from rising by more than
// rounding; beyond, their matrix is not built and ten steps of conjugate gradients from the core as it is
// lower the loss, though not to its least value. Cores are numbered as in form.h.
inline constexpr int64_t kLargestGram = 1024;
void AlternatingLeastSquares(const at::Tensor& matrix, const Legs& legs, int64_t sweeps,
                             std::vector<NetworkTensor>& cores, int64_t largest_gram = kLargestGram);

// Rescales every bond (a leg that exactly two cores have) index by index, so that both cores' slices have the
// same norm: the product stays the same, and no core is left with the whole range of the singular values,
// which would cost a quantizer dearly. A few rounds settle chains.
void BalanceBonds(std::vector<NetworkTensor>& cores);

}  // namespace tnb
