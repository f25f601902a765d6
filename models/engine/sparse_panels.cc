#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "models/engine/panel_kernels.h"
#include "models/engine/sparse.h"
#include "models/engine/weight_parts.h"
#include "models/formats/elements.h"

namespace tnb {
namespace {

int64_t GroupIndex(const SparseValues& values, int64_t row, int64_t col) {
  return row * values.scales.size(1) + (values.group == 0 ? 0 : col / values.group);
}

// Calls with(get) where get(data, i) is element i as fp32, a code as its number.
template <typename With>
auto WithElement(SparseType type, const With& with) {
  switch (type) {
    case SparseType::kF16:
      return with(
          [](const void* data, int64_t i) { return HalfToFloat(static_cast<const uint16_t*>(data)[i]); });
    case SparseType::kBF16:
      return with(
          [](const void* data, int64_t i) { return BF16ToFloat(static_cast<const uint16_t*>(data)[i]); });
    case SparseType::kInt8:
      return with([](const void* data, int64_t i) {
        return static_cast<float>(static_cast<const uint8_t*>(data)[i]);
      });
    case SparseType::kInt4:
      return with([](const void* data, int64_t i) {
        const uint8_t byte = static_cast<const uint8_t*>(data)[i / 2];
        return static_cast<float>(i % 2 == 0 ? byte & 15 : byte >> 4);
      });
    default:
      return with([](const void* data, int64_t i) { return static_cast<const float*>(data)[i]; });
  }
}

}  // namespace

int64_t SparseValues::bits() const {
  switch (type) {
    case SparseType::kF32:
      return 32;
    case SparseType::kInt8:
      return 8;
    case SparseType::kInt4:
      return 4;
    default:
      return 16;
  }
}

float SparseValues::ScaleAt(int64_t row, int64_t col) const {
  return HalfToFloat(static_cast<const uint16_t*>(scales.const_data_ptr())[GroupIndex(*this, row, col)]);
}

float SparseValues::ZeroAt(int64_t row, int64_t col) const {
  if (!zeros.defined()) return type == SparseType::kInt8 ? 128.0F : 8.0F;
  const int64_t index = GroupIndex(*this, row, col);
  const uint8_t byte = zeros.const_data_ptr<uint8_t>()[index / 2];
  return static_cast<float>(index % 2 == 0 ? byte & 15 : byte >> 4);
}

SparsePanels::SparsePanels(const SparseParts& parts)
    : rows_(parts.kept.size(0)), cols_(parts.kept.size(1)), values_(parts.values) {
  const int64_t panels = (rows_ + kPanelRows - 1) / kPanelRows;
  bitmap_ = AlignedBuffer(static_cast<size_t>(panels * cols_) * sizeof(uint32_t));
  const at::Tensor kept = parts.kept.contiguous(), elements = parts.elements.contiguous();
  stored_ = elements.numel();
  const bool* stored = kept.const_data_ptr<bool>();
  // The number of every row's first element, in the order by rows.
  std::vector<int64_t> next(static_cast<size_t>(rows_) + 1, 0);
  for (int64_t r = 0; r < rows_; ++r) {
    next[static_cast<size_t>(r) + 1] =
        next[static_cast<size_t>(r)] + std::count(stored + r * cols_, stored + (r + 1) * cols_, true);
  }
  int64_t total = 0;
  for (int64_t panel = 0; panel < panels; ++panel) {
    const int64_t end = std::min(rows_, (panel + 1) * kPanelRows);
    starts_.push_back(total);
    total += next[static_cast<size_t>(end)] - next[static_cast<size_t>(panel * kPanelRows)];
    total += total % 2;
  }
  constexpr size_t kReadAhead = 64;  // what a vector load may read past the last element
  data_ = AlignedBuffer(static_cast<size_t>(total * values_.bits() + 7) / 8 + kReadAhead);
  const size_t bytes = values_.type == SparseType::kInt4 ? 1 : static_cast<size_t>(values_.bits() / 8);
  const auto* from = static_cast<const uint8_t*>(elements.const_data_ptr());
  auto* to = data_.as<uint8_t>();
  auto* masks = bitmap_.as<uint32_t>();
  for (int64_t panel = 0; panel < panels; ++panel) {
    int64_t element = starts_[static_cast<size_t>(panel)];
    for (int64_t c = 0; c < cols_; ++c) {
      uint32_t mask = 0;
      for (int64_t r = panel * kPanelRows; r < std::min(rows_, (panel + 1) * kPanelRows); ++r) {
        if (!stored[r * cols_ + c]) continue;
        mask |= uint32_t{1} << (r % kPanelRows);
        const uint8_t* one = from + static_cast<size_t>(next[static_cast<size_t>(r)]++) * bytes;
        if (values_.type == SparseType::kInt4) {
          uint8_t& byte = to[element / 2];
          byte = static_cast<uint8_t>(byte | (*one << (element % 2 == 0 ? 0 : 4)));
        } else {
          std::memcpy(to + static_cast<size_t>(element) * bytes, one, bytes);
        }
        ++element;
      }
      masks[panel * cols_ + c] = mask;
    }
  }
}

at::Tensor SparsePanels::Kept() const {
  at::Tensor kept = at::empty({rows_, cols_}, at::kBool);
  bool* out = kept.mutable_data_ptr<bool>();
  for (int64_t r = 0; r < rows_; ++r) {
    const uint32_t* column = masks(r / kPanelRows);
    for (int64_t c = 0; c < cols_; ++c) out[r * cols_ + c] = (column[c] >> (r % kPanelRows) & 1) != 0;
  }
  return kept;
}

at::Tensor SparsePanels::Elements() const {
  static const std::pair<SparseType, at::ScalarType> kTypes[] = {
      {SparseType::kF32, at::kFloat}, {SparseType::kF16, at::kHalf}, {SparseType::kBF16, at::kBFloat16}};
  at::ScalarType dtype = at::kByte;
  for (const auto& [type, name] : kTypes) {
    if (type == values_.type) dtype = name;
  }
  at::Tensor elements = at::empty({stored_}, dtype);
  const size_t bytes = c10::elementSize(dtype);
  auto* to = static_cast<uint8_t*>(elements.mutable_data_ptr());
  const auto* from = data_.as<uint8_t>();
  // Row after row: where each row of a panel goes on is counted from the masks.
  int64_t first = 0;  // element of the output where the panel's rows begin
  for (size_t panel = 0; panel < starts_.size(); ++panel) {
    const uint32_t* column = masks(static_cast<int64_t>(panel));
    int64_t next[kPanelRows] = {}, counts[kPanelRows] = {};
    for (int64_t c = 0; c < cols_; ++c) {
      for (uint32_t mask = column[c]; mask != 0; mask &= mask - 1) ++counts[std::countr_zero(mask)];
    }
    for (int64_t r = 0; r < kPanelRows; ++r) {
      next[r] = first;
      first += counts[r];
    }
    int64_t element = starts_[panel];
    for (int64_t c = 0; c < cols_; ++c) {
      for (uint32_t mask = column[c]; mask != 0; mask &= mask - 1, ++element) {
        uint8_t* out = to + static_cast<size_t>(next[std::countr_zero(mask)]++) * bytes;
        if (values_.type == SparseType::kInt4) {
          const uint8_t byte = from[element / 2];
          *out = element % 2 == 0 ? byte & 15 : static_cast<uint8_t>(byte >> 4);
        } else {
          std::memcpy(out, from + static_cast<size_t>(element) * bytes, bytes);
        }
      }
    }
  }
  return elements;
}

void SparsePanels::GroupOf(int64_t panel, int64_t col, float* scales, float* zeros) const {
  std::fill_n(scales, kPanelRows, 0.0F);
  std::fill_n(zeros, kPanelRows, 0.0F);
  for (int64_t r = 0; r < std::min(kPanelRows, rows_ - panel * kPanelRows); ++r) {
    scales[r] = values_.ScaleAt(panel * kPanelRows + r, col);
    zeros[r] = values_.ZeroAt(panel * kPanelRows + r, col);
  }
}

int64_t SparsePanels::Expand(int64_t panel, int64_t begin, int64_t end, int64_t element, float* out) const {
  static const bool has_expand = kernels::HasExpand();
  return has_expand ? kernels::ExpandSparse(*this, panel, begin, end, cols_, element, out)
                    : ExpandPlain(panel, begin, end, element, out);
}

int64_t SparsePanels::ExpandPlain(int64_t panel, int64_t begin, int64_t end, int64_t element,
                                  float* out) const {
  const uint32_t* column = masks(panel);
  float scales[kPanelRows], zeros[kPanelRows];
  const int64_t group = values_.group == 0 ? cols_ : values_.group;
  return WithElement(values_.type, [&](const auto& get) {
    for (int64_t c = begin; c < end; ++c, out += kPanelRows) {
      if (values_.integer() && (c == begin || c % group == 0)) GroupOf(panel, c, scales, zeros);
      std::fill_n(out, kPanelRows, 0.0F);
      for (uint32_t mask = column[c]; mask != 0; mask &= mask - 1, ++element) {
        const int lane = std::countr_zero(mask);
        const float value = get(elements(), element);
        out[lane] = values_.integer() ? scales[lane] * (value - zeros[lane]) : value;
      }
    }
    return element;
  });
}

void SparsePanels::ExpandPanel(int64_t panel, int64_t begin, int64_t end, float* out) const {
  int64_t element = starts_[static_cast<size_t>(panel)];
  const uint32_t* column = masks(panel);
  for (int64_t c = 0; c < begin; ++c) element += std::popcount(column[c]);
  Expand(panel, begin, end, element, out);
}

void SparsePanels::MultiplyPanel(int64_t panel, const float* x, int64_t x_stride, int64_t n, float* y,
                                 int64_t y_stride) const {
  constexpr int64_t kPiece = 128;  // 16 kB of fp32: stays in the first-level cache
  alignas(64) float piece[kPiece * kPanelRows];
  int64_t element = starts_[static_cast<size_t>(panel)];
  for (int64_t begin = 0; begin < cols_; begin += kPiece) {
    const int64_t end = std::min(begin + kPiece, cols_);
    element = Expand(panel, begin, end, element, piece);
    kernels::MultiplyF32(piece, kPanelRows, x + begin, x_stride, n, end - begin, y, y_stride, begin > 0);
  }
}

}  // namespace tnb
