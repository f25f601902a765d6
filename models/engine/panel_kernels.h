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

// Columns [begin, end) of a panel of any type as fp32 [end - begin][32]; begin is a multiple of 8.
void ExpandPanel(const PanelMatrix& w, int64_t panel, int64_t begin, int64_t end, float* out);

// Input quantized per 32 columns: codes [n][padded columns], scales and sums of codes [n][groups of 32].
struct QuantizedInput {
  const int8_t* codes;
  const float* scales;
  const int32_t* sums;
  int64_t padded;  // columns, a multiple of 32
  int64_t groups;  // padded / 32
};
void QuantizeInput(const float* x, int64_t cols, int8_t* codes, float* scales, int32_t* sums);

// y[n, 32] = quantized x · integer panelᵀ.
void MultiplyInteger(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                     int64_t y_stride);

// bf16 x bf16 with fp32 sums; x: bf16 bits [n][2 * pairs].
bool HasBF16Dot();
void MultiplyBF16(const PanelMatrix& w, int64_t panel, const uint16_t* x, int64_t pairs, int64_t n, float* y,
                  int64_t y_stride);

}  // namespace tnb::kernels
