// A matrix in a layout of its own that is multiplied like one in panels (panel.h): it only says how a piece
// of a panel becomes fp32. Sparse and codebook weights are such.
#pragma once

#include <cstdint>

namespace tnb {

class PanelReader {
 public:
  virtual ~PanelReader() = default;
  // Rows [32 panel, 32 panel + 32) and columns [begin, end) as fp32 [end - begin][32]; rows past the last are
  // 0. `begin` is a multiple of 1024.
  virtual void ExpandPanel(int64_t panel, int64_t begin, int64_t end, float* out) const = 0;
  // y[n, 32] = x · panelᵀ for up to 8 rows of x, each result with one accumulator in the order of the
  // columns.
  virtual void MultiplyPanel(int64_t panel, const float* x, int64_t x_stride, int64_t n, float* y,
                             int64_t y_stride) const = 0;
};

// y[n, rows] = x[n, cols] · wᵀ. Up to 8 rows of x go through MultiplyPanel; for more, every piece of a panel
// is expanded once and meets all of them. The bits of a result do not depend on n or on the threads.
void ReaderMatmul(const PanelReader& w, int64_t rows, int64_t cols, const float* x, int64_t x_stride,
                  int64_t n, float* y, int64_t y_stride);
// Rows [begin, end), begin a multiple of 32, as fp32 [end - begin, cols], row-major.
void ReaderUnpack(const PanelReader& w, int64_t begin, int64_t end, int64_t cols, float* out);

}  // namespace tnb
