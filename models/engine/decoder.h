// Decoder computes with a Model: a batch of token runs in, hidden states and logits out, keys and values kept
// in a cache. Runs of many sequences are packed one after the other without padding; a run may continue
// another one that lies in the cache, and several runs may continue the same one (a shared prefix is computed
// once).
//
// On the CPU the results of a token depend neither on the other runs of the batch nor on the number of
// threads, to the last bit, for dense models (factorized linears choose their way of computing by the size of
// the batch).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "models/engine/model.h"

namespace tnb {

// Slots [begin, begin + count) of the cache.
struct CacheSpan {
  int64_t begin = 0;
  int64_t count = 0;
};

// New tokens of one sequence.
struct TokenRun {
  std::vector<TokenId> tokens;
  std::vector<CacheSpan>
      past;  // what they attend to, in order of position, all in the cache or earlier in the batch
  std::vector<CacheSpan> own;  // where their keys and values go; counts sum to tokens.size()
};

struct AttentionRun;  // ops.h

class KvCache {
 public:
  // `codec`: how keys and values are stored (Model::cache); null: as fp32. Error{kUnsupported} for a codec on
  // another device than the CPU.
  KvCache(const ModelConfig& config, int64_t capacity, at::Device device = at::kCPU,
          CacheCodecPtr codec = nullptr);

  int64_t capacity() const { return capacity_; }
  int64_t free_slots() const { return free_; }
  // Takes `count` slots (possibly in pieces); Error{kInternal} when there are not as many.
  std::vector<CacheSpan> Allocate(int64_t count);
  void Release(const std::vector<CacheSpan>& spans);

  // Stores k and v [n, kv heads, head size] of a block in the slots.
  void Store(int64_t block, const at::Tensor& k, const at::Tensor& v, const std::vector<int64_t>& slots);
  // Keys and values of a block as attention reads them, fp32. Keys lie in panels of 32 slots, so that a query
  // meets 32 of them with one load, [kv heads, panels, head size, 32]; values are padded to whole panels of
  // columns, [kv heads, slots, padded head]. With a codec the slots of `runs` are decoded into memory that
  // all blocks share: what was opened is valid until the next block is.
  struct Opened {
    const at::Tensor &keys, &values;
  };
  Opened Open(int64_t block, const std::vector<AttentionRun>& runs);
  // Bytes of one token over all blocks.
  int64_t token_bytes() const;

 private:
  int64_t capacity_ = 0;
  int64_t free_ = 0;
  std::vector<CacheSpan> free_spans_;  // sorted by begin, merged
  CacheCodecPtr codec_;
  std::vector<at::Tensor> keys_, values_;  // of every block; with a codec one for all
  std::vector<at::Tensor> stored_;         // with a codec, of every block: uint8 [slots, kv heads, bytes]
};

// Bytes of the keys and values of one token.
int64_t CacheTokenBytes(const ModelConfig& config, const CacheCodecPtr& codec);

class Decoder {
 public:
  explicit Decoder(const Model& model, at::Device device = at::kCPU,
                   Execution execution = Execution::kAutomatic);
  ~Decoder();

  const Model& model() const { return model_; }
  at::Device device() const { return device_; }
  void set_execution(Execution execution) { execution_ = execution; }

  // Hidden states after the final norm, one row a token of all runs in order: [tokens, hidden]. Fills the
  // cache. With `rows` (indices into the tokens of all runs, ascending) only these rows are returned, and the
  // last block computes no more than they need.
  at::Tensor Forward(const std::vector<TokenRun>& runs, KvCache& cache,
                     const std::vector<int64_t>& rows) const;
  // [n, hidden] -> [n, vocabulary]
  at::Tensor Logits(const at::Tensor& hidden) const;

 private:
  const Model& model_;
  at::Device device_;
  Execution execution_;
  at::Tensor cosines_, sines_;  // [context, head size / 2]
};

// Rotary angles of `positions` positions: cos and sin, fp32 [positions, head size / 2], computed in fp64.
std::pair<at::Tensor, at::Tensor> RotaryTables(const ModelConfig& config, int64_t positions);

}  // namespace tnb
