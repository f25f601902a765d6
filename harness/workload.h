// What speed is measured with: a decoder fed with random token ids (speed does not depend on them) of a fixed
// seed.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/engine/decoder.h"

namespace tnb {

class Workload {
 public:
  // A cache for `capacity` tokens, at most the model's context.
  Workload(const Model& model, at::Device device, int64_t seed, int64_t capacity = 1024);

  bool Fits(int64_t tokens) const { return tokens <= cache_.capacity(); }
  // Seconds for `count` tokens in one piece after `depth` others, with the logits of the last one.
  double Prefill(int64_t depth, int64_t count, Execution execution);
  // Seconds for `count` tokens one by one after `depth` others, with the logits of each. What comes before is
  // not part of the time, always computed in the automatic way, and kept until another depth is asked for.
  double Decode(int64_t depth, int64_t count, Execution execution);

 private:
  // Logits of the last of `count` tokens from position `begin` on.
  at::Tensor Feed(int64_t begin, int64_t count);
  void Before(int64_t depth, int64_t count);
  void Clear();

  Decoder decoder_;
  KvCache cache_;
  TokenIds tokens_;
  std::vector<CacheSpan> kept_, past_,
      taken_;  // what comes before; what is attended to; what was added to it
  int64_t kept_depth_ = 0;
};

}  // namespace tnb
