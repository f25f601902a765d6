#include "models/training/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "models/training/trainer_state.h"

namespace tnb {

double LearningRate(const TrainerOptions& options, int64_t step) {
  if (step < options.warmup) {
    return options.learning_rate * static_cast<double>(step + 1) / static_cast<double>(options.warmup);
  }
  const auto rest = static_cast<double>(std::max<int64_t>(1, options.steps - options.warmup));
  const double done = std::min(1.0, static_cast<double>(step - options.warmup) / rest);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
  return options.learning_rate * (options.last_rate + (1 - options.last_rate) * cosine);
}

void Trainer::State::DropGradients() {
  // Gradients are made anew: keeping them would add their size to the peak of the next forward pass.
  for (at::Tensor& leaf : leaves) leaf.mutable_grad().reset();
}

void Trainer::State::Optimize(StepReport& report) {
  const c10::NoGradGuard no_gradients;
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& leaf : leaves) {
    gradients.push_back(leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf));
  }
  report.gradient_norm = at::stack(at::_foreach_norm(gradients)).norm().item<double>();
  if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
    DropGradients();
    const std::string found =
        "loss " + std::to_string(report.loss) + ", gradient norm " + std::to_string(report.gradient_norm);
    throw Error(ErrorKind::kData, {"the training diverged: loss or gradients are not finite", "", found,
                                   "step " + std::to_string(step), "lower the learning rate"});
  }
  const double shrink = options.clip / (report.gradient_norm + 1e-6);
  if (options.clip > 0 && shrink < 1) at::_foreach_mul_(gradients, shrink);
  report.learning_rate = LearningRate(options, step);
  taken.add_(1);
  for (const bool decay : {true, false}) {
    std::vector<at::Tensor> values, slopes, first, second;
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (decays[i] != decay) continue;
      values.push_back(leaves[i]);
      slopes.push_back(gradients[i]);
      first.push_back(first_moments[i]);
      second.push_back(second_moments[i]);
    }
    if (values.empty()) continue;
    const std::vector<at::Tensor> counts(values.size(), taken);
    at::_fused_adamw_(values, slopes, first, second, {}, counts, report.learning_rate, options.beta1,
                      options.beta2, decay ? options.weight_decay : 0, options.epsilon, false, false);
  }
  DropGradients();
  ++step;
}

Trainer::Trainer(const Model& model, TrainerOptions options, std::shared_ptr<const Teacher> teacher)
    : state_(std::make_unique<State>(model, std::move(options), std::move(teacher))) {}

Trainer::~Trainer() = default;

StepReport Trainer::Step(const std::vector<TrainingBatch>& batches) {
  double weight = 0;
  for (const TrainingBatch& batch : batches) weight += batch.weights.sum(at::kDouble).item<double>();
  if (!(weight > 0)) {
    throw Error(ErrorKind::kData, {"no token of a training step counts in the loss", "", "",
                                   "step " + std::to_string(step()), "larger batches, or other data"});
  }
  StepReport report;
  LossSums sums;
  try {
    for (const TrainingBatch& batch : batches) state_->Accumulate(batch, 1 / weight, sums, report);
  } catch (...) {
    state_->DropGradients();
    throw;
  }
  report.loss = sums.Loss(state_->options.loss);
  report.cross_entropy = sums.cross_entropy / sums.weight;
  report.divergence = sums.divergence / sums.weight;
  report.hidden = sums.hidden / sums.weight;
  Stopwatch watch;
  state_->Optimize(report);
  watch.Lap(report.optimizer_seconds);
  return report;
}

Evaluation Trainer::Evaluate(const std::vector<TrainingBatch>& batches) const {
  return state_->Evaluate(batches);
}

int64_t Trainer::step() const { return state_->step; }

void Trainer::Store(Model& model) const {
  for (const auto& [place, trained] : state_->linears) {
    LinearSlot& slot = model.Slot(place->name);
    bool changed = false;
    for (size_t i = 0; i < trained.weights.size(); ++i) {
      const TrainedWeight& part = trained.weights[i];
      if (part.leaves.empty()) continue;
      std::vector<at::Tensor> values;
      for (const at::Tensor& value : part.Values()) values.push_back(value.detach());
      slot.linear->ReplaceWeight(static_cast<int64_t>(i), part.weight->WithTrained(values));
      changed = true;
    }
    if (changed && trained.bias.defined()) slot.linear->set_bias(trained.bias.detach().clone());
    slot.touched = slot.touched || changed;
  }
  if (!state_->options.norms) return;
  const auto store = [](const at::Tensor& trained, at::Tensor& norm) {
    if (trained.defined()) norm = trained.detach().clone();
  };
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    store(state_->norms[2 * i], model.blocks[i].attention_norm);
    store(state_->norms[2 * i + 1], model.blocks[i].mlp_norm);
  }
  store(state_->norms.back(), model.final_norm);
}

int64_t Trainer::parameters() const {
  int64_t count = 0;
  for (const at::Tensor& leaf : state_->leaves) count += leaf.numel();
  return count;
}

int64_t Trainer::gradient_bytes() const { return parameters() * 4; }
int64_t Trainer::optimizer_bytes() const { return parameters() * 8; }
const std::vector<at::Tensor>& Trainer::leaves() const { return state_->leaves; }

}  // namespace tnb
