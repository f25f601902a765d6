#include "models/engine/panel.h"

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstring>

#include "models/engine/panel_codes.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"

namespace tnb {

uint16_t FloatToBF16(float value) { return c10::detail::round_to_nearest_even(value); }
float BF16ToFloat(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

namespace {

// Columns that one unit of the layout of numbers interleaves.
int64_t Unit(PanelType type) { return type == PanelType::kBF16 ? 2 : 1; }

size_t PlaneBytes(int64_t cols, int bits) {
  const int64_t columns = 32 / bits;  // in a word
  return static_cast<size_t>((cols + columns - 1) / columns * kPanelRows * 4);
}

PanelMatrix Empty(PanelType type, int64_t rows, int64_t cols) {
  PanelMatrix w;
  w.type = type;
  w.rows = rows;
  w.cols = cols;
  w.data = AlignedBuffer(w.panel_bytes() * static_cast<size_t>(w.panels()));
  return w;
}

}  // namespace

size_t PanelMatrix::low_plane_bytes() const { return PlaneBytes(cols, code.low_bits()); }

size_t PanelMatrix::panel_bytes() const {
  if (type == PanelType::kCodes) {
    return low_plane_bytes() + (code.high_bits() > 0 ? PlaneBytes(cols, code.high_bits()) : 0);
  }
  const size_t element = type == PanelType::kF32 ? 4 : 2;
  return static_cast<size_t>((cols + Unit(type) - 1) / Unit(type) * Unit(type) * kPanelRows) * element;
}

PanelMatrix PackF32(const float* source, int64_t rows, int64_t cols) {
  PanelMatrix w = Empty(PanelType::kF32, rows, cols);
  float* data = w.data.as<float>();
  for (int64_t r = 0; r < rows; ++r) {
    float* out = data + (r / kPanelRows) * cols * kPanelRows + r % kPanelRows;
    for (int64_t c = 0; c < cols; ++c) out[c * kPanelRows] = source[r * cols + c];
  }
  return w;
}

PanelMatrix PackBF16(const uint16_t* source, int64_t rows, int64_t cols) {
  PanelMatrix w = Empty(PanelType::kBF16, rows, cols);
  uint16_t* data = w.data.as<uint16_t>();
  const int64_t pairs = (cols + 1) / 2;
  for (int64_t r = 0; r < rows; ++r) {
    uint16_t* out = data + (r / kPanelRows) * pairs * kPanelRows * 2 + (r % kPanelRows) * 2;
    for (int64_t c = 0; c < cols; ++c) out[(c / 2) * kPanelRows * 2 + c % 2] = source[r * cols + c];
  }
  return w;
}

PanelMatrix PackF16(const uint16_t* source, int64_t rows, int64_t cols) {
  PanelMatrix w = Empty(PanelType::kF16, rows, cols);
  uint16_t* data = w.data.as<uint16_t>();
  for (int64_t r = 0; r < rows; ++r) {
    uint16_t* out = data + (r / kPanelRows) * cols * kPanelRows + r % kPanelRows;
    for (int64_t c = 0; c < cols; ++c) out[c * kPanelRows] = source[r * cols + c];
  }
  return w;
}

void UnpackBits16(const PanelMatrix& w, uint16_t* out) {
  const bool pairs = w.type == PanelType::kBF16;
  const uint16_t* data = w.data.as<uint16_t>();
  const int64_t stride = pairs ? (w.cols + 1) / 2 * 2 : w.cols;
  for (int64_t r = 0; r < w.rows; ++r) {
    const uint16_t* panel = data + (r / kPanelRows) * stride * kPanelRows;
    const int64_t lane = r % kPanelRows;
    for (int64_t c = 0; c < w.cols; ++c) {
      out[r * w.cols + c] =
          pairs ? panel[(c / 2) * kPanelRows * 2 + lane * 2 + c % 2] : panel[c * kPanelRows + lane];
    }
  }
}

namespace {

// Row by row: for single rows, as of an embedding.
void UnpackRows(const PanelMatrix& w, int64_t begin, int64_t end, float* out) {
  for (int64_t r = begin; r < end; ++r, out += w.cols) {
    const int64_t panel = r / kPanelRows;
    const int64_t lane = r % kPanelRows;
    switch (w.type) {
      case PanelType::kF32: {
        const float* data = w.data.as<float>() + panel * w.cols * kPanelRows + lane;
        for (int64_t c = 0; c < w.cols; ++c) out[c] = data[c * kPanelRows];
        break;
      }
      case PanelType::kF16: {
        const uint16_t* data = w.data.as<uint16_t>() + panel * w.cols * kPanelRows + lane;
        for (int64_t c = 0; c < w.cols; ++c) out[c] = HalfToFloat(data[c * kPanelRows]);
        break;
      }
      case PanelType::kBF16: {
        const uint16_t* data = w.data.as<uint16_t>() + panel * ((w.cols + 1) / 2 * 2) * kPanelRows + lane * 2;
        for (int64_t c = 0; c < w.cols; ++c) out[c] = BF16ToFloat(data[(c / 2) * kPanelRows * 2 + c % 2]);
        break;
      }
      case PanelType::kCodes:
        UnpackCodeRow(w, r, out);
        break;
    }
  }
}

// The whole panel through the vector kernels, turned into rows piece by piece.
void UnpackPanel(const PanelMatrix& w, int64_t panel, int64_t width, float* out) {
  constexpr int64_t kPiece = 64;
  alignas(64) float piece[kPiece * kPanelRows];
  for (int64_t begin = 0; begin < w.cols; begin += kPiece) {
    const int64_t end = std::min(begin + kPiece, w.cols);
    kernels::ExpandPanel(w, panel, begin, end, piece);
    for (int64_t r = 0; r < width; ++r) {
      float* row = out + r * w.cols + begin;
      for (int64_t c = 0; c < end - begin; ++c) row[c] = piece[c * kPanelRows + r];
    }
  }
}

}  // namespace

void UnpackF32(const PanelMatrix& w, int64_t begin, int64_t end, float* out) {
  if (begin % kPanelRows != 0 || end - begin < kPanelRows) return UnpackRows(w, begin, end, out);
  const int64_t first = begin / kPanelRows, panels = (end - begin + kPanelRows - 1) / kPanelRows;
  ParallelFor(panels, 4, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      UnpackPanel(w, first + i, std::min(kPanelRows, end - begin - i * kPanelRows),
                  out + i * kPanelRows * w.cols);
    }
  });
}

}  // namespace tnb
