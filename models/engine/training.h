// Training steps over any model: every linear trains its own tensors (dense matrices, network cores), all
// norms and the embedding train too. LibTorch's autograd differentiates, its fused AdamW steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "models/engine/model.h"

namespace tnb {

struct TrainingStepTimes {
  double forward_seconds = 0;
  double backward_seconds = 0;
  double optimizer_seconds = 0;
  double loss = 0;
};

class Trainer {
 public:
  // Copies the trainable tensors (fp32). Throws Error{kUnsupported} naming the first linear that cannot be
  // trained.
  explicit Trainer(const Model& model, double learning_rate = 1e-4);
  ~Trainer();

  // One step of next-token cross entropy on tokens int64 [batch, length + 1].
  TrainingStepTimes Step(const at::Tensor& tokens);
  // The loss without a step.
  double Loss(const at::Tensor& tokens);

  int64_t parameters() const;       // trained scalars
  int64_t gradient_bytes() const;   // fp32 gradients
  int64_t optimizer_bytes() const;  // AdamW's two moments
  const std::vector<at::Tensor>& tensors() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tnb
