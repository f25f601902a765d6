// Alternating least squares for tensor networks with loops (rings, grids), and the gauge of bonds.
#pragma once

#include <vector>

#include "methods/factorize/legs.h"
#include "models/engine/linear.h"

namespace tnb {

// `sweeps` times each core in turn becomes the one with the least |matrix - network| while the others stand.
// Its normal equations come from the network of cores doubled over their outer legs, so that nothing as large
// as the environment is ever built; they are damped towards the core as it is (1e-7 of the mean diagonal),
// which keeps singular ones solvable and the loss from rising by more than rounding. Cores are numbered as in
// form.h. Cost a core: the square of the product of its bonds times their size, and its cube once.
void AlternatingLeastSquares(const at::Tensor& matrix, const Legs& legs, int64_t sweeps,
                             std::vector<NetworkTensor>& cores);

// Rescales every bond (a leg that exactly two cores have) index by index, so that both cores' slices have the
// same norm: the product stays the same, and no core is left with the whole range of the singular values,
// which would cost a quantizer dearly. A few rounds settle chains.
void BalanceBonds(std::vector<NetworkTensor>& cores);

}  // namespace tnb
