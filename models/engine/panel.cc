#include "models/engine/panel.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cstring>

#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"
#include "models/formats/elements.h"

namespace tnb {

uint16_t FloatToHalf(float value) { return c10::detail::fp16_ieee_from_fp32_value(value); }
uint16_t FloatToBF16(float value) { return c10::detail::round_to_nearest_even(value); }
float BF16ToFloat(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

namespace {

// Columns that one unit of the layout interleaves.
int64_t Unit(PanelType type) {
  switch (type) {
    case PanelType::kBF16:
      return 2;
    case PanelType::kInt8:
      return 4;
    case PanelType::kInt4:
      return 8;
    default:
      return 1;
  }
}

// Bytes of one unit of all rows of a panel.
size_t UnitBytes(PanelType type) {
  switch (type) {
    case PanelType::kF16:
      return 2 * kPanelRows;
    default:
      return 4 * kPanelRows;
  }
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

size_t PanelMatrix::panel_bytes() const {
  const int64_t unit = Unit(type);
  return static_cast<size_t>((cols + unit - 1) / unit) * UnitBytes(type);
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

PanelMatrix PackInteger(int bits, const uint8_t* codes, const uint16_t* scales, const uint8_t* zeros,
                        int32_t zero_point, int64_t group, int64_t rows, int64_t cols) {
  PanelMatrix w = Empty(bits == 8 ? PanelType::kInt8 : PanelType::kInt4, rows, cols);
  w.group = group;
  w.zero_point = zero_point;
  const int64_t groups = w.groups();
  w.scales = AlignedBuffer(static_cast<size_t>(w.panels() * groups * kPanelRows) * 2);
  if (zeros != nullptr) w.zeros = AlignedBuffer(static_cast<size_t>(w.panels() * groups * kPanelRows) / 2);
  const size_t panel_bytes = w.panel_bytes();
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t panel = r / kPanelRows;
    const int64_t lane = r % kPanelRows;
    uint8_t* out = w.data.as<uint8_t>() + static_cast<size_t>(panel) * panel_bytes + lane * 4;
    for (int64_t c = 0; c < cols; ++c) {
      const uint8_t code = codes[r * cols + c];
      if (bits == 8) {
        out[(c / 4) * kPanelRows * 4 + c % 4] = code;
      } else {
        uint8_t& byte = out[(c / 8) * kPanelRows * 4 + c % 4];
        byte = static_cast<uint8_t>(byte | (code << (c % 8 < 4 ? 0 : 4)));
      }
    }
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t at = (panel * groups + g) * kPanelRows + lane;
      w.scales.as<uint16_t>()[at] = scales[r * groups + g];
      if (zeros != nullptr) {
        uint8_t& byte = w.zeros.as<uint8_t>()[at / 2];
        byte = static_cast<uint8_t>(byte | (zeros[r * groups + g] << (at % 2 == 0 ? 0 : 4)));
      }
    }
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

uint8_t CodeAt(const PanelMatrix& w, int64_t row, int64_t col) {
  const uint8_t* panel = w.data.as<uint8_t>() + static_cast<size_t>(row / kPanelRows) * w.panel_bytes();
  const int64_t lane = (row % kPanelRows) * 4;
  if (w.type == PanelType::kInt8) return panel[(col / 4) * kPanelRows * 4 + lane + col % 4];
  const uint8_t byte = panel[(col / 8) * kPanelRows * 4 + lane + col % 4];
  return col % 8 < 4 ? byte & 15 : byte >> 4;
}

int64_t GroupIndex(const PanelMatrix& w, int64_t row, int64_t group) {
  return (row / kPanelRows * w.groups() + group) * kPanelRows + row % kPanelRows;
}

uint8_t ZeroAt(const PanelMatrix& w, int64_t index) {
  const uint8_t byte = w.zeros.as<uint8_t>()[index / 2];
  return index % 2 == 0 ? byte & 15 : byte >> 4;
}

}  // namespace

void UnpackCodes(const PanelMatrix& w, uint8_t* codes, uint16_t* scales, uint8_t* zeros) {
  for (int64_t r = 0; r < w.rows; ++r) {
    for (int64_t c = 0; c < w.cols; ++c) codes[r * w.cols + c] = CodeAt(w, r, c);
    for (int64_t g = 0; g < w.groups(); ++g) {
      const int64_t index = GroupIndex(w, r, g);
      scales[r * w.groups() + g] = w.scales.as<uint16_t>()[index];
      if (zeros != nullptr && w.zeros.size() > 0) zeros[r * w.groups() + g] = ZeroAt(w, index);
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
      case PanelType::kInt8:
      case PanelType::kInt4: {
        const int64_t group = w.group == 0 ? w.cols : w.group;
        for (int64_t c = 0; c < w.cols; ++c) {
          const int64_t index = GroupIndex(w, r, c / group);
          const int32_t zero = w.zeros.size() > 0 ? ZeroAt(w, index) : w.zero_point;
          out[c] = HalfToFloat(w.scales.as<uint16_t>()[index]) *
                   static_cast<float>(static_cast<int32_t>(CodeAt(w, r, c)) - zero);
        }
        break;
      }
    }
  }
}

// The whole panel through the vector kernels, turned into rows piece by piece.
void UnpackPanel(const PanelMatrix& w, int64_t panel, int64_t width, float* out) {
  constexpr int64_t kPiece = 64, kSlack = 8;  // ExpandPanel may write some columns too many
  alignas(64) float piece[(kPiece + kSlack) * kPanelRows];
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
