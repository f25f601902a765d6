#include "models/training/teacher.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace tnb {

void FixedLinears::Add(const LinearSlot& slot, const Linear& linear) {
  Matrix& matrix = matrices_[slot.name];
  matrix.values = linear.Rebuild().to(compute_);
  if (linear.bias().defined()) matrix.bias = linear.bias().to(compute_);
}

LinearReader FixedLinears::Reader(const LinearReader& from) {
  return [this, from](const LinearSlot& slot, int64_t rows, int64_t cols) {
    Add(slot, *from(slot, rows, cols));
    return std::unique_ptr<Linear>();
  };
}

at::Tensor FixedLinears::Forward(const DifferentiableDecoder& decoder, const Block& block,
                                 const at::Tensor& hidden, const at::Tensor& mask) const {
  const c10::NoGradGuard no_gradients;
  return decoder.Forward(block, block.attention_norm, block.mlp_norm, hidden, mask,
                         [this](const LinearSlot& slot, const at::Tensor& x) {
                           const Matrix& matrix = matrices_.at(slot.name);
                           return at::linear(x, matrix.values, matrix.bias);
                         });
}

Teacher::Teacher(const ModelParts& parts, at::ScalarType compute)
    : config_(parts.config), compute_(compute), decoder_(parts.config, compute), linears_(compute) {
  Model model = BuildModel(parts.config, parts.norm, linears_.Reader(parts.linear));
  blocks_ = std::move(model.blocks);
  final_norm_ = model.final_norm;
}

at::Tensor Teacher::Forward(const TrainingBatch& batch, std::vector<at::Tensor>* blocks) const {
  const c10::NoGradGuard no_gradients;
  const at::Tensor mask = decoder_.Mask(batch.inputs.size(1), batch.documents);
  at::Tensor hidden = at::embedding(linears_.Values("embedding"), batch.inputs.reshape({-1})).to(at::kFloat);
  for (const Block& block : blocks_) {
    hidden = linears_.Forward(decoder_, block, hidden, mask);
    if (blocks != nullptr) blocks->push_back(hidden);
  }
  return DifferentiableDecoder::Norm(hidden, final_norm_, config_.norm_epsilon).to(compute_);
}

at::Tensor Teacher::Logits(const at::Tensor& hidden) const {
  const c10::NoGradGuard no_gradients;
  return at::linear(hidden, linears_.Values(config_.tied_head ? "embedding" : "head"));
}

}  // namespace tnb
