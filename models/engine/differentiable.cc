#include "models/engine/differentiable.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/engine/decoder.h"

namespace tnb {

DifferentiableDecoder::DifferentiableDecoder(const ModelConfig& config) : config_(config) {
  std::tie(cosines_, sines_) = RotaryTables(config, config.context_length);
}

at::Tensor DifferentiableDecoder::Norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return x * at::rsqrt(x.square().mean(-1, true) + epsilon) * weight;
}

at::Tensor DifferentiableDecoder::Rotated(const at::Tensor& x, int64_t length) const {
  const int64_t half = x.size(3) / 2;
  const at::Tensor c = cosines_.narrow(0, 0, length), s = sines_.narrow(0, 0, length);
  const at::Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half);
  return at::cat({low * c - high * s, high * c + low * s}, 3);
}

at::Tensor DifferentiableDecoder::Attend(const Block& block, const at::Tensor& x, int64_t length,
                                         const Multiply& multiply) const {
  const int64_t batch = x.size(0) / length, group = config_.head_count / config_.kv_head_count;
  const auto heads = [&](const LinearSlot& slot, int64_t count) {
    return multiply(slot, x).view({batch, length, count, config_.head_size}).transpose(1, 2);
  };
  const at::Tensor q = Rotated(heads(block.q, config_.head_count), length);
  const at::Tensor k = Rotated(heads(block.k, config_.kv_head_count), length);
  const at::Tensor v = heads(block.v, config_.kv_head_count);
  // Grouped heads folded into rows: plain matrix products are faster here than the fused attention
  // operator.
  const at::Tensor rows = q.reshape({batch, config_.kv_head_count, group * length, config_.head_size});
  at::Tensor scores = at::matmul(rows, k.transpose(2, 3)) / std::sqrt(static_cast<double>(config_.head_size));
  at::Tensor hidden = at::ones({length, length}, at::kBool).triu(1);
  if (config_.sliding_window > 0) {
    hidden = hidden.logical_or(at::ones({length, length}, at::kBool).tril(-config_.sliding_window));
  }
  scores = scores.masked_fill(hidden.repeat({group, 1}), -INFINITY);
  const at::Tensor mixed = at::matmul(at::softmax(scores, -1), v)
                               .reshape({batch, config_.head_count, length, config_.head_size})
                               .transpose(1, 2)
                               .reshape({batch * length, config_.head_count * config_.head_size});
  return multiply(block.o, mixed);
}

at::Tensor DifferentiableDecoder::Forward(const Block& block, const at::Tensor& attention_norm,
                                          const at::Tensor& mlp_norm, const at::Tensor& hidden,
                                          int64_t length, const Multiply& multiply) const {
  const at::Tensor middle =
      hidden + Attend(block, Norm(hidden, attention_norm, config_.norm_epsilon), length, multiply);
  const at::Tensor x = Norm(middle, mlp_norm, config_.norm_epsilon);
  return middle + multiply(block.down, at::silu(multiply(block.gate, x)) * multiply(block.up, x));
}

}  // namespace tnb
