// The decoder's blocks out of plain LibTorch operators, which autograd differentiates: what training steps
// and calibration compute with. The kernels of decoder.h are faster and have no gradients; both agree to fp32
// rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "models/engine/model.h"

namespace tnb {

class DifferentiableDecoder {
 public:
  // y = x · Wᵀ (+ bias) of the linear in a slot; x [n, in] -> [n, out], both in the compute type.
  using Multiply = std::function<at::Tensor(const LinearSlot& slot, const at::Tensor& x)>;

  // `compute`: what linears and attention multiply in, fp32 or bf16; the residual stream and norms are fp32.
  explicit DifferentiableDecoder(const ModelConfig& config, at::ScalarType compute = at::kFloat);

  // x / sqrt(mean(x^2) + epsilon) * weight by rows.
  static at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
  // x [sequences, heads, length, size] rotated by the angles of positions 0 .. length - 1, times `scale`; in
  // the compute type.
  at::Tensor Rotated(const at::Tensor& x, int64_t length, double scale = 1) const;

  // What every token may look back at, 0 or -infinity, for sequences of `length` tokens: itself and those
  // before it, of its own document where `documents` (int64 [sequences, length]) numbers them, within the
  // sliding window. [1 or sequences, 1, 1, length, length].
  at::Tensor Mask(int64_t length, const at::Tensor& documents = {}) const;

  // One block over sequences that stand one after the other, positions from 0: hidden [sequences * length,
  // hidden size] fp32 -> the same shape. Positions are relative, so that documents need not begin at 0.
  at::Tensor Forward(const Block& block, const at::Tensor& attention_norm, const at::Tensor& mlp_norm,
                     const at::Tensor& hidden, const at::Tensor& mask, const Multiply& multiply) const;

 private:
  at::Tensor Attend(const Block& block, const at::Tensor& x, const at::Tensor& mask,
                    const Multiply& multiply) const;

  ModelConfig config_;
  at::ScalarType compute_;
  at::Tensor cosines_, sines_;  // [context, head size / 2]
};

}  // namespace tnb
