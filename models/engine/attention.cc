// Attention over the cache without copying it. Keys lie in panels of 32 slots and values by slot, so that
// both q · kᵀ and p · v are the panel multiplication of panel_kernels.h; every query row is computed in the
// order of its keys, whatever pieces (spans) they lie in and whatever other queries are computed with it.
#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "models/engine/ops.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

constexpr int64_t kPanel = kPanelRows;
constexpr int64_t kTileRows = 48;  // query rows (tokens x grouped heads) computed together

struct Tile {
  const AttentionRun* run;
  int64_t kv_head;
  int64_t first, count;  // queries of the run
};

struct Shape {
  int64_t heads, kv_heads, head_size, group;
  int64_t value_width;  // padded head size
  int64_t slots;        // a multiple of the panel
};

// The products of the queries with one panel of keys, for pieces that do not begin with it. The slots of
// several beams of one answer alternate, so that the next piece is often in the same panel.
struct HeldPanel {
  int64_t panel = -1;
  std::vector<float> products;  // [rows][32]
};

// scores[row][0, count) = queries · keys of the slots [slot, slot + count). `head_keys`: panels [head
// size][32]. Whole panels are written where they belong, also past the end, where the next slots or nobody
// follow. `held` belongs to these queries.
void ScoreSlots(const float* queries, int64_t rows, int64_t head_size, const float* head_keys, int64_t slot,
                int64_t count, float* scores, int64_t stride, HeldPanel& held) {
  for (int64_t done = 0; done < count;) {
    const int64_t lane = (slot + done) % kPanel, width = std::min(kPanel - lane, count - done);
    const int64_t index = (slot + done) / kPanel;
    const float* panel = head_keys + index * kPanel * head_size;
    if (width == kPanel) {
      kernels::MultiplyF32(panel, kPanel, queries, head_size, rows, head_size, scores + done, stride, false);
    } else {
      if (held.panel != index) {
        held.panel = index;
        held.products.resize(static_cast<size_t>(rows * kPanel));
        kernels::MultiplyF32(panel, kPanel, queries, head_size, rows, head_size, held.products.data(), kPanel,
                             false);
      }
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(held.products.data() + row * kPanel + lane, width, scores + row * stride + done);
      }
    }
    done += width;
  }
}

void ComputeTile(const Tile& tile, const Shape& shape, const float* q, const float* keys, const float* values,
                 int64_t window, float* out) {
  const int64_t rows = tile.count * shape.group;
  const auto& positions = tile.run->positions;
  int64_t end = 0, begin = INT64_MAX;
  for (int64_t i = tile.first; i < tile.first + tile.count; ++i) {
    end = std::max(end, positions[static_cast<size_t>(i)] + 1);
    begin = std::min(begin,
                     window > 0 ? std::max<int64_t>(0, positions[static_cast<size_t>(i)] + 1 - window) : 0);
  }
  const int64_t stride = (end - begin + kPanel - 1) / kPanel * kPanel + kPanel;
  thread_local std::vector<float> queries, scores, sums, inverses;
  thread_local HeldPanel held;
  held.panel = -1;
  queries.resize(static_cast<size_t>(rows * shape.head_size));
  scores.resize(static_cast<size_t>(rows * stride));
  sums.assign(static_cast<size_t>(rows * shape.value_width), 0.0F);
  inverses.resize(static_cast<size_t>(rows));

  const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_size));
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t query = tile.run->first_query + tile.first + row / shape.group;
    const float* from =
        q + (query * shape.heads + tile.kv_head * shape.group + row % shape.group) * shape.head_size;
    for (int64_t j = 0; j < shape.head_size; ++j)
      queries[static_cast<size_t>(row * shape.head_size + j)] = from[j] * scale;
  }

  // Keys [begin, end) of the run, piece by piece.
  const float* head_keys = keys + tile.kv_head * shape.head_size * shape.slots;
  int64_t logical = 0;
  for (const CacheSpan& span : tile.run->spans) {
    const int64_t from = std::max(begin, logical), to = std::min(end, logical + span.count);
    if (from < to) {
      ScoreSlots(queries.data(), rows, shape.head_size, head_keys, span.begin + from - logical, to - from,
                 scores.data() + (from - begin), stride, held);
    }
    logical += span.count;
  }

  for (int64_t row = 0; row < rows; ++row) {
    const int64_t position = positions[static_cast<size_t>(tile.first + row / shape.group)];
    const int64_t first = window > 0 ? std::max<int64_t>(0, position + 1 - window) : 0;
    inverses[static_cast<size_t>(row)] =
        kernels::SoftmaxRow(scores.data() + row * stride, first - begin, position - begin, end - begin);
  }

  const float* head_values = values + tile.kv_head * shape.slots * shape.value_width;
  logical = 0;
  bool accumulate = false;
  for (const CacheSpan& span : tile.run->spans) {
    const int64_t from = std::max(begin, logical), to = std::min(end, logical + span.count);
    if (from < to) {
      for (int64_t column = 0; column < shape.value_width; column += kPanel) {
        kernels::MultiplyF32(head_values + (span.begin + from - logical) * shape.value_width + column,
                             shape.value_width, scores.data() + (from - begin), stride, rows, to - from,
                             sums.data() + column, shape.value_width, accumulate);
      }
      accumulate = true;
    }
    logical += span.count;
  }

  for (int64_t row = 0; row < rows; ++row) {
    const int64_t query = tile.run->first_query + tile.first + row / shape.group;
    float* to =
        out + (query * shape.heads + tile.kv_head * shape.group + row % shape.group) * shape.head_size;
    for (int64_t j = 0; j < shape.head_size; ++j) {
      to[j] = sums[static_cast<size_t>(row * shape.value_width + j)] * inverses[static_cast<size_t>(row)];
    }
  }
}

// Keys as [panels, 32, kv heads, head size]: the slot first, in two indices.
at::Tensor KeysBySlot(const at::Tensor& keys) { return keys.permute({1, 3, 0, 2}); }
at::Tensor Panel(const at::Tensor& slots) { return at::floor_divide(slots, kPanel); }
at::Tensor Lane(const at::Tensor& slots) { return at::remainder(slots, kPanel); }

// The same with LibTorch's operators, run by run, for other devices.
at::Tensor AttentionAnywhere(const at::Tensor& q, const std::vector<AttentionRun>& runs,
                             const at::Tensor& keys, const at::Tensor& values, int64_t window) {
  const int64_t heads = q.size(1), head_size = q.size(2), kv_heads = keys.size(0), group = heads / kv_heads;
  at::Tensor out = at::empty({q.size(0), heads * head_size}, q.options());
  for (const AttentionRun& run : runs) {
    std::vector<int64_t> slots;
    for (const CacheSpan& span : run.spans) {
      for (int64_t i = 0; i < span.count; ++i) slots.push_back(span.begin + i);
    }
    const auto options = at::TensorOptions(at::kLong).device(q.device());
    const at::Tensor index = at::tensor(slots, options);
    const at::Tensor position = at::tensor(run.positions, options).unsqueeze(1);
    const int64_t count = position.size(0);
    const at::Tensor k =
        KeysBySlot(keys).index({Panel(index), Lane(index)}).permute({1, 2, 0});  // [kv, size, L]
    const at::Tensor v = values.index_select(1, index).narrow(2, 0, head_size);  // [kv, L, size]
    const at::Tensor mine = q.narrow(0, run.first_query, count)                  // [kv, count * group, size]
                                .reshape({count, kv_heads, group, head_size})
                                .permute({1, 0, 2, 3})
                                .reshape({kv_heads, count * group, head_size});
    at::Tensor scores = at::bmm(mine, k).div_(std::sqrt(static_cast<double>(head_size)));
    const at::Tensor key = at::arange(index.size(0), options).unsqueeze(0);
    at::Tensor hidden = key.gt(position);
    if (window > 0) hidden = hidden.logical_or(key.le(position - window));
    scores.masked_fill_(hidden.repeat_interleave(group, 0).unsqueeze(0), -INFINITY);
    const at::Tensor mixed = at::bmm(at::softmax(scores, -1), v);  // [kv, count * group, size]
    out.narrow(0, run.first_query, count)
        .copy_(mixed.reshape({kv_heads, count, group, head_size})
                   .permute({1, 0, 2, 3})
                   .reshape({count, heads * head_size}));
  }
  return out;
}

}  // namespace

void StoreKeysValues(const at::Tensor& k, const at::Tensor& v, const std::vector<int64_t>& slots,
                     at::Tensor& keys, at::Tensor& values) {
  const int64_t kv_heads = k.size(1), head_size = k.size(2);
  if (!k.is_cpu()) {
    const at::Tensor index = at::tensor(slots, at::TensorOptions(at::kLong).device(k.device()));
    KeysBySlot(keys).index_put_({Panel(index), Lane(index)}, k);
    values.narrow(2, 0, head_size).index_copy_(1, index, v.transpose(0, 1).contiguous());
    return;
  }
  const float* from_k = k.const_data_ptr<float>();
  const float* from_v = v.const_data_ptr<float>();
  float* to_k = keys.mutable_data_ptr<float>();
  float* to_v = values.mutable_data_ptr<float>();
  const int64_t cache_slots = values.size(1), value_width = values.size(2);
  ParallelFor(static_cast<int64_t>(slots.size()), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t slot = slots[static_cast<size_t>(i)];
      for (int64_t head = 0; head < kv_heads; ++head) {
        const int64_t row = (i * kv_heads + head) * head_size;
        std::copy_n(from_v + row, head_size, to_v + (head * cache_slots + slot) * value_width);
        float* key = to_k + (head * cache_slots + slot / kPanel * kPanel) * head_size + slot % kPanel;
        for (int64_t j = 0; j < head_size; ++j) key[j * kPanel] = from_k[row + j];
      }
    }
  });
}

at::Tensor Attention(const at::Tensor& q, const std::vector<AttentionRun>& runs, const at::Tensor& keys,
                     const at::Tensor& values, int64_t window) {
  if (!q.is_cpu()) return AttentionAnywhere(q, runs, keys, values, window);
  Shape shape;
  shape.heads = q.size(1);
  shape.head_size = q.size(2);
  shape.kv_heads = keys.size(0);
  shape.group = shape.heads / shape.kv_heads;
  shape.slots = values.size(1);
  shape.value_width = values.size(2);
  const int64_t tile_queries = std::max<int64_t>(1, kTileRows / shape.group);
  std::vector<Tile> tiles;
  for (const AttentionRun& run : runs) {
    const auto count = static_cast<int64_t>(run.positions.size());
    for (int64_t head = 0; head < shape.kv_heads; ++head) {
      for (int64_t first = 0; first < count; first += tile_queries) {
        tiles.push_back({&run, head, first, std::min(tile_queries, count - first)});
      }
    }
  }
  at::Tensor out = at::empty({q.size(0), shape.heads * shape.head_size}, q.options());
  const float* query = q.const_data_ptr<float>();
  const float* key = keys.const_data_ptr<float>();
  const float* value = values.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  // Tiles differ much in work, so that threads take them one by one.
  std::atomic<size_t> next{0};
  ParallelFor(std::min<int64_t>(Threads(), static_cast<int64_t>(tiles.size())), 1,
              [&](int64_t begin, int64_t end) {
                for (int64_t worker = begin; worker < end; ++worker) {
                  for (size_t i = next++; i < tiles.size(); i = next++)
                    ComputeTile(tiles[i], shape, query, key, value, window, to);
                }
              });
  return out;
}

}  // namespace tnb
