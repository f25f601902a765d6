// One optimizer step after the other over a model in memory, whatever its linears and weights are: what a
// weight lets train (Weight::TrainableTensors) has fp32 masters, everything else stays as it is and has
// neither gradients nor moments. Norms and biases train too, unless options say otherwise.
//
//   Trainer trainer(model, {.learning_rate = 3e-4, .steps = 100, .warmup = 4});
//   for (int64_t step = 0; step < 100; ++step) trainer.Step({batch});
//   trainer.Store(model);
//
// AdamW with decoupled decay (arXiv 1711.05101) by LibTorch's fused operator, linear warm-up and a cosine,
// clipping of the global gradient norm as torch.nn.utils.clip_grad_norm_, accumulation over micro-batches.
// Blocks are differentiated one by one by LibTorch's autograd; with `recompute` a block keeps its input only
// and is computed again on the way back (arXiv 1604.06174), to the same bits.
//
// With the same options, batches and number of threads a training is the same bit for bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/engine/model.h"
#include "models/training/batch.h"
#include "models/training/loss.h"
#include "models/training/teacher.h"

namespace tnb {

struct TrainerOptions {
  double learning_rate = 1e-4;  // the largest of the schedule
  int64_t steps = 1;            // of the schedule
  int64_t warmup = 0;           // the first of them
  double last_rate = 0;         // what the cosine ends with, as a fraction of the largest
  double weight_decay = 0.01;   // of matrices; not of norms, biases and scales
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double clip = 1;  // largest norm of all gradients together; 0: no limit
  LossOptions loss{};
  bool bf16 = false;       // linears, attention and logits; masters, norms and the residual stream are fp32
  bool recompute = false;  // activation checkpointing
  // This block alone trains, towards the block_targets of the batches; its loss is that of the hidden states,
  // of this block. -1: the model.
  int64_t block = -1;
  // Whether weight `index` of a linear trains; null: all do.
  std::function<bool(const LinearSlot& slot, int64_t index)> trains{};
  bool norms = true;  // norms and biases train
  // A weight holds this many times what trains: LoRA's alpha / r, of the factor that begins with zeros.
  // Null: 1.
  std::function<double(const LinearSlot& slot, int64_t index)> factor{};
};

// Of step `step` from 0: linear from 1/warmup of the largest, then a cosine.
double LearningRate(const TrainerOptions& options, int64_t step);

struct StepReport {
  double loss = 0, cross_entropy = 0, divergence = 0, hidden = 0;  // means over the weights of the tokens
  double learning_rate = 0, gradient_norm = 0;                     // the norm before clipping
  double forward_seconds = 0, backward_seconds = 0, optimizer_seconds = 0;
};

struct Evaluation {
  double cross_entropy = 0, divergence = 0;  // means, as in StepReport
  double accuracy = 0;                       // of the most probable token
  double hidden = 0;                         // as in StepReport; 0 where the loss has no such part
};

class Trainer {
 public:
  // Copies what trains; reads everything else from the model, which stays as it is until Store and must
  // outlive the trainer. `teacher` is needed for a distillation. Error{kUsage} when nothing trains (but one
  // block may have nothing: parameters() is 0 then), when the vocabularies differ, or for hidden states
  // widths or numbers of blocks.
  Trainer(const Model& model, TrainerOptions options, std::shared_ptr<const Teacher> teacher = nullptr);
  ~Trainer();

  // One step over micro-batches that count as one. Error{kData} when loss or gradients are not finite; then
  // nothing has changed.
  StepReport Step(const std::vector<TrainingBatch>& batches);
  // Of the model, not of one block.
  Evaluation Evaluate(const std::vector<TrainingBatch>& batches) const;
  int64_t step() const;  // steps that were taken

  // Writes what was trained into a model of the same structure, each weight in its own format.
  void Store(Model& model) const;

  // Everything that the next step depends on, with a key that says what is trained and how, and a note of
  // the caller. The file is replaced only when the new one is complete (Error{kIo} on a full disk).
  void SaveCheckpoint(const std::filesystem::path& path, const std::string& key, const Json& note) const;
  // Goes on from there and returns the note; std::nullopt when there is no such file, or one of another key.
  // Error{kData} when the file is damaged.
  std::optional<Json> LoadCheckpoint(const std::filesystem::path& path, const std::string& key);

  int64_t parameters() const;                     // trained scalars
  int64_t gradient_bytes() const;                 // fp32; what data-parallel workers add up in every step
  int64_t optimizer_bytes() const;                // AdamW's two moments
  const std::vector<at::Tensor>& leaves() const;  // the masters, fp32

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tnb
