#include "models/engine/training.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <cmath>
#include <map>

#include "base/error.h"
#include "models/engine/differentiable.h"

namespace tnb {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

struct Trainer::State {
  const Model& model;
  double learning_rate;
  int64_t steps = 0;
  std::map<const LinearSlot*, std::vector<at::Tensor>> linears;
  std::vector<at::Tensor> norms;    // attention and mlp norm of every block, then the final one
  std::vector<at::Tensor> tensors;  // all of them, leaves
  std::vector<at::Tensor> first_moments, second_moments, step_counts;
  DifferentiableDecoder decoder;

  at::Tensor Leaf(const at::Tensor& values) {
    at::Tensor leaf = values.clone().detach().requires_grad_(true);
    tensors.push_back(leaf);
    return leaf;
  }

  at::Tensor Multiply(const LinearSlot& slot, const at::Tensor& x) const {
    const at::Tensor y = slot.linear->ForwardWith(linears.at(&slot), x);
    return slot.linear->bias().defined() ? y + slot.linear->bias() : y;
  }

  at::Tensor LossOf(const at::Tensor& tokens) const {
    if (tokens.dim() != 2 || tokens.size(1) < 2) {
      throw Error(ErrorKind::kInternal, "training tokens are not [batch, length + 1]");
    }
    const ModelConfig& config = model.config;
    const int64_t length = tokens.size(1) - 1;
    const at::Tensor input = tokens.narrow(1, 0, length).reshape({-1});
    at::Tensor hidden = model.embedding.linear->RowsWith(linears.at(&model.embedding), input);
    const auto multiply = [this](const LinearSlot& slot, const at::Tensor& x) { return Multiply(slot, x); };
    for (size_t i = 0; i < model.blocks.size(); ++i) {
      hidden = decoder.Forward(model.blocks[i], norms[2 * i], norms[2 * i + 1], hidden, length, multiply);
    }
    hidden = DifferentiableDecoder::Norm(hidden, norms.back(), config.norm_epsilon);
    const LinearSlot& head = model.head.linear ? model.head : model.embedding;
    return at::cross_entropy_loss(Multiply(head, hidden), tokens.narrow(1, 1, length).reshape({-1}));
  }
};

Trainer::Trainer(const Model& model, double learning_rate)
    : state_(
          new State{model, learning_rate, 0, {}, {}, {}, {}, {}, {}, DifferentiableDecoder(model.config)}) {
  for (const LinearSlot* slot : model.Slots()) {
    try {
      for (const at::Tensor& values : slot->linear->TrainableTensors()) {
        state_->linears[slot].push_back(state_->Leaf(values));
      }
    } catch (const Error& error) {
      ErrorDetail detail = error.detail();
      detail.where = slot->name;
      throw Error(error.kind(), detail);
    }
  }
  for (const Block& block : model.blocks) {
    state_->norms.push_back(state_->Leaf(block.attention_norm));
    state_->norms.push_back(state_->Leaf(block.mlp_norm));
  }
  state_->norms.push_back(state_->Leaf(model.final_norm));
  for (const at::Tensor& tensor : state_->tensors) {
    state_->first_moments.push_back(at::zeros_like(tensor));
    state_->second_moments.push_back(at::zeros_like(tensor));
    state_->step_counts.push_back(at::zeros({}, at::kFloat));
  }
}

Trainer::~Trainer() = default;

TrainingStepTimes Trainer::Step(const at::Tensor& tokens) {
  State& state = *state_;
  TrainingStepTimes times;
  const double start = Seconds();
  const at::Tensor loss = state.LossOf(tokens);
  const double forward = Seconds();
  loss.backward();
  const double backward = Seconds();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& tensor : state.tensors) gradients.push_back(tensor.grad());
  {
    const c10::NoGradGuard no_gradients;
    for (const at::Tensor& count : state.step_counts) count.add_(1);
    at::_fused_adamw_(state.tensors, gradients, state.first_moments, state.second_moments, {},
                      state.step_counts, state.learning_rate, 0.9, 0.95, 0.01, 1e-8, false, false);
    // Gradients are made anew: keeping them would add their size to the peak of the next forward pass.
    for (at::Tensor& tensor : state.tensors) tensor.mutable_grad().reset();
  }
  const double end = Seconds();
  times.forward_seconds = forward - start;
  times.backward_seconds = backward - forward;
  times.optimizer_seconds = end - backward;
  times.loss = loss.item<double>();
  ++state.steps;
  if (!std::isfinite(times.loss)) {
    throw Error(ErrorKind::kData, {"the training loss is not finite", "", std::to_string(times.loss),
                                   "step " + std::to_string(state.steps), "lower the learning rate"});
  }
  return times;
}

double Trainer::Loss(const at::Tensor& tokens) {
  const c10::NoGradGuard no_gradients;
  return state_->LossOf(tokens).item<double>();
}

int64_t Trainer::parameters() const {
  int64_t count = 0;
  for (const at::Tensor& tensor : state_->tensors) count += tensor.numel();
  return count;
}

int64_t Trainer::gradient_bytes() const { return parameters() * 4; }
int64_t Trainer::optimizer_bytes() const { return parameters() * 8; }
const std::vector<at::Tensor>& Trainer::tensors() const { return state_->tensors; }

}  // namespace tnb
