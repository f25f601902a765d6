// Panel layout: how weights lie in memory while computing.
//
// A matrix W [rows, cols] is cut into panels of kPanelRows rows; inside a panel the rows are
// interleaved, so that one vector load yields the same column(s) of many rows:
//   fp32, fp16   [cols][32]            one value a row
//   bf16         [cols/2][32][2]       pairs of columns, as the bf16 dot-product instruction wants
//   codes        planes of 8, 4, 2 or 1 bits, [cols/u][32][4 bytes] each; see below
// Rows are padded to a multiple of 32, columns to the unit; padding is zero and is not counted as stored.
//
// Codes of 2, 4 and 8 bits are one plane. Codes of 3, 5 and 6 bits are two: the low 2 or 4 bits, and the
// rest. A 32-bit word of a plane of p bits holds u = 32/p columns of a row: column j of them in byte j % 4
// from bit (j / 4) p on, so that a mask gives quadruples, as the int8 dot-product instruction wants. Scales
// of a panel lie as [groups][32]; integer zero points as [groups][bits] words whose bit r belongs to row r,
// which takes `bits` bits each whatever their number.
//
// Every kernel computes each output element with one accumulator (or one a group of columns) in the
// order of the columns. So a result depends neither on how many rows of x are given together nor on
// the number of threads, to the last bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/formats/elements.h"

namespace tnb {

inline constexpr int64_t kPanelRows = 32;

// Zero-initialized memory aligned to a cache line, straight from the system (so that untouched
// pages cost nothing and freed ones are given back) and in huge pages where it has them.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  ~AlignedBuffer();

  template <typename T>
  T* as() {
    return static_cast<T*>(data_);
  }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data_);
  }
  size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

enum class PanelType { kF32, kBF16, kF16, kCodes };
// What the multiplication does with its fp32 input: use it as it is, round it to bf16, or quantize it to int8
// (symmetric, scale absmax / 127) per 32 columns, per row, or per row with all inputs beyond kOutlier kept in
// fp32 (LLM.int8(), arXiv 2208.07339).
enum class Activation { kF32, kBF16, kInt8, kInt8Row, kInt8Outlier };
inline constexpr float kOutlier = 6.0F;
constexpr bool QuantizesInput(Activation activation) { return activation >= Activation::kInt8; }

// How scales are stored: as fp16, as fp32, or quantized once more (QLoRA's double quantization, arXiv
// 2305.14314): scale = DynamicMap()[code] * block + offset, one fp32 block for kScaleBlock scales counted row
// by row.
enum class ScaleType { kF16, kF32, kDouble };
inline constexpr int64_t kScaleBlock = 256;
// Zero points: one for all (symmetric), `bits`-bit integers, or fp16 numbers.
enum class ZeroType { kConstant, kInteger, kF16 };

// What codes mean: value = scale * (code - zero), or scale * levels[code].
struct CodeSpec {
  int bits = 8;       // 2, 3, 4, 5, 6 or 8
  int64_t group = 0;  // columns a scale covers, a multiple of 32; 0: the whole row
  ScaleType scales = ScaleType::kF16;
  ZeroType zeros = ZeroType::kConstant;
  int32_t zero_point = 0;  // kConstant
  float scale_offset = 0;  // kDouble
  bool levels = false;     // 4 bits only

  int64_t Groups(int64_t cols) const { return group == 0 ? 1 : (cols + group - 1) / group; }
  int low_bits() const { return bits == 8 ? 8 : bits >= 4 ? 4 : 2; }
  int high_bits() const { return bits - low_bits(); }
};

// A matrix in panel layout.
struct PanelMatrix {
  PanelType type = PanelType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  AlignedBuffer data;
  CodeSpec code;  // kCodes, as what follows
  AlignedBuffer scales;
  AlignedBuffer scale_blocks;  // kDouble
  AlignedBuffer zeros;         // kInteger, kF16
  AlignedBuffer levels;        // fp32 [16], or empty

  int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  int64_t groups() const { return code.Groups(cols); }
  size_t panel_bytes() const;
  // Bytes of a panel before its second plane.
  size_t low_plane_bytes() const;
};

PanelMatrix PackF32(const float* w, int64_t rows, int64_t cols);
PanelMatrix PackBF16(const uint16_t* w, int64_t rows, int64_t cols);
PanelMatrix PackF16(const uint16_t* w, int64_t rows, int64_t cols);
// Row-major arrays of codes and what turns them into values.
struct CodeArrays {
  const uint8_t* codes = nullptr;       // [rows, cols], one a byte
  const void* scales = nullptr;         // [rows, groups]: fp16 bits, fp32, or one byte each (kDouble)
  const float* scale_blocks = nullptr;  // kDouble: [rows * groups / kScaleBlock, rounded up]
  const void* zeros = nullptr;          // [rows, groups]: one byte each (kInteger) or fp16 bits
  const float* levels = nullptr;        // [16] when spec.levels
};
PanelMatrix PackCodes(const CodeSpec& spec, const CodeArrays& arrays, int64_t rows, int64_t cols);
// The inverses, row-major.
void UnpackBits16(const PanelMatrix& w, uint16_t* out);  // bf16 and fp16
// Arrays as those of CodeArrays; `zeros` may be null where there are none.
void UnpackCodes(const PanelMatrix& w, uint8_t* codes, void* scales, void* zeros);
// Rows [begin, end) as fp32, row-major, whatever the type.
void UnpackF32(const PanelMatrix& w, int64_t begin, int64_t end, float* out);

// One of several multiplications of the same input: y[n, rows] = x · wᵀ, row-major.
struct PanelProduct {
  const PanelMatrix* w = nullptr;
  float* y = nullptr;
  int64_t y_stride = 0;
};
// Multiplies x[n, cols], row-major with the given stride (in elements), with matrices of `cols` columns each:
// the input is prepared once, and the panels of all are one piece of parallel work. Threads as set for
// LibTorch. Int8 activations need codes with fp16 scales and without levels; kBF16 activations need kBF16.
void PanelMatmul(std::span<const PanelProduct> products, Activation activation, const float* x,
                 int64_t x_stride, int64_t n);
inline void PanelMatmul(const PanelMatrix& w, Activation activation, const float* x, int64_t x_stride,
                        int64_t n, float* y, int64_t y_stride) {
  const PanelProduct product{&w, y, y_stride};
  PanelMatmul({&product, 1}, activation, x, x_stride, n);
}
// The same with a plain row-major fp32 matrix.
void DenseMatmul(const float* w, int64_t rows, int64_t cols, const float* x, int64_t x_stride, int64_t n,
                 float* y, int64_t y_stride);

uint16_t FloatToBF16(float value);
float BF16ToFloat(uint16_t bits);

}  // namespace tnb
