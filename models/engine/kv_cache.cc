#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "models/engine/decoder.h"
#include "models/engine/panel.h"

namespace tnb {

KvCache::KvCache(const ModelConfig& config, int64_t capacity, at::Device device)
    : capacity_(capacity), free_(capacity), free_spans_{{0, capacity}} {
  const int64_t panels = (capacity + kPanelRows - 1) / kPanelRows;
  const int64_t width = (config.head_size + kPanelRows - 1) / kPanelRows * kPanelRows;
  for (int64_t i = 0; i < config.block_count; ++i) {
    keys_.push_back(at::zeros({config.kv_head_count, panels, config.head_size, kPanelRows},
                              at::TensorOptions(at::kFloat).device(device)));
    values_.push_back(at::zeros({config.kv_head_count, panels * kPanelRows, width},
                                at::TensorOptions(at::kFloat).device(device)));
  }
}

std::vector<CacheSpan> KvCache::Allocate(int64_t count) {
  if (count > free_) throw Error(ErrorKind::kInternal, "the key-value cache is full");
  free_ -= count;
  // The first gap that is large enough, else pieces of the first gaps.
  for (CacheSpan& gap : free_spans_) {
    if (gap.count < count) continue;
    const CacheSpan span{gap.begin, count};
    gap.begin += count;
    gap.count -= count;
    return {span};
  }
  std::vector<CacheSpan> spans;
  for (CacheSpan& gap : free_spans_) {
    const int64_t part = std::min(gap.count, count);
    if (part > 0) spans.push_back({gap.begin, part});
    gap.begin += part;
    gap.count -= part;
    count -= part;
    if (count == 0) break;
  }
  return spans;
}

void KvCache::Release(const std::vector<CacheSpan>& spans) {
  for (const CacheSpan& span : spans) {
    free_ += span.count;
    free_spans_.push_back(span);
  }
  std::sort(free_spans_.begin(), free_spans_.end(),
            [](const CacheSpan& a, const CacheSpan& b) { return a.begin < b.begin; });
  std::vector<CacheSpan> merged;
  for (const CacheSpan& span : free_spans_) {
    if (span.count == 0) continue;
    if (!merged.empty() && merged.back().begin + merged.back().count == span.begin) {
      merged.back().count += span.count;
    } else {
      merged.push_back(span);
    }
  }
  free_spans_ = std::move(merged);
}

int64_t KvCache::token_bytes() const {
  int64_t bytes = 0;
  for (size_t i = 0; i < keys_.size(); ++i) {
    bytes += keys_[i].size(0) * (keys_[i].size(2) + values_[i].size(2)) * 4;
  }
  return bytes;
}

}  // namespace tnb
