#include "models/training/train_blocks.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "base/error.h"

namespace tnb {
namespace {

// The hidden states of both models before a block, or after it, batch by batch.
struct States {
  std::vector<std::vector<at::Tensor>> own, original;  // [step][micro-batch], [tokens, hidden]
};

class BlockByBlock {
 public:
  BlockByBlock(Model& model, const ModelParts& original, const TrainerOptions& options,
               const BlocksPlan& blocks)
      : model_(model),
        original_(original),
        options_(options),
        plan_(blocks.plan),
        compute_(options.bf16 ? at::kBFloat16 : at::kFloat),
        decoder_(model.config, compute_) {
    options_.loss = {.distillation = 0, .temperature = 1, .hidden = 1};
  }

  // Blocks in which something trains.
  std::vector<int64_t> Chosen() {
    std::vector<int64_t> chosen;
    for (int64_t block = 0; block < model_.config.block_count; ++block) {
      options_.block = block;
      if (Trainer(model_, options_).parameters() > 0) chosen.push_back(block);
    }
    return chosen;
  }

  void Embed() {
    const c10::NoGradGuard no_gradients;
    LinearSlot slot;
    slot.name = "embedding";
    slot.kind = LinearKind::kEmbedding;
    const std::unique_ptr<Linear> table =
        original_.linear(slot, model_.config.vocabulary_size, model_.config.hidden_size);
    ForEachBatch([&](const TrainingBatch& batch, at::Tensor& own, at::Tensor& original) {
      const at::Tensor index = batch.inputs.reshape({-1});
      own = model_.embedding.linear->Rows(index);
      original = table->Rows(index);
    });
  }

  // Takes the original's states through its block.
  void Teach(int64_t index) {
    FixedLinears linears(compute_);
    const Block block = BuildBlock(original_.config, index, original_.norm, linears.Reader(original_.linear));
    ForEachBatch([&](const TrainingBatch& batch, at::Tensor&, at::Tensor& original) {
      original = linears.Forward(decoder_, block, original, MaskOf(batch));
    });
  }

  // The mean error of what the model's block makes of its states; `advance`: that is what they are from now
  // on.
  double ErrorOf(int64_t index, bool advance) {
    FixedLinears linears(compute_);
    for (const LinearSlot* slot : std::as_const(model_).Slots()) {
      if (slot->block == index) linears.Add(*slot, *slot->linear);
    }
    const Block& block = model_.blocks[static_cast<size_t>(index)];
    double sum = 0, weight = 0;
    ForEachBatch([&](const TrainingBatch& batch, at::Tensor& own, at::Tensor& original) {
      const at::Tensor output = linears.Forward(decoder_, block, own, MaskOf(batch));
      const at::Tensor weights = batch.weights.reshape({-1});
      HiddenGradient(output, original, weights, 1, sum);
      weight += weights.sum(at::kDouble).item<double>();
      if (advance) own = output;
    });
    const double error = sum / weight;
    if (std::isfinite(error)) return error;
    throw Error(ErrorKind::kData,
                {"what a block puts out is not finite", "", std::to_string(error), Where(index), ""});
  }

  TrainedBlock TrainOne(int64_t index) {
    TrainedBlock trained{.block = index};
    trained.error_before = ErrorOf(index, false);
    options_.block = index;
    Trainer trainer(model_, options_);
    trained.parameters = trainer.parameters();
    TrainingPlan plan = plan_;
    plan.batches = [&](int64_t step) {
      std::vector<TrainingBatch> batches = plan_.batches(step);
      for (size_t i = 0; i < batches.size(); ++i) {
        batches[i].block_inputs = states_.own[static_cast<size_t>(step)][i];
        batches[i].block_targets = states_.original[static_cast<size_t>(step)][i];
      }
      return batches;
    };
    if (!plan.checkpoint.empty()) plan.checkpoint += "-block-" + std::to_string(index);
    plan.key += " " + Where(index);
    plan.keep_last = true;
    try {
      trained.curve = Train(trainer, plan);
    } catch (const Error& error) {
      ErrorDetail detail = error.detail();
      detail.where += (detail.where.empty() ? "" : ", ") + Where(index);
      throw Error(error.kind(), detail);
    }
    trainer.Store(model_);
    return trained;
  }

 private:
  static std::string Where(int64_t index) { return "block " + std::to_string(index); }
  at::Tensor MaskOf(const TrainingBatch& batch) const {
    return decoder_.Mask(batch.inputs.size(1), batch.documents);
  }

  template <typename Visit>
  void ForEachBatch(const Visit& visit) {
    const auto steps = static_cast<size_t>(plan_.steps);
    states_.own.resize(steps);
    states_.original.resize(steps);
    for (size_t step = 0; step < steps; ++step) {
      const std::vector<TrainingBatch> batches = plan_.batches(static_cast<int64_t>(step));
      states_.own[step].resize(batches.size());
      states_.original[step].resize(batches.size());
      for (size_t i = 0; i < batches.size(); ++i)
        visit(batches[i], states_.own[step][i], states_.original[step][i]);
    }
  }

  Model& model_;
  const ModelParts& original_;
  TrainerOptions options_;
  const TrainingPlan& plan_;
  at::ScalarType compute_;
  DifferentiableDecoder decoder_;
  States states_;
};

void CheckAlike(const ModelConfig& own, const ModelConfig& original) {
  const auto text = [](const ModelConfig& config) {
    return std::to_string(config.block_count) + " blocks of width " + std::to_string(config.hidden_size);
  };
  if (text(own) == text(original)) return;
  throw Error(ErrorKind::kUsage, {"the uncompressed model has other blocks", text(own), text(original), "",
                                  "the whole model can learn from its logits"});
}

}  // namespace

std::vector<TrainedBlock> TrainBlocks(Model& model, const ModelParts& original, const TrainerOptions& options,
                                      const BlocksPlan& blocks) {
  CheckAlike(model.config, original.config);
  BlockByBlock work(model, original, options, blocks);
  const std::vector<int64_t> chosen = work.Chosen();
  if (chosen.empty()) {
    throw Error(ErrorKind::kUsage, {"nothing would be trained", "a weight of a block that trains",
                                    "a selection or formats without any", "", "widen what trains"});
  }
  std::vector<TrainedBlock> trained;
  work.Embed();
  for (int64_t block = 0; block <= chosen.back(); ++block) {
    work.Teach(block);
    if (block == chosen[trained.size()]) {
      if (blocks.on_block)
        blocks.on_block(static_cast<int64_t>(trained.size()), static_cast<int64_t>(chosen.size()));
      trained.push_back(work.TrainOne(block));
      trained.back().error_after = work.ErrorOf(block, true);
    } else {
      work.ErrorOf(block, true);
    }
  }
  return trained;
}

}  // namespace tnb
