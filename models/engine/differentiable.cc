#include "models/engine/differentiable.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/engine/decoder.h"

namespace tnb {

DifferentiableDecoder::DifferentiableDecoder(const ModelConfig& config, at::ScalarType compute)
    : config_(config), compute_(compute) {
  std::tie(cosines_, sines_) = RotaryTables(config, config.context_length);
}

at::Tensor DifferentiableDecoder::Norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return x * at::rsqrt(x.square().mean(-1, true) + epsilon) * weight;
}

at::Tensor DifferentiableDecoder::Mask(int64_t length, const at::Tensor& documents) const {
  at::Tensor hidden = at::ones({length, length}, at::kBool).triu(1);
  if (config_.sliding_window > 0) {
    hidden = hidden.logical_or(at::ones({length, length}, at::kBool).tril(-config_.sliding_window));
  }
  hidden = hidden.unsqueeze(0);
  if (documents.defined()) hidden = hidden.logical_or(documents.unsqueeze(2).ne(documents.unsqueeze(1)));
  return at::zeros(hidden.sizes(), compute_).masked_fill_(hidden, -INFINITY).unsqueeze(1).unsqueeze(1);
}

at::Tensor DifferentiableDecoder::Rotated(const at::Tensor& x, int64_t length, double scale) const {
  const int64_t half = x.size(3) / 2;
  const at::Tensor c = cosines_.narrow(0, 0, length) * scale, s = sines_.narrow(0, 0, length) * scale;
  const at::Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half);
  return at::cat({low * c - high * s, high * c + low * s}, 3).to(compute_);
}

at::Tensor DifferentiableDecoder::Attend(const Block& block, const at::Tensor& x, const at::Tensor& mask,
                                         const Multiply& multiply) const {
  const int64_t length = mask.size(-1), batch = x.size(0) / length;
  const int64_t kv = config_.kv_head_count, group = config_.head_count / kv, size = config_.head_size;
  const auto heads = [&](const LinearSlot& slot, int64_t count) {
    return multiply(slot, x).view({batch, length, count, size}).transpose(1, 2);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  const at::Tensor q = Rotated(heads(block.q, config_.head_count), length, scale);
  const at::Tensor k = Rotated(heads(block.k, kv), length);
  const at::Tensor v = heads(block.v, kv);
  // Grouped heads folded into rows: plain matrix products are faster here than the fused attention
  // operator.
  const at::Tensor rows = q.reshape({batch, kv, group * length, size});
  const at::Tensor scores =
      at::matmul(rows, k.transpose(2, 3)).view({batch, kv, group, length, length}) + mask;
  const at::Tensor shares = at::softmax(scores, -1).view({batch, kv, group * length, length});
  return multiply(block.o, at::matmul(shares, v)
                               .reshape({batch, config_.head_count, length, size})
                               .transpose(1, 2)
                               .reshape({batch * length, config_.head_count * size}));
}

at::Tensor DifferentiableDecoder::Forward(const Block& block, const at::Tensor& attention_norm,
                                          const at::Tensor& mlp_norm, const at::Tensor& hidden,
                                          const at::Tensor& mask, const Multiply& multiply) const {
  const auto norm = [&](const at::Tensor& x, const at::Tensor& weight) {
    return Norm(x, weight, config_.norm_epsilon).to(compute_);
  };
  const at::Tensor middle = hidden + Attend(block, norm(hidden, attention_norm), mask, multiply);
  const at::Tensor x = norm(middle, mlp_norm);
  return middle + multiply(block.down, at::silu(multiply(block.gate, x)) * multiply(block.up, x));
}

}  // namespace tnb
