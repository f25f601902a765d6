// Cuts multiplications into panels, spreads them over threads, and prepares the input once.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <tuple>
#include <vector>

#include "models/engine/panel.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/panel_reader.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

// Up to so many rows of x a multiplication waits for the weights: they are read once, in one go.
constexpr int64_t kFewRows = 8;
// With more rows it computes pieces of so many columns, so that a piece of a panel (128 kB) stays in the
// second- level cache while all rows pass by. Shorter ones, for the first level, were slower: every piece
// loads and stores all results once more.
constexpr int64_t kPieceF32 = 1024, kPieceBF16 = 2048;

// Panels below which a thread is not worth waking: about 10 microseconds of work, of which few rows spend
// most on reading the weights.
int64_t Grain(int64_t cols, int64_t n) {
  constexpr int64_t kWorthwhile = 1 << 19;
  return std::max<int64_t>(1, kWorthwhile / std::max<int64_t>(1, kPanelRows * cols * (n + kFewRows)));
}

struct Result {
  int64_t rows;
  float* y;
  int64_t y_stride;
  int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

// The panels of several results, one after the other.
struct Place {
  size_t result;
  int64_t panel;
};

Place Find(std::span<const Result> results, int64_t index) {
  size_t i = 0;
  for (; index >= results[i].panels(); ++i) index -= results[i].panels();
  return {i, index};
}

// Calls multiply(result, panel, begin, end, y, y_stride) for all panels of all results and all pieces of the
// columns, in order for each panel. A panel that is not full goes through a buffer of whole rows.
template <typename Multiply>
void ForEachPanel(std::span<const Result> results, int64_t cols, int64_t piece, int64_t n,
                  const Multiply& multiply) {
  int64_t panels = 0;
  for (const Result& result : results) panels += result.panels();
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t k = 0; k < cols; k += piece) {
      Place at = Find(results, begin);
      for (int64_t i = begin; i < end; ++i) {
        const Result& result = results[at.result];
        if ((at.panel + 1) * kPanelRows <= result.rows) {
          multiply(at.result, at.panel, k, std::min(k + piece, cols), result.y + at.panel * kPanelRows,
                   result.y_stride);
        } else if (k == 0) {
          std::vector<float> whole(static_cast<size_t>(n * kPanelRows));
          for (int64_t p = 0; p < cols; p += piece) {
            multiply(at.result, at.panel, p, std::min(p + piece, cols), whole.data(), kPanelRows);
          }
          const int64_t width = result.rows - at.panel * kPanelRows;
          float* out = result.y + at.panel * kPanelRows;
          for (int64_t row = 0; row < n; ++row) {
            std::copy_n(whole.data() + row * kPanelRows, width, out + row * result.y_stride);
          }
        }
        if (++at.panel == result.panels()) at = {at.result + 1, 0};
      }
    }
  };
  const int64_t grain = Grain(cols, n), workers = std::min<int64_t>(Threads(), panels / grain);
  // Few rows read the weights, each thread one stretch of them.
  if (n <= kFewRows || workers <= 1) return ParallelFor(panels, grain, run);
  // Many rows compute, and threads take shares as they go: one that is held up does not hold up the others.
  const int64_t share = std::max<int64_t>(1, panels / (8 * workers));
  std::atomic<int64_t> next{0};
  ParallelFor(workers, 1, [&](int64_t, int64_t) {
    for (int64_t begin = next.fetch_add(share); begin < panels; begin = next.fetch_add(share)) {
      run(begin, std::min(begin + share, panels));
    }
  });
}

// With fp32 input; expand(result, panel, begin, end, out) fills a piece of a panel as fp32.
template <typename Expand>
void MultiplyExpanded(std::span<const Result> results, int64_t cols, const float* x, int64_t x_stride,
                      int64_t n, const Expand& expand) {
  ForEachPanel(results, cols, kPieceF32, n,
               [&](size_t i, int64_t panel, int64_t begin, int64_t end, float* y, int64_t y_stride) {
                 thread_local std::vector<float> buffer;
                 buffer.resize(static_cast<size_t>(std::min(cols, kPieceF32) * kPanelRows));
                 expand(i, panel, begin, end, buffer.data());
                 kernels::MultiplyF32(buffer.data(), kPanelRows, x + begin, x_stride, n, end - begin, y,
                                      y_stride, begin > 0);
               });
}

void MultiplyFloat(std::span<const PanelProduct> products, std::span<const Result> results, const float* x,
                   int64_t x_stride, int64_t n) {
  const int64_t cols = products[0].w->cols;
  if (n <= kFewRows) {
    return ForEachPanel(results, cols, cols, n,
                        [&](size_t i, int64_t panel, int64_t, int64_t, float* y, int64_t y_stride) {
                          kernels::MultiplyConverted(*products[i].w, panel, x, x_stride, n, y, y_stride);
                        });
  }
  const auto is_float = [](const PanelProduct& product) { return product.w->type == PanelType::kF32; };
  if (!std::all_of(products.begin(), products.end(), is_float)) {
    return MultiplyExpanded(results, cols, x, x_stride, n,
                            [&](size_t i, int64_t panel, int64_t begin, int64_t end, float* out) {
                              kernels::ExpandPanel(*products[i].w, panel, begin, end, out);
                            });
  }
  ForEachPanel(results, cols, kPieceF32, n,
               [&](size_t i, int64_t panel, int64_t begin, int64_t end, float* y, int64_t y_stride) {
                 const float* data = products[i].w->data.as<float>() + (panel * cols + begin) * kPanelRows;
                 kernels::MultiplyF32(data, kPanelRows, x + begin, x_stride, n, end - begin, y, y_stride,
                                      begin > 0);
               });
}

// The memory of a prepared input, kept by every thread that multiplies.
template <typename T>
T* Prepared(int64_t count) {
  thread_local std::vector<T> memory;
  if (memory.size() < static_cast<size_t>(count)) memory.resize(static_cast<size_t>(count));
  return memory.data();
}

// An input that is multiplied in fp32 while the others of its row are quantized.
struct Outlier {
  int64_t column, row;
  float value;
};

// Moves inputs beyond kOutlier out of x[n, cols], by column.
std::vector<Outlier> TakeOutliers(float* x, int64_t cols, int64_t n) {
  std::vector<Outlier> outliers;
  for (int64_t i = 0; i < n * cols; ++i) {
    if (std::abs(x[i]) <= kOutlier) continue;
    outliers.push_back({i % cols, i / cols, x[i]});
    x[i] = 0;
  }
  std::sort(outliers.begin(), outliers.end(), [](const Outlier& a, const Outlier& b) {
    return std::tie(a.column, a.row) < std::tie(b.column, b.row);
  });
  return outliers;
}

// y[n, 32] += outliers · panelᵀ
void AddOutliers(const PanelMatrix& w, int64_t panel, std::span<const Outlier> outliers, float* y,
                 int64_t y_stride) {
  constexpr int64_t kColumns = 16;
  alignas(64) float columns[kColumns * kPanelRows];
  int64_t expanded = -1;
  for (const Outlier& outlier : outliers) {
    if (outlier.column / kColumns != expanded) {
      expanded = outlier.column / kColumns;
      const int64_t begin = expanded * kColumns;
      kernels::ExpandPanel(w, panel, begin, std::min(begin + kColumns, w.cols), columns);
    }
    const float* weights = columns + outlier.column % kColumns * kPanelRows;
    float* out = y + outlier.row * y_stride;
    for (int64_t r = 0; r < kPanelRows; ++r) out[r] += outlier.value * weights[r];
  }
}

void MultiplyQuantized(std::span<const PanelProduct> products, std::span<const Result> results,
                       Activation activation, const float* x, int64_t x_stride, int64_t n) {
  const int64_t cols = products[0].w->cols, groups = (cols + 31) / 32;
  std::vector<float> rest;
  std::vector<Outlier> outliers;
  if (activation == Activation::kInt8Outlier) {
    rest.resize(static_cast<size_t>(n * cols));
    for (int64_t i = 0; i < n; ++i) std::copy_n(x + i * x_stride, cols, rest.data() + i * cols);
    outliers = TakeOutliers(rest.data(), cols, n);
    x = rest.data();
    x_stride = cols;
  }
  int8_t* const codes = Prepared<int8_t>(n * groups * 32);
  float* const scales = Prepared<float>(n * groups);
  int32_t* const minus_sums = Prepared<int32_t>(n * groups);
  ParallelFor(n, std::max<int64_t>(1, (1 << 16) / cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels::QuantizeInput(x + i * x_stride, cols, activation != Activation::kInt8, codes + i * groups * 32,
                             scales + i * groups, minus_sums + i * groups);
    }
  });
  const kernels::QuantizedInput input{codes, scales, minus_sums, groups * 32, groups};
  ForEachPanel(results, cols, cols, n,
               [&](size_t i, int64_t panel, int64_t, int64_t, float* y, int64_t y_stride) {
                 kernels::MultiplyInteger(*products[i].w, panel, input, n, y, y_stride);
                 AddOutliers(*products[i].w, panel, outliers, y, y_stride);
               });
}

void MultiplyRounded(std::span<const PanelProduct> products, std::span<const Result> results, const float* x,
                     int64_t x_stride, int64_t n) {
  const int64_t cols = products[0].w->cols, stride = (cols + 1) / 2 * 2;
  uint16_t* const rounded = Prepared<uint16_t>(n * stride);
  ParallelFor(n, std::max<int64_t>(1, (1 << 16) / cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels::RoundToBF16(x + i * x_stride, cols, rounded + i * stride);
      if (stride > cols) rounded[i * stride + cols] = 0;
    }
  });
  if (!kernels::HasBF16Dot()) {
    std::vector<float> widened(static_cast<size_t>(n * stride));
    std::transform(rounded, rounded + n * stride, widened.begin(), BF16ToFloat);
    return MultiplyFloat(products, results, widened.data(), stride, n);
  }
  ForEachPanel(results, cols, n <= kFewRows ? cols : kPieceBF16, n,
               [&](size_t i, int64_t panel, int64_t begin, int64_t end, float* y, int64_t y_stride) {
                 kernels::MultiplyBF16(*products[i].w, panel, begin, end, rounded, stride, n, y, y_stride,
                                       begin > 0);
               });
}

}  // namespace

void PanelMatmul(std::span<const PanelProduct> products, Activation activation, const float* x,
                 int64_t x_stride, int64_t n) {
  if (n == 0 || products.empty()) return;
  constexpr size_t kMost = 8;  // q, k, v are three
  if (products.size() > kMost) {
    PanelMatmul(products.first(kMost), activation, x, x_stride, n);
    return PanelMatmul(products.subspan(kMost), activation, x, x_stride, n);
  }
  Result memory[kMost];
  for (size_t i = 0; i < products.size(); ++i) {
    memory[i] = {products[i].w->rows, products[i].y, products[i].y_stride};
  }
  const std::span<const Result> results(memory, products.size());
  switch (activation) {
    case Activation::kInt8:
    case Activation::kInt8Row:
    case Activation::kInt8Outlier:
      return MultiplyQuantized(products, results, activation, x, x_stride, n);
    case Activation::kBF16:
      return MultiplyRounded(products, results, x, x_stride, n);
    case Activation::kF32:
      return MultiplyFloat(products, results, x, x_stride, n);
  }
}

void DenseMatmul(const float* w, int64_t rows, int64_t cols, const float* x, int64_t x_stride, int64_t n,
                 float* y, int64_t y_stride) {
  const Result result{rows, y, y_stride};
  MultiplyExpanded({&result, 1}, cols, x, x_stride, n,
                   [&](size_t, int64_t panel, int64_t begin, int64_t end, float* out) {
                     const int64_t width = std::min(kPanelRows, rows - panel * kPanelRows);
                     if (width < kPanelRows) std::fill_n(out, (end - begin) * kPanelRows, 0.0F);
                     for (int64_t r = 0; r < width; ++r) {
                       const float* row = w + (panel * kPanelRows + r) * cols;
                       for (int64_t k = begin; k < end; ++k) out[(k - begin) * kPanelRows + r] = row[k];
                     }
                   });
}

void ReaderMatmul(const PanelReader& w, int64_t rows, int64_t cols, const float* x, int64_t x_stride,
                  int64_t n, float* y, int64_t y_stride) {
  if (n == 0) return;
  const Result result{rows, y, y_stride};
  if (n <= kFewRows) {
    return ForEachPanel({&result, 1}, cols, cols, n,
                        [&](size_t, int64_t panel, int64_t, int64_t, float* out, int64_t stride) {
                          w.MultiplyPanel(panel, x, x_stride, n, out, stride);
                        });
  }
  MultiplyExpanded({&result, 1}, cols, x, x_stride, n,
                   [&](size_t, int64_t panel, int64_t begin, int64_t end, float* out) {
                     w.ExpandPanel(panel, begin, end, out);
                   });
}

void ReaderUnpack(const PanelReader& w, int64_t begin, int64_t end, int64_t cols, float* out) {
  const int64_t first = begin / kPanelRows, panels = (end - begin + kPanelRows - 1) / kPanelRows;
  ParallelFor(panels, 4, [&](int64_t from, int64_t to) {
    std::vector<float> piece(static_cast<size_t>(std::min(cols, kPieceF32) * kPanelRows));
    for (int64_t i = from; i < to; ++i) {
      const int64_t width = std::min(kPanelRows, end - begin - i * kPanelRows);
      for (int64_t k = 0; k < cols; k += kPieceF32) {
        const int64_t columns = std::min(kPieceF32, cols - k);
        w.ExpandPanel(first + i, k, k + columns, piece.data());
        for (int64_t r = 0; r < width; ++r) {
          float* row = out + (i * kPanelRows + r) * cols + k;
          for (int64_t c = 0; c < columns; ++c) row[c] = piece[static_cast<size_t>(c * kPanelRows + r)];
        }
      }
    }
  });
}

}  // namespace tnb
