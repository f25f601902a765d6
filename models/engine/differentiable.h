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
  // y = x · Wᵀ (+ bias) of the linear in a slot; x [n, in] -> [n, out].
  using Multiply = std::function<at::Tensor(const LinearSlot& slot, const at::Tensor& x)>;

  explicit DifferentiableDecoder(const ModelConfig& config);

  // x / sqrt(mean(x^2) + epsilon) * weight by rows.
  static at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
  // x [sequences, heads, length, size] rotated by the angles of positions 0 .. length - 1.
  at::Tensor Rotated(const at::Tensor& x, int64_t length) const;

  // One block over sequences of `length` tokens that stand one after the other, positions from 0:
  // hidden [sequences * length, hidden size] -> the same shape.
  at::Tensor Forward(const Block& block, const at::Tensor& attention_norm, const at::Tensor& mlp_norm,
                     const at::Tensor& hidden, int64_t length, const Multiply& multiply) const;

 private:
  at::Tensor Attend(const Block& block, const at::Tensor& x, int64_t length, const Multiply& multiply) const;

  ModelConfig config_;
  at::Tensor cosines_, sines_;  // [context, head size / 2]
};

}  // namespace tnb
