// Cuts multiplications into panels, spreads them over threads, and prepares the input once.
#include <algorithm>
#include <vector>

#include "models/engine/panel.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

// Columns expanded at a time: a short piece that stays in the first-level cache when there are few rows to
// use it, a long one that amortizes writing back the sums when there are many.
int64_t PieceColumns(int64_t n) { return n <= 8 ? 64 : 1024; }

// Panels below which a thread is not worth waking: about 20 microseconds of work.
int64_t Grain(int64_t cols, int64_t n) {
  constexpr int64_t kWorthwhile = 1 << 19;
  return std::max<int64_t>(1, kWorthwhile / std::max<int64_t>(1, kPanelRows * cols * n));
}

// Runs multiply(panel, y, y_stride) for every panel; the last panel, when it is not full, goes through a
// buffer of whole rows.
template <typename Multiply>
void ForEachPanel(int64_t rows, int64_t cols, int64_t n, float* y, int64_t y_stride,
                  const Multiply& multiply) {
  const int64_t panels = (rows + kPanelRows - 1) / kPanelRows;
  ParallelFor(panels, Grain(cols, n), [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t width = std::min(kPanelRows, rows - panel * kPanelRows);
      float* out = y + panel * kPanelRows;
      if (width == kPanelRows) {
        multiply(panel, out, y_stride);
        continue;
      }
      std::vector<float> whole(static_cast<size_t>(n * kPanelRows));
      multiply(panel, whole.data(), kPanelRows);
      for (int64_t i = 0; i < n; ++i) {
        std::copy_n(whole.data() + i * kPanelRows, width, out + i * y_stride);
      }
    }
  });
}

// Expand(panel, begin, end, out) fills a piece of a panel as fp32.
template <typename Expand>
void MultiplyExpanded(int64_t rows, int64_t cols, const float* x, int64_t x_stride, int64_t n, float* y,
                      int64_t y_stride, const Expand& expand) {
  const int64_t piece = PieceColumns(n);
  ForEachPanel(rows, cols, n, y, y_stride, [&](int64_t panel, float* out, int64_t out_stride) {
    thread_local std::vector<float> buffer;
    buffer.resize(static_cast<size_t>(std::min(piece, cols + 8) * kPanelRows));
    for (int64_t k = 0; k < cols; k += piece) {
      const int64_t end = std::min(k + piece, cols);
      expand(panel, k, end, buffer.data());
      kernels::MultiplyF32(buffer.data(), kPanelRows, x + k, x_stride, n, end - k, out, out_stride, k > 0);
    }
  });
}

void MultiplyQuantized(const PanelMatrix& w, const float* x, int64_t x_stride, int64_t n, float* y,
                       int64_t y_stride) {
  const int64_t groups = (w.cols + 31) / 32;
  thread_local std::vector<int8_t> codes;
  thread_local std::vector<float> scales;
  thread_local std::vector<int32_t> sums;
  codes.resize(static_cast<size_t>(n * groups * 32));
  scales.resize(static_cast<size_t>(n * groups));
  sums.resize(static_cast<size_t>(n * groups));
  // Thread-local names would mean another thread's vectors inside the lambda.
  int8_t* const all_codes = codes.data();
  float* const all_scales = scales.data();
  int32_t* const all_sums = sums.data();
  ParallelFor(n, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels::QuantizeInput(x + i * x_stride, w.cols, all_codes + i * groups * 32, all_scales + i * groups,
                             all_sums + i * groups);
    }
  });
  const kernels::QuantizedInput input{all_codes, all_scales, all_sums, groups * 32, groups};
  ForEachPanel(w.rows, w.cols, n, y, y_stride, [&](int64_t panel, float* out, int64_t out_stride) {
    kernels::MultiplyInteger(w, panel, input, n, out, out_stride);
  });
}

void MultiplyRounded(const PanelMatrix& w, const float* x, int64_t x_stride, int64_t n, float* y,
                     int64_t y_stride) {
  const int64_t pairs = (w.cols + 1) / 2;
  if (kernels::HasBF16Dot()) {
    thread_local std::vector<uint16_t> rounded;
    rounded.assign(static_cast<size_t>(n * pairs * 2), 0);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < w.cols; ++k) {
        rounded[static_cast<size_t>(i * pairs * 2 + k)] = FloatToBF16(x[i * x_stride + k]);
      }
    }
    const uint16_t* const input = rounded.data();
    ForEachPanel(w.rows, w.cols, n, y, y_stride, [&](int64_t panel, float* out, int64_t out_stride) {
      kernels::MultiplyBF16(w, panel, input, pairs, n, out, out_stride);
    });
    return;
  }
  std::vector<float> rounded(static_cast<size_t>(n * w.cols));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < w.cols; ++k) {
      rounded[static_cast<size_t>(i * w.cols + k)] = BF16ToFloat(FloatToBF16(x[i * x_stride + k]));
    }
  }
  PanelMatmul(w, Activation::kF32, rounded.data(), w.cols, n, y, y_stride);
}

}  // namespace

void PanelMatmul(const PanelMatrix& w, Activation activation, const float* x, int64_t x_stride, int64_t n,
                 float* y, int64_t y_stride) {
  if (n == 0) return;
  if (activation == Activation::kInt8) return MultiplyQuantized(w, x, x_stride, n, y, y_stride);
  if (activation == Activation::kBF16) return MultiplyRounded(w, x, x_stride, n, y, y_stride);
  if (w.type == PanelType::kF32) {
    ForEachPanel(w.rows, w.cols, n, y, y_stride, [&](int64_t panel, float* out, int64_t out_stride) {
      const float* data = w.data.as<float>() + panel * w.cols * kPanelRows;
      const int64_t piece = PieceColumns(n) == 64 ? w.cols : 1024;
      for (int64_t k = 0; k < w.cols; k += piece) {
        kernels::MultiplyF32(data + k * kPanelRows, kPanelRows, x + k, x_stride, n,
                             std::min(piece, w.cols - k), out, out_stride, k > 0);
      }
    });
    return;
  }
  MultiplyExpanded(w.rows, w.cols, x, x_stride, n, y, y_stride,
                   [&](int64_t panel, int64_t begin, int64_t end, float* out) {
                     kernels::ExpandPanel(w, panel, begin, end, out);
                   });
}

void DenseMatmul(const float* w, int64_t rows, int64_t cols, const float* x, int64_t x_stride, int64_t n,
                 float* y, int64_t y_stride) {
  MultiplyExpanded(rows, cols, x, x_stride, n, y, y_stride,
                   [&](int64_t panel, int64_t begin, int64_t end, float* out) {
                     const int64_t width = std::min(kPanelRows, rows - panel * kPanelRows);
                     if (width < kPanelRows) std::fill_n(out, (end - begin) * kPanelRows, 0.0F);
                     for (int64_t r = 0; r < width; ++r) {
                       const float* row = w + (panel * kPanelRows + r) * cols;
                       for (int64_t k = begin; k < end; ++k) out[(k - begin) * kPanelRows + r] = row[k];
                     }
                   });
}

}  // namespace tnb
