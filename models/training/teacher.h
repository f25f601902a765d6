// The uncompressed model as the teacher of a distillation: its logits on the same batches.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "models/engine/differentiable.h"
#include "models/engine/statistics.h"
#include "models/training/batch.h"

namespace tnb {

class Teacher {
 public:
  // Reads every linear once and keeps it in `compute` (fp32 or bf16).
  Teacher(const ModelParts& parts, at::ScalarType compute);

  const ModelConfig& config() const { return config_; }
  // Hidden states after the final norm, [sequences * length, hidden].
  at::Tensor Forward(const TrainingBatch& batch) const;
  // [n, hidden] -> [n, vocabulary]
  at::Tensor Logits(const at::Tensor& hidden) const;

 private:
  struct Matrix {
    at::Tensor values, bias;
  };
  ModelConfig config_;
  at::ScalarType compute_;
  DifferentiableDecoder decoder_;
  std::map<std::string, Matrix> matrices_;  // by slot
  std::vector<Block> blocks_;               // norms; the linears are in `matrices_`
  at::Tensor final_norm_;
};

}  // namespace tnb
