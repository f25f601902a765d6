// The uncompressed model as the teacher of a distillation: its logits and hidden states on the same batches.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "models/engine/differentiable.h"
#include "models/engine/statistics.h"
#include "models/training/batch.h"

namespace tnb {

// Linears as they are, for passes without gradients: dense matrices in one compute type.
class FixedLinears {
 public:
  explicit FixedLinears(at::ScalarType compute) : compute_(compute) {}

  void Add(const LinearSlot& slot, const Linear& linear);
  // Reads as `from`, adds each linear and returns none: nothing is held twice.
  LinearReader Reader(const LinearReader& from);
  const at::Tensor& Values(const std::string& slot) const { return matrices_.at(slot).values; }
  // What a block of these linears makes of `hidden`; shapes as DifferentiableDecoder::Forward.
  at::Tensor Forward(const DifferentiableDecoder& decoder, const Block& block, const at::Tensor& hidden,
                     const at::Tensor& mask) const;

 private:
  struct Matrix {
    at::Tensor values, bias;
  };
  at::ScalarType compute_;
  std::map<std::string, Matrix> matrices_;  // by slot
};

class Teacher {
 public:
  // Reads every linear once and keeps it in `compute` (fp32 or bf16).
  Teacher(const ModelParts& parts, at::ScalarType compute);

  const ModelConfig& config() const { return config_; }
  // Hidden states after the final norm, [sequences * length, hidden], in the compute type. `blocks`: where
  // those after each block go, fp32 of the same shape.
  at::Tensor Forward(const TrainingBatch& batch, std::vector<at::Tensor>* blocks = nullptr) const;
  // [n, hidden] -> [n, vocabulary]
  at::Tensor Logits(const at::Tensor& hidden) const;

 private:
  ModelConfig config_;
  at::ScalarType compute_;
  DifferentiableDecoder decoder_;
  FixedLinears linears_;
  std::vector<Block> blocks_;  // norms; the linears are in `linears_`
  at::Tensor final_norm_;
};

}  // namespace tnb
