#include "methods/vector/block_tuning.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "methods/vector/adam.h"

namespace tnb {
namespace {

// Tokens that errors are measured on, before and after: a look at the result, not a part of the fit.
constexpr int64_t kMeasuredTokens = 8192;

struct Leaf {
  const LinearSlot* slot = nullptr;
  int64_t weight = 0;
  std::vector<at::Tensor> tensors;
  std::vector<AmsGrad> steps;
};

class Tuning {
 public:
  Tuning(const ChangedBlock& block, const std::vector<LinearSlot*>& slots, const TuningOptions& options)
      : block_(block), slots_(slots) {
    for (const LinearSlot* slot : slots) {
      for (int64_t i = 0; i < slot->linear->weight_count(); ++i) {
        Leaf leaf{slot, i, slot->linear->weight(i)->TrainableTensors(), {}};
        for (at::Tensor& tensor : leaf.tensors) {
          tensor.requires_grad_(true);
          leaf.steps.emplace_back(options.learning_rate, 0.9, 0.95);
        }
        leaves_.push_back(std::move(leaf));
      }
    }
  }

  // Whether there is anything to train.
  bool any() const {
    return std::any_of(leaves_.begin(), leaves_.end(),
                       [](const Leaf& leaf) { return !leaf.tensors.empty(); });
  }

  // The mean error of the batches, as they were met.
  double Epoch() {
    double sum = 0;
    int64_t count = 0;
    for (int64_t begin = 0; begin < block_.hidden.size(0); begin += block_.batch) {
      const int64_t tokens = std::min(block_.batch, block_.hidden.size(0) - begin);
      {
        const c10::AutoGradMode on(true);
        std::map<const LinearSlot*, std::vector<at::Tensor>> matrices;
        for (const Leaf& leaf : leaves_) {
          matrices[leaf.slot].push_back(leaf.slot->linear->weight(leaf.weight)->DenseOf(leaf.tensors));
        }
        const at::Tensor loss = Loss(begin, tokens, [&](const LinearSlot& slot, const at::Tensor& x) {
          const auto found = matrices.find(&slot);
          return found == matrices.end() ? Plain(slot, x)
                                         : WithBias(slot, slot.linear->ForwardWith(found->second, x));
        });
        loss.backward();
        sum += loss.item<double>();
        ++count;
      }
      const c10::NoGradGuard off;
      for (Leaf& leaf : leaves_) {
        for (size_t i = 0; i < leaf.tensors.size(); ++i) {
          leaf.steps[i].Step(leaf.tensors[i], leaf.tensors[i].grad());
          leaf.tensors[i].mutable_grad().reset();
        }
      }
    }
    return sum / static_cast<double>(count);
  }

  // Of the block with the weights that its slots have.
  double Measured() {
    const c10::NoGradGuard off;
    plain_.clear();
    const int64_t tokens = std::min(block_.hidden.size(0), std::max(block_.batch, kMeasuredTokens));
    double sum = 0, norm = 0;
    for (int64_t begin = 0; begin < tokens; begin += block_.batch) {
      const int64_t count = std::min(block_.batch, tokens - begin);
      const auto error =
          Loss(begin, count, [&](const LinearSlot& slot, const at::Tensor& x) { return Plain(slot, x); });
      sum += error.item<double>() * static_cast<double>(count);
      norm +=
          block_.targets.narrow(0, begin, count).square().mean().item<double>() * static_cast<double>(count);
    }
    return norm > 0 ? sum / norm : sum;
  }

  void Store() {
    for (const Leaf& leaf : leaves_) {
      if (leaf.tensors.empty()) continue;
      const auto slot = std::find(slots_.begin(), slots_.end(), leaf.slot);
      std::vector<at::Tensor> tensors;
      for (const at::Tensor& tensor : leaf.tensors) tensors.push_back(tensor.detach());
      (*slot)->linear->ReplaceWeight(leaf.weight,
                                     leaf.slot->linear->weight(leaf.weight)->WithTrained(tensors));
    }
  }

 private:
  at::Tensor Loss(int64_t begin, int64_t tokens, const DifferentiableDecoder::Multiply& multiply) const {
    return (block_.forward(begin, tokens, multiply) - block_.targets.narrow(0, begin, tokens))
        .square()
        .mean();
  }
  static at::Tensor WithBias(const LinearSlot& slot, const at::Tensor& y) {
    return slot.linear->bias().defined() ? y + slot.linear->bias() : y;
  }
  at::Tensor Plain(const LinearSlot& slot, const at::Tensor& x) {
    at::Tensor& w = plain_[&slot];
    if (!w.defined()) w = slot.linear->Rebuild();
    return WithBias(slot, at::linear(x, w));
  }

  const ChangedBlock& block_;
  const std::vector<LinearSlot*>& slots_;
  std::vector<Leaf> leaves_;
  std::map<const LinearSlot*, at::Tensor> plain_;
};

}  // namespace

TuningReport TuneBlock(const ChangedBlock& block, const std::vector<LinearSlot*>& slots,
                       const TuningOptions& options) {
  Tuning tuning(block, slots, options);
  TuningReport report;
  report.start = report.end = tuning.Measured();
  if (!tuning.any()) return report;
  std::vector<std::vector<WeightPtr>> before;
  for (const LinearSlot* slot : slots) {
    before.emplace_back();
    for (int64_t i = 0; i < slot->linear->weight_count(); ++i)
      before.back().push_back(slot->linear->weight(i));
  }
  double last = INFINITY;
  while (report.epochs < options.epochs) {
    const double loss = tuning.Epoch();
    ++report.epochs;
    if (!(loss < last)) break;
    last = loss;
  }
  tuning.Store();
  report.end = tuning.Measured();
  report.kept = report.end < report.start;
  if (report.kept) return report;
  report.end = report.start;
  for (size_t s = 0; s < slots.size(); ++s) {
    for (size_t i = 0; i < before[s].size(); ++i) {
      slots[s]->linear->ReplaceWeight(static_cast<int64_t>(i), before[s][i]);
    }
  }
  return report;
}

}  // namespace tnb
