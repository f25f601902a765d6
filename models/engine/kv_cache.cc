#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "models/engine/decoder.h"
#include "models/engine/ops.h"
#include "models/engine/panel.h"
#include "models/engine/parallel.h"

namespace tnb {

KvCache::KvCache(const ModelConfig& config, int64_t capacity, at::Device device, CacheCodecPtr codec)
    : capacity_(capacity), free_(capacity), free_spans_{{0, capacity}}, codec_(std::move(codec)) {
  if (codec_ && !device.is_cpu()) {
    throw Error(ErrorKind::kUnsupported,
                {"a key-value cache in another format than fp32 is computed on the CPU only", "cpu",
                 device.str(), "", "use --device cpu, or leave the stage for the cache out"});
  }
  const int64_t panels = (capacity + kPanelRows - 1) / kPanelRows;
  const int64_t width = (config.head_size + kPanelRows - 1) / kPanelRows * kPanelRows;
  for (int64_t i = 0; codec_ && i < config.block_count; ++i) {
    stored_.push_back(at::zeros({capacity, config.kv_head_count, codec_->bytes()}, at::kByte));
  }
  for (int64_t i = 0; i < (codec_ ? 1 : config.block_count); ++i) {
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

void KvCache::Store(int64_t block, const at::Tensor& k, const at::Tensor& v,
                    const std::vector<int64_t>& slots) {
  if (!codec_) {
    return StoreKeysValues(k, v, slots, keys_[static_cast<size_t>(block)],
                           values_[static_cast<size_t>(block)]);
  }
  const int64_t heads = k.size(1), size = k.size(2), bytes = codec_->bytes();
  const at::Tensor all_keys = k.contiguous(), all_values = v.contiguous();
  const float* key = all_keys.const_data_ptr<float>();
  const float* value = all_values.const_data_ptr<float>();
  uint8_t* out = stored_[static_cast<size_t>(block)].mutable_data_ptr<uint8_t>();
  ParallelFor(static_cast<int64_t>(slots.size()), 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t head = 0; head < heads; ++head) {
        const int64_t row = (i * heads + head) * size;
        codec_->Encode(block, head, key + row, value + row,
                       out + (slots[static_cast<size_t>(i)] * heads + head) * bytes);
      }
    }
  });
}

KvCache::Opened KvCache::Open(int64_t block, const std::vector<AttentionRun>& runs) {
  if (!codec_) return {keys_[static_cast<size_t>(block)], values_[static_cast<size_t>(block)]};
  // Runs share prefixes: every slot is decoded once.
  std::vector<bool> wanted(static_cast<size_t>(capacity_), false);
  std::vector<int64_t> slots;
  for (const AttentionRun& run : runs) {
    for (const CacheSpan& span : run.spans) {
      for (int64_t slot = span.begin; slot < span.begin + span.count; ++slot) {
        if (wanted[static_cast<size_t>(slot)]) continue;
        wanted[static_cast<size_t>(slot)] = true;
        slots.push_back(slot);
      }
    }
  }
  const int64_t heads = keys_[0].size(0), size = keys_[0].size(2), bytes = codec_->bytes();
  const int64_t cache_slots = values_[0].size(1), width = values_[0].size(2);
  const uint8_t* in = stored_[static_cast<size_t>(block)].const_data_ptr<uint8_t>();
  float* to_keys = keys_[0].mutable_data_ptr<float>();
  float* to_values = values_[0].mutable_data_ptr<float>();
  ParallelFor(static_cast<int64_t>(slots.size()), 16, [&](int64_t begin, int64_t end) {
    std::vector<float> key(static_cast<size_t>(size));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t slot = slots[static_cast<size_t>(i)];
      for (int64_t head = 0; head < heads; ++head) {
        codec_->Decode(block, head, in + (slot * heads + head) * bytes, key.data(),
                       to_values + (head * cache_slots + slot) * width);
        float* column =
            to_keys + (head * cache_slots + slot / kPanelRows * kPanelRows) * size + slot % kPanelRows;
        for (int64_t j = 0; j < size; ++j) column[j * kPanelRows] = key[static_cast<size_t>(j)];
      }
    }
  });
  return {keys_[0], values_[0]};
}

int64_t KvCache::token_bytes() const {
  if (codec_) return static_cast<int64_t>(stored_.size()) * keys_[0].size(0) * codec_->bytes();
  int64_t bytes = 0;
  for (const at::Tensor& keys : keys_) bytes += 2 * keys.size(0) * keys.size(2) * 4;
  return bytes;
}

int64_t CacheTokenBytes(const ModelConfig& config, const CacheCodecPtr& codec) {
  return config.block_count * config.kv_head_count * (codec ? codec->bytes() : 2 * 4 * config.head_size);
}

}  // namespace tnb
