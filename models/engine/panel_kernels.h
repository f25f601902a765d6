// The inner kernels of panel.h, one call per panel (or piece of one); panel_matmul.cc cuts the work and
// spreads it over threads. Chosen at run time: Highway targets (AVX-512, AVX2, NEON, ...), and AVX-512 VNNI /
// BF16 where the processor has them.
#pragma once

#include <cstdint>

#include "models/engine/panel.h"

namespace tnb::kernels {

// y[n, 32] (+)= x[n, depth] · b[depth, 32]; `accumulate` adds to what y holds. Strides in elements.
void MultiplyF32(const float* b, int64_t b_stride, const float* x, int64_t x_stride, int64_t n, int64_t depth,
                 float* y, int64_t y_stride, bool accumulate);

// Columns [begin, end) of a panel of any type as fp32 [end - begin][32]; begin is a multiple of 16.
void ExpandPanel(const PanelMatrix& w, int64_t panel, int64_t begin, int64_t end, float* out);

// y[n, 32] = fp32 x · panelᵀ for few rows: the weights become fp32 in registers. The same bits as ExpandPanel
// and MultiplyF32.
void MultiplyConverted(const PanelMatrix& w, int64_t panel, const float* x, int64_t x_stride, int64_t n,
                       float* y, int64_t y_stride);

// Input quantized per 32 columns or per row (the same scale everywhere): codes [n][padded columns], scales
// and negated sums of codes [n][groups of 32]; a zero point times such a sum is what the zero point takes
// from a product.
struct QuantizedInput {
  const int8_t* codes;
  const float* scales;
  const int32_t* minus_sums;
  int64_t padded;  // columns, a multiple of 32
  int64_t groups;  // padded / 32
};
void QuantizeInput(const float* x, int64_t cols, bool whole_row, int8_t* codes, float* scales,
                   int32_t* minus_sums);

// y[n, 32] = quantized x · panelᵀ of codes with fp16 scales and without levels.
void MultiplyInteger(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                     int64_t y_stride);

// Rounds to the nearest bf16, halves to even; NaN stays NaN.
void RoundToBF16(const float* x, int64_t count, uint16_t* out);
// y[n, 32] (+)= x · panelᵀ over the columns [begin, end), bf16 x bf16 with fp32 sums; begin is even. x: bf16
// bits [n][x_stride], from column 0 on, an odd last column followed by a zero.
bool HasBF16Dot();
void MultiplyBF16(const PanelMatrix& w, int64_t panel, int64_t begin, int64_t end, const uint16_t* x,
                  int64_t x_stride, int64_t n, float* y, int64_t y_stride, bool accumulate);

}  // namespace tnb::kernels
