// Elements by rows (CSR): for matrices of which a few percent are stored.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "models/engine/parallel.h"
#include "models/engine/sparse.h"
#include "models/engine/weight_parts.h"

#undef HWY_TARGET_INCLUDE
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#define HWY_TARGET_INCLUDE "models/engine/sparse_rows.cc"
// foreach_target.h must come first, the others after it.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tnb::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(DF()));

template <int kVectors>
HWY_INLINE void GatherTile(const float* HWY_RESTRICT values, const uint16_t* HWY_RESTRICT columns,
                           int64_t count, const float* HWY_RESTRICT x, int64_t n, float* HWY_RESTRICT sums) {
  const DF d;
  hn::Vec<DF> sum[kVectors];
  for (int v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  for (int64_t k = 0; k < count; ++k) {
    const auto value = hn::Set(d, values[k]);
    const float* from = x + static_cast<int64_t>(columns[k]) * n;
    for (int v = 0; v < kVectors; ++v) sum[v] = hn::MulAdd(value, hn::LoadU(d, from + v * kLanes), sum[v]);
  }
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[v], d, sums + v * kLanes);
}

void GatherRow(const float* values, const uint16_t* columns, int64_t count, const float* x, int64_t n,
               float* sums) {
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) GatherTile<4>(values, columns, count, x + i, n, sums + i);
  for (; i < n; i += kLanes) GatherTile<1>(values, columns, count, x + i, n, sums + i);
}

}  // namespace tnb::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tnb {

namespace kernels {

HWY_EXPORT(GatherRow);
void GatherRow(const float* values, const uint16_t* columns, int64_t count, const float* x, int64_t n,
               float* sums) {
  HWY_DYNAMIC_DISPATCH(GatherRow)(values, columns, count, x, n, sums);
}

}  // namespace kernels

SparseRows::SparseRows(const SparseParts& parts)
    : rows_(parts.kept.size(0)), cols_(parts.kept.size(1)), values_(parts.values) {
  if (cols_ > kMostColumns || parts.elements.numel() > INT32_MAX) {
    throw Error(ErrorKind::kInternal, "a matrix is too large for sparse rows");
  }
  const at::Tensor kept = parts.kept.contiguous();
  const bool* stored = kept.const_data_ptr<bool>();
  columns_.reserve(static_cast<size_t>(parts.elements.numel()));
  starts_.push_back(0);
  for (int64_t r = 0; r < rows_; ++r) {
    for (int64_t c = 0; c < cols_; ++c) {
      if (stored[r * cols_ + c]) columns_.push_back(static_cast<uint16_t>(c));
    }
    starts_.push_back(static_cast<int32_t>(columns_.size()));
  }
  elements_ = values_.type == SparseType::kInt4 ? PackBits(parts.elements, 4) : parts.elements.contiguous();
}

at::Tensor SparseRows::Kept() const {
  at::Tensor kept = at::zeros({rows_, cols_}, at::kBool);
  bool* out = kept.mutable_data_ptr<bool>();
  for (int64_t r = 0; r < rows_; ++r) {
    for (int32_t k = starts_[static_cast<size_t>(r)]; k < starts_[static_cast<size_t>(r) + 1]; ++k) {
      out[r * cols_ + columns_[static_cast<size_t>(k)]] = true;
    }
  }
  return kept;
}

at::Tensor SparseRows::Elements() const {
  return values_.type == SparseType::kInt4 ? UnpackBits(elements_, 4, stored()) : elements_;
}

void SparseRows::RowValues(int64_t row, float* out) const {
  const int32_t begin = starts_[static_cast<size_t>(row)], end = starts_[static_cast<size_t>(row) + 1];
  const void* data = elements_.const_data_ptr();
  for (int32_t k = begin; k < end; ++k, ++out) {
    switch (values_.type) {
      case SparseType::kF32:
        *out = static_cast<const float*>(data)[k];
        break;
      case SparseType::kF16:
        *out = static_cast<float>(static_cast<const c10::Half*>(data)[k]);
        break;
      case SparseType::kBF16:
        *out = BF16ToFloat(static_cast<const uint16_t*>(data)[k]);
        break;
      case SparseType::kInt8:
      case SparseType::kInt4: {
        const auto* codes = static_cast<const uint8_t*>(data);
        const int code = values_.type == SparseType::kInt8 ? codes[k]
                         : k % 2 == 0                      ? codes[k / 2] & 15
                                                           : codes[k / 2] >> 4;
        const int64_t col = columns_[static_cast<size_t>(k)];
        *out = values_.ScaleAt(row, col) * (static_cast<float>(code) - values_.ZeroAt(row, col));
        break;
      }
    }
  }
}

at::Tensor SparseRows::Dense() const {
  at::Tensor dense = at::zeros({rows_, cols_}, at::kFloat);
  float* out = dense.mutable_data_ptr<float>();
  std::vector<float> values(static_cast<size_t>(cols_));
  for (int64_t r = 0; r < rows_; ++r) {
    RowValues(r, values.data());
    const int32_t begin = starts_[static_cast<size_t>(r)];
    for (int32_t k = begin; k < starts_[static_cast<size_t>(r) + 1]; ++k) {
      out[r * cols_ + columns_[static_cast<size_t>(k)]] = values[static_cast<size_t>(k - begin)];
    }
  }
  return dense;
}

void SparseRows::Multiply(const float* x, int64_t x_stride, int64_t n, float* y, int64_t y_stride) const {
  constexpr int64_t kPad = 16;
  const int64_t width = (n + kPad - 1) / kPad * kPad;
  // Columns of x lie together, so that an element meets all rows of x at once.
  thread_local std::vector<float> memory;
  memory.assign(static_cast<size_t>(cols_ * width), 0.0F);
  float* const turned = memory.data();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < cols_; ++c) turned[c * width + i] = x[i * x_stride + c];
  }
  const int64_t a_row = std::max<int64_t>(1, stored() / std::max<int64_t>(1, rows_)) * width;
  ParallelFor(rows_, std::max<int64_t>(1, (1 << 17) / a_row), [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(cols_)), sums(static_cast<size_t>(width));
    for (int64_t r = begin; r < end; ++r) {
      RowValues(r, values.data());
      const int32_t first = starts_[static_cast<size_t>(r)];
      kernels::GatherRow(values.data(), columns_.data() + first, starts_[static_cast<size_t>(r) + 1] - first,
                         turned, width, sums.data());
      for (int64_t i = 0; i < n; ++i) y[i * y_stride + r] = sums[static_cast<size_t>(i)];
    }
  });
}

}  // namespace tnb
#endif
