// Panel layout: how weights lie in memory while computing.
//
// A matrix W [rows, cols] is cut into panels of kPanelRows rows; inside a panel the rows are
// interleaved, so that one vector load yields the same column(s) of many rows:
//   fp32, fp16   [cols][32]            one value a row
//   bf16         [cols/2][32][2]       pairs of columns, as the bf16 dot-product instruction wants
//   8-bit codes  [cols/4][32][4]       quadruples, as the int8 dot-product instruction wants
//   4-bit codes  [cols/8][32][4]       byte j: column 8c+j in the low, 8c+4+j in the high nibble
// Rows are padded to a multiple of 32, columns to the unit; padding is zero and is not counted as
// stored. Scales of a panel lie as [groups][32] fp16, 4-bit zero points as [groups][16 bytes].
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

enum class PanelType { kF32, kBF16, kF16, kInt8, kInt4 };
// What the multiplication does with its fp32 input: use it as it is, round it to bf16, or quantize
// it per 32 columns to int8 (symmetric, scale absmax / 127).
enum class Activation { kF32, kBF16, kInt8 };

// A matrix in panel layout. Integer types: value = scale * (code - zero); group 0 means one scale a row.
struct PanelMatrix {
  PanelType type = PanelType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group = 0;       // integer types: columns a scale covers; 0: the whole row
  int32_t zero_point = 0;  // symmetric integer types: code that means 0 (128 or 8)
  AlignedBuffer data;
  AlignedBuffer scales;  // fp16
  AlignedBuffer zeros;   // 4 bits each, asymmetric only; else empty

  int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  int64_t groups() const { return group == 0 ? 1 : (cols + group - 1) / group; }
  size_t panel_bytes() const;
};

PanelMatrix PackF32(const float* w, int64_t rows, int64_t cols);
PanelMatrix PackBF16(const uint16_t* w, int64_t rows, int64_t cols);
PanelMatrix PackF16(const uint16_t* w, int64_t rows, int64_t cols);
// codes: one byte each, row-major. scales: fp16 bits [rows, groups]. zeros: one byte each [rows, groups],
// or nullptr for symmetric codes around `zero_point`.
PanelMatrix PackInteger(int bits, const uint8_t* codes, const uint16_t* scales, const uint8_t* zeros,
                        int32_t zero_point, int64_t group, int64_t rows, int64_t cols);
// The inverses, row-major.
void UnpackBits16(const PanelMatrix& w, uint16_t* out);  // bf16 and fp16
void UnpackCodes(const PanelMatrix& w, uint8_t* codes, uint16_t* scales, uint8_t* zeros);
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
// LibTorch. kInt8 activations need integer types; kBF16 activations need kBF16.
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

uint16_t FloatToHalf(float value);
uint16_t FloatToBF16(float value);
float BF16ToFloat(uint16_t bits);

}  // namespace tnb
