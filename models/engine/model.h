// Model: a decoder made of linears, norms and an embedding, held in memory in whatever formats its weights
// have. Computing with it is the Decoder's work (decoder.h); changing it is that of methods/.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "models/config.h"
#include "models/engine/cache_codec.h"
#include "models/engine/linear.h"
#include "models/tokenizer.h"

namespace tnb {

enum class LinearKind { kQ, kK, kV, kO, kGate, kUp, kDown, kEmbedding, kHead };
std::string ToString(LinearKind kind);  // "q" ... "down" "embed" "head"

// A place for a linear in the model. The embedding is one too: its linear is dense and is used by rows; with
// a tied head it is also the head.
struct LinearSlot {
  std::string name;  // canonical: "blocks.3.gate", "embedding", "head"
  LinearKind kind = LinearKind::kQ;
  int64_t block = -1;  // -1: embedding, head
  std::unique_ptr<Linear> linear;
  bool touched = false;  // some stage changed it
};

struct Block {
  at::Tensor attention_norm;  // fp32 [hidden]
  at::Tensor mlp_norm;
  LinearSlot q, k, v, o, gate, up, down;
};

// Identity of what was loaded.
struct ModelSource {
  std::string name;  // as the user said it
  std::string path;  // checkpoint
  std::string hash;  // Checkpoint::ContentHash
  TokenizerSource tokenizer;
  bool random_weights = false;  // shapes only: time and memory can be measured, accuracy cannot
};

class Model {
 public:
  ModelConfig config;
  ModelSource source;
  LinearSlot embedding;
  std::vector<Block> blocks;
  at::Tensor final_norm;
  LinearSlot head;      // linear is null when tied
  CacheCodecPtr cache;  // how keys and values are stored; null: fp32

  // All slots with a linear, embedding first, then block by block (q k v o gate up down), head last.
  std::vector<LinearSlot*> Slots();
  std::vector<const LinearSlot*> Slots() const;
  LinearSlot& Slot(const std::string& name);  // Error{kUsage} for an unknown name
  const Linear& HeadLinear() const { return head.linear ? *head.linear : *embedding.linear; }

  // Linears, norms (fp32), biases and what the cache's codec shares: everything that is stored.
  WeightSize size() const;
  bool factorized() const;  // any slot holds a factorized linear
  // The worst of all weights: simulated > expanded > packed.
  Kernel kernel() const;
};

// SHA-256 over everything that is stored: what the weights, norms and biases are and hold.
std::string ContentHash(const Model& model);

// Where the parts of a model come from: a norm by name, and the linear of a slot (whose own linear is null).
using NormReader = std::function<at::Tensor(const std::string& name, int64_t size)>;
using LinearReader =
    std::function<std::unique_ptr<Linear>(const LinearSlot& slot, int64_t rows, int64_t cols)>;

// One block, its slots filled in order.
Block BuildBlock(const ModelConfig& config, int64_t index, const NormReader& norm, const LinearReader& fill);
// Fills one slot after the other, in the order of Model::Slots.
Model BuildModel(const ModelConfig& config, const NormReader& norm, const LinearReader& fill);

// A checkpoint as an fp32 model in memory. `path` and `name` go into `source`.
Model LoadCheckpointModel(const Checkpoint& checkpoint, const std::string& name);
// One linear of a checkpoint, dense fp32 (with its bias): what streaming compression reads.
std::unique_ptr<Linear> ReadLinear(const Checkpoint& checkpoint, const LinearSlot& slot, int64_t rows,
                                   int64_t cols);

}  // namespace tnb
