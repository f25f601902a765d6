// Whitening: a matrix is seen through what its inputs and outputs mean for the model before it is truncated.
//
// With H = E[x xᵀ] of the inputs and G = E[g gᵀ] of the loss gradients at the output (both damped by a ridge,
// a fraction of the mean of the diagonal), H = L Lᵀ, G = R Rᵀ, the error
//   E = tr(G ΔW H ΔWᵀ) = |Rᵀ ΔW L|_F^2
// is to second order what the change ΔW costs in loss, when G and H are independent (K-FAC, arXiv
// 1503.05671). Truncating Rᵀ W L and undoing both factors is therefore optimal in E, and E is exactly the sum
// of the discarded squares. Without G it is the whitening of SVD-LLM (arXiv 2403.07378) and E the output
// error on the calibration text; a diagonal H gives ASVD (arXiv 2312.05821) and FWSVD (arXiv 2207.00112).
//
// Over the legs of a tensor network a factor has to split: H ≈ H1 ⊗ H2 ⊗ ... by partial traces, exact when
// all legs but one are 1 (plain low rank).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "methods/factorize/legs.h"

namespace tnb {

// Lower triangular C with C Cᵀ = covariance + ridge * mean(diagonal) * I, fp64. A matrix that is not positive
// definite even so gets a larger ridge (1e-6, then doubling); *used is what was taken. A covariance of zeros
// gives the identity. Error{kData} when it is not finite.
at::Tensor WhiteningFactor(const at::Tensor& covariance, double ridge, double* used = nullptr);

// Factors H1, H2, ... whose Kronecker product approximates `covariance` [n, n]; `sizes` multiply to n. Traces
// multiply to that of the covariance; exact for a Kronecker product. fp64.
std::vector<at::Tensor> KroneckerFactors(const at::Tensor& covariance, const std::vector<int64_t>& sizes);

// Factors of every leg, fp64 lower triangular; undefined: identity.
struct LegWhitening {
  std::vector<at::Tensor> out, in;
  double ridge = 0, output_ridge = 0;  // the largest that was taken
  bool none() const;
};

// `output` and `input` may be undefined.
LegWhitening WhitenLegs(const at::Tensor& output, double output_ridge, const at::Tensor& input, double ridge,
                        const Legs& legs);
// w [out, in] -> (R1 ⊗ R2 ..)ᵀ w (L1 ⊗ L2 ..), fp32.
at::Tensor Whiten(const at::Tensor& w, const Legs& legs, const LegWhitening& whitening);
// Takes a leg's factor out of one axis of a core again, fp32.
at::Tensor Unwhiten(const at::Tensor& core, int64_t axis, const at::Tensor& factor);

}  // namespace tnb
