// Where the weights of a model come from while it is compressed, linear by linear: a checkpoint as the
// recipe's rewriting stages leave it, or a normal distribution in the shape of a model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "methods/recipe.h"
#include "models/checkpoint.h"
#include "models/engine/model.h"

namespace tnb {

class WeightSupply {
 public:
  // With source.random_weights from `seed` and in the shape of `config`; Error{kUsage} when the recipe
  // rewrites checkpoints. Else from the checkpoint at source.path, whose tokenizer becomes that of the
  // source; Error{kData} when its shape is not `config`.
  WeightSupply(const ModelConfig& config, ModelSource source, uint64_t seed, const Recipe& recipe);

  const ModelConfig& config() const { return config_; }
  const ModelSource& source() const { return source_; }

  at::Tensor Norm(const std::string& name, int64_t size) const;
  // Random weights depend on the seed and the linear's place only; their deviation, 1/sqrt(columns), keeps
  // activations in range.
  std::unique_ptr<Linear> Read(const LinearSlot& place, int64_t rows, int64_t cols) const;
  // The place with its linear, as a slot of its own.
  LinearSlot ReadSlot(const LinearSlot& place, int64_t rows, int64_t cols) const;

  // What stages look at; the supply must outlive it.
  ModelParts Parts() const;
  // For PrepareRecipe. `count`, unless null, becomes the number of linears that are about to be visited.
  VisitLinears Visitor(int64_t* count) const;

 private:
  uint64_t PlaceOf(const LinearSlot& slot) const;

  ModelConfig config_;
  ModelSource source_;
  std::shared_ptr<const Checkpoint> checkpoint_;  // null: random weights
  uint64_t seed_ = 0;
};

// The linears of any model for PrepareRecipe; `count` as above.
VisitLinears VisitorOf(const ModelParts& parts, int64_t* count);

// The whole model in memory, compressed; for recipes without calibration and training.
Model CompressInMemory(const WeightSupply& supply, Recipe& recipe);

}  // namespace tnb
