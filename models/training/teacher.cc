#include "models/training/teacher.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace tnb {

Teacher::Teacher(const ModelParts& parts, at::ScalarType compute)
    : config_(parts.config), compute_(compute), decoder_(parts.config, compute) {
  const auto fill = [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
    const std::unique_ptr<Linear> linear = parts.linear(slot, rows, cols);
    Matrix& matrix = matrices_[slot.name];
    matrix.values = linear->Rebuild().to(compute);
    if (linear->bias().defined()) matrix.bias = linear->bias().to(compute);
    return std::unique_ptr<Linear>();
  };
  Model model = BuildModel(parts.config, parts.norm, fill);
  blocks_ = std::move(model.blocks);
  final_norm_ = model.final_norm;
}

at::Tensor Teacher::Forward(const TrainingBatch& batch) const {
  const c10::NoGradGuard no_gradients;
  const auto multiply = [&](const LinearSlot& slot, const at::Tensor& x) {
    const Matrix& matrix = matrices_.at(slot.name);
    return at::linear(x, matrix.values, matrix.bias);
  };
  const at::Tensor mask = decoder_.Mask(batch.inputs.size(1), batch.documents);
  at::Tensor hidden =
      at::embedding(matrices_.at("embedding").values, batch.inputs.reshape({-1})).to(at::kFloat);
  for (const Block& block : blocks_) {
    hidden = decoder_.Forward(block, block.attention_norm, block.mlp_norm, hidden, mask, multiply);
  }
  return DifferentiableDecoder::Norm(hidden, final_norm_, config_.norm_epsilon).to(compute_);
}

at::Tensor Teacher::Logits(const at::Tensor& hidden) const {
  const c10::NoGradGuard no_gradients;
  return at::linear(hidden, matrices_.at(config_.tied_head ? "embedding" : "head").values);
}

}  // namespace tnb
