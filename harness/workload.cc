#include "harness/workload.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/stopwatch.h"

namespace tnb {
namespace {

// Waits for the device and keeps the computation from being left out.
void Use(const at::Tensor& logits) { logits.argmax(-1).item<int64_t>(); }

}  // namespace

Workload::Workload(const Model& model, at::Device device, int64_t seed, int64_t capacity)
    : decoder_(model, device),
      cache_(model.config, std::min<int64_t>(model.config.context_length, capacity), device, model.cache) {
  std::mt19937_64 random(static_cast<uint64_t>(seed));
  std::uniform_int_distribution<TokenId> any(0, static_cast<TokenId>(model.config.vocabulary_size - 1));
  tokens_.resize(static_cast<size_t>(cache_.capacity()));
  for (TokenId& token : tokens_) token = any(random);
}

double Workload::Prefill(int64_t depth, int64_t count, Execution execution) {
  Before(depth, count);
  decoder_.set_execution(execution);
  const auto start = Clock::now();
  Use(Feed(depth, count));
  const double seconds = SecondsSince(start);
  Clear();
  return seconds;
}

double Workload::Decode(int64_t depth, int64_t count, Execution execution) {
  Before(depth, count);
  decoder_.set_execution(execution);
  const auto start = Clock::now();
  for (int64_t i = 0; i < count; ++i) Use(Feed(depth + i, 1));
  const double seconds = SecondsSince(start);
  Clear();
  return seconds;
}

void Workload::Before(int64_t depth, int64_t count) {
  decoder_.set_execution(Execution::kAutomatic);
  if (kept_depth_ != depth && (depth > 0 || cache_.free_slots() < count)) {
    cache_.Release(std::exchange(kept_, {}));
    kept_depth_ = 0;
  }
  if (depth == 0) return;
  if (kept_depth_ == 0) {
    Use(Feed(0, depth));
    kept_ = past_;
    kept_depth_ = depth;
    taken_.clear();
  }
  past_ = kept_;
}

at::Tensor Workload::Feed(int64_t begin, int64_t count) {
  const std::vector<CacheSpan> own = cache_.Allocate(count);
  TokenRun run;
  run.tokens.assign(tokens_.begin() + begin, tokens_.begin() + begin + count);
  run.past = past_;
  run.own = own;
  const at::Tensor logits = decoder_.Logits(decoder_.Forward({run}, cache_, {count - 1}));
  for (const CacheSpan& span : own) {
    taken_.push_back(span);
    if (!past_.empty() && past_.back().begin + past_.back().count == span.begin) {
      past_.back().count += span.count;
    } else {
      past_.push_back(span);
    }
  }
  return logits;
}

void Workload::Clear() {
  cache_.Release(std::exchange(taken_, {}));
  past_.clear();
}

}  // namespace tnb
