// Sparse layouts: how a matrix of which only some elements are stored lies in memory while computing. Two of
// them, of which the smaller is taken (sparse_weight.cc):
//   panels  a bitmap of all elements and the stored ones, in panels of 32 rows as in panel.h, column by
//           column: m n / 8 bytes of bitmap. Expanded to fp32 in registers or in the first-level cache.
//   rows    the stored elements row by row, each with its column in 16 bits, and where every row begins
//           (CSR): 2 bytes an element and 4 (m + 1). Multiplied without expanding, for a few percent.
// An element is a floating-point number, or an integer code whose scale and zero point belong to a row or to
// a group of its columns, stored or not.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/engine/panel_reader.h"
#include "models/engine/weight.h"

namespace tnb {

// A stored element: a number, or an integer code of 8 or 4 bits.
enum class SparseType { kF32, kBF16, kF16, kInt8, kInt4 };

// What the stored elements are.
struct SparseValues {
  SparseType type = SparseType::kF32;
  int64_t group = 0;  // integer types: columns that a scale covers; 0: the whole row
  at::Tensor scales;  // integer types: fp16 [rows, groups]
  at::Tensor zeros;   // uint8 [(rows * groups + 1) / 2], two in a byte; undefined: symmetric
  bool integer() const { return type == SparseType::kInt8 || type == SparseType::kInt4; }
  int64_t bits() const;  // of an element
  float ScaleAt(int64_t row, int64_t col) const;
  float ZeroAt(int64_t row, int64_t col) const;
};

// A sparse matrix taken apart.
struct SparseParts {
  at::Tensor kept;      // bool [rows, cols]: which elements are stored
  at::Tensor elements;  // [stored], by row, then by column: kFloat, kHalf, kBFloat16, or codes, a byte each
  SparseValues values;
};

class SparsePanels : public PanelReader {
 public:
  explicit SparsePanels(const SparseParts& parts);
  void ExpandPanel(int64_t panel, int64_t begin, int64_t end, float* out) const override;
  void MultiplyPanel(int64_t panel, const float* x, int64_t x_stride, int64_t n, float* y,
                     int64_t y_stride) const override;
  // `kept` and `elements` again.
  at::Tensor Kept() const;
  at::Tensor Elements() const;
  int64_t stored() const { return stored_; }

  // For the kernels. Elements of a panel begin at an even number, and 64 bytes follow the last.
  const SparseValues& values() const { return values_; }
  const uint32_t* masks(int64_t panel) const { return bitmap_.as<uint32_t>() + panel * cols_; }
  const void* elements() const { return data_.as<uint8_t>(); }
  // Scales and zero points of the rows of a panel in the group of a column, fp32 [32] each.
  void GroupOf(int64_t panel, int64_t col, float* scales, float* zeros) const;
  // Expands columns of a panel whose first stored element has this number; returns the number after the last.
  // The form for any processor; kernels::ExpandSparse gives the same bits.
  int64_t ExpandPlain(int64_t panel, int64_t begin, int64_t end, int64_t element, float* out) const;
  int64_t FirstElement(int64_t panel) const { return starts_[static_cast<size_t>(panel)]; }

 private:
  int64_t Expand(int64_t panel, int64_t begin, int64_t end, int64_t element, float* out) const;

  int64_t rows_, cols_, stored_ = 0;
  SparseValues values_;
  AlignedBuffer bitmap_;         // uint32 [panels][cols]: bit r of a column is row r of the panel
  AlignedBuffer data_;           // elements
  std::vector<int64_t> starts_;  // of every panel, its first element
};

class SparseRows {
 public:
  // Error{kInternal} for more columns than 16 bits can name.
  explicit SparseRows(const SparseParts& parts);
  // y[n, rows] = x[n, cols] · wᵀ.
  void Multiply(const float* x, int64_t x_stride, int64_t n, float* y, int64_t y_stride) const;
  at::Tensor Kept() const;
  at::Tensor Elements() const;
  at::Tensor Dense() const;  // fp32 [rows, cols]
  int64_t stored() const { return starts_.back(); }
  static constexpr int64_t kMostColumns = 1 << 16;

 private:
  void RowValues(int64_t row, float* out) const;

  int64_t rows_, cols_;
  SparseValues values_;
  std::vector<uint16_t> columns_;
  std::vector<int32_t> starts_;  // [rows + 1]
  at::Tensor elements_;          // as stored; 4-bit codes two in a byte
};

namespace kernels {

// The AVX-512 form of SparsePanels::Expand; nothing elsewhere.
bool HasExpand();
int64_t ExpandSparse(const SparsePanels& w, int64_t panel, int64_t begin, int64_t end, int64_t cols,
                     int64_t element, float* out);
// sums[n] = the sum of values[k] * x[columns[k]][n] over k in order; `n` is a multiple of 16, x [cols][n].
void GatherRow(const float* values, const uint16_t* columns, int64_t count, const float* x, int64_t n,
               float* sums);

}  // namespace kernels
}  // namespace tnb
