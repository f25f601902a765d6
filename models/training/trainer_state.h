// What the parts of the trainer share with one another and with nobody else.
#pragma once

#include <chrono>
#include <map>
#include <vector>

#include "models/training/trainer.h"

namespace tnb {

// Adds the seconds since the last call to a sum.
class Stopwatch {
 public:
  void Lap(double& sum) {
    const auto now = std::chrono::steady_clock::now();
    sum += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// One weight in training: its masters, or the matrix that stays as it is.
struct TrainedWeight {
  WeightPtr weight;
  std::vector<at::Tensor> leaves;  // empty: it does not train
  double factor = 1;               // the weight holds this many times the leaves
  at::Tensor fixed;                // of a plain format that does not train, in the compute type

  // What the weight holds, as a function of the leaves.
  std::vector<at::Tensor> Values() const;
};

struct TrainedLinear {
  const LinearSlot* slot = nullptr;
  std::vector<TrainedWeight> weights;
  at::Tensor bias;  // undefined: none
};

struct Trainer::State {
  State(const Model& model, TrainerOptions options, std::shared_ptr<const Teacher> teacher);

  const Model& model;
  TrainerOptions options;
  std::shared_ptr<const Teacher> teacher;
  at::ScalarType compute;
  DifferentiableDecoder decoder;
  std::map<const LinearSlot*, TrainedLinear> linears;
  std::vector<at::Tensor> norms;   // attention and mlp norm of every block, then the final one; of one that
                                   // trains alone only its own are defined
  std::vector<at::Tensor> leaves;  // all masters
  std::vector<bool> decays;        // weight decay applies
  std::vector<at::Tensor> first_moments, second_moments;
  at::Tensor taken;  // fp32 scalar: steps
  int64_t step = 0;

  // Forward and backward of one micro-batch: adds gradients of scale * (weighted sum of losses).
  void Accumulate(const TrainingBatch& batch, double scale, LossSums& sums, StepReport& report);
  Evaluation Evaluate(const std::vector<TrainingBatch>& batches) const;
  void Optimize(StepReport& report);
  void DropGradients();

 private:
  // What the teacher says of a batch.
  struct Lesson {
    at::Tensor last;                 // after its final norm; undefined: there is no teacher
    std::vector<at::Tensor> blocks;  // hidden states after each; empty: they are not in the loss
  };
  Lesson Taught(const TrainingBatch& batch) const;
  at::Tensor TaughtLogits(const at::Tensor& last, int64_t begin, int64_t count) const;
  void CheckTeacher() const;
  void AccumulateBlock(const TrainingBatch& batch, double scale, LossSums& sums, StepReport& report);
  at::Tensor Leaf(const at::Tensor& values, bool decay);
  at::Tensor Gain(const at::Tensor& values);
  void Add(const LinearSlot& slot);
  const LinearSlot& Head() const { return model.head.linear ? model.head : model.embedding; }
  // One matrix a weight of the linear, in the compute type; undefined: as it is stored (Linear::ForwardWith).
  std::vector<at::Tensor> Matrices(const LinearSlot& slot) const;
  // Those of the head, which multiplies piece by piece: each expanded, once.
  std::vector<at::Tensor> HeadMatrices() const;
  at::Tensor Multiply(const LinearSlot& slot, const std::vector<at::Tensor>& matrices,
                      const at::Tensor& x) const;
  at::Tensor Embed(const at::Tensor& index) const;  // int64 [n] -> fp32 [n, hidden]
  at::Tensor ForwardBlock(size_t index, const at::Tensor& hidden, const at::Tensor& mask) const;
  at::Tensor FinalNorm(const at::Tensor& hidden) const;
  // Loss and its gradient by the rows of `hidden` (after the final norm) whose tokens count.
  at::Tensor HeadBackward(const at::Tensor& hidden, const at::Tensor& taught, const TrainingBatch& batch,
                          double scale, LossSums& sums, StepReport& report);
};

}  // namespace tnb
