#include "models/engine/panel_codes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "models/formats/elements.h"

namespace tnb {
namespace {

// The codes of one row in one plane of `bits` bits: column c in byte c % 4 of a word, see panel.h.
class PlaneRow {
 public:
  template <typename Byte>
  struct Place {
    Byte* byte;
    int shift;
  };
  PlaneRow(int bits, int64_t lane) : bits_(bits), columns_(32 / bits), lane_(lane) {}
  template <typename Byte>
  Place<Byte> At(Byte* plane, int64_t column) const {
    const int64_t j = column % columns_;
    return {plane + (column / columns_ * kPanelRows + lane_) * 4 + j % 4, static_cast<int>(j / 4) * bits_};
  }
  int mask() const { return (1 << bits_) - 1; }

 private:
  int bits_;
  int64_t columns_, lane_;
};

template <typename T>
AlignedBuffer ToPanels(const void* row_major, const PanelMatrix& w) {
  AlignedBuffer buffer(static_cast<size_t>(w.panels() * w.groups() * kPanelRows) * sizeof(T));
  const T* from = static_cast<const T*>(row_major);
  for (int64_t r = 0; r < w.rows; ++r) {
    T* to = buffer.as<T>() + r / kPanelRows * w.groups() * kPanelRows + r % kPanelRows;
    for (int64_t g = 0; g < w.groups(); ++g) to[g * kPanelRows] = from[r * w.groups() + g];
  }
  return buffer;
}

template <typename T>
void FromPanels(const AlignedBuffer& buffer, const PanelMatrix& w, void* row_major) {
  T* to = static_cast<T*>(row_major);
  for (int64_t r = 0; r < w.rows; ++r) {
    const T* from = buffer.as<T>() + r / kPanelRows * w.groups() * kPanelRows + r % kPanelRows;
    for (int64_t g = 0; g < w.groups(); ++g) to[r * w.groups() + g] = from[g * kPanelRows];
  }
}

// Word `bit` of a group's integer zero points.
int64_t ZeroWord(const PanelMatrix& w, int64_t row, int64_t group, int bit) {
  return (row / kPanelRows * w.groups() + group) * w.code.bits + bit;
}

int IntegerZeroAt(const PanelMatrix& w, int64_t row, int64_t group) {
  int zero = 0;
  for (int bit = 0; bit < w.code.bits; ++bit) {
    const uint32_t word = w.zeros.as<uint32_t>()[ZeroWord(w, row, group, bit)];
    zero |= static_cast<int>(word >> (row % kPanelRows) & 1) << bit;
  }
  return zero;
}

AlignedBuffer CopyOf(const float* values, int64_t count) {
  AlignedBuffer buffer(static_cast<size_t>(count) * sizeof(float));
  std::copy_n(values, count, buffer.as<float>());
  return buffer;
}

float ScaleAt(const PanelMatrix& w, int64_t row, int64_t group) {
  const int64_t at = (row / kPanelRows * w.groups() + group) * kPanelRows + row % kPanelRows;
  switch (w.code.scales) {
    case ScaleType::kF16:
      return HalfToFloat(w.scales.as<uint16_t>()[at]);
    case ScaleType::kF32:
      return w.scales.as<float>()[at];
    case ScaleType::kDouble: {
      const float block = w.scale_blocks.as<float>()[(row * w.groups() + group) / kScaleBlock];
      return std::fma(DynamicMap()[w.scales.as<uint8_t>()[at]], block, w.code.scale_offset);
    }
  }
  return 0;
}

float ZeroAt(const PanelMatrix& w, int64_t row, int64_t group) {
  switch (w.code.zeros) {
    case ZeroType::kConstant:
      return static_cast<float>(w.code.zero_point);
    case ZeroType::kInteger:
      return static_cast<float>(IntegerZeroAt(w, row, group));
    case ZeroType::kF16: {
      const int64_t at = (row / kPanelRows * w.groups() + group) * kPanelRows + row % kPanelRows;
      return HalfToFloat(w.zeros.as<uint16_t>()[at]);
    }
  }
  return 0;
}

void UnpackCodesOfRow(const PanelMatrix& w, int64_t row, uint8_t* out) {
  const uint8_t* panel = w.data.as<uint8_t>() + static_cast<size_t>(row / kPanelRows) * w.panel_bytes();
  const int low_bits = w.code.low_bits(), high_bits = w.code.high_bits();
  const PlaneRow low(low_bits, row % kPanelRows);
  for (int64_t c = 0; c < w.cols; ++c) {
    const auto [byte, shift] = low.At(panel, c);
    out[c] = static_cast<uint8_t>(*byte >> shift & low.mask());
  }
  if (high_bits == 0) return;
  const PlaneRow high(high_bits, row % kPanelRows);
  panel += w.low_plane_bytes();
  for (int64_t c = 0; c < w.cols; ++c) {
    const auto [byte, shift] = high.At(panel, c);
    out[c] = static_cast<uint8_t>(out[c] | (*byte >> shift & high.mask()) << low_bits);
  }
}

}  // namespace

const float* DynamicMap() {
  static const std::array<float, 256> map = [] {
    std::array<float, 256> values{};
    size_t count = 0;
    for (int i = 0; i < 7; ++i) {
      // Middles of 2^i equal steps between 0.1 and 1, times 10^(i - 6).
      const int steps = 1 << i;
      const double power = std::pow(10.0, i - 6);
      for (int k = 0; k < steps; ++k) {
        const double step = 0.9 / steps;
        const auto a = static_cast<float>(0.1 + step * k), b = static_cast<float>(0.1 + step * (k + 1));
        const auto value = static_cast<float>(power * static_cast<double>((a + b) / 2.0F));
        values[count++] = value;
        values[count++] = -value;
      }
    }
    values[count++] = 0;
    values[count++] = 1;
    std::sort(values.begin(), values.end());
    return values;
  }();
  return map.data();
}

PanelMatrix PackCodes(const CodeSpec& spec, const CodeArrays& arrays, int64_t rows, int64_t cols) {
  PanelMatrix w;
  w.type = PanelType::kCodes;
  w.rows = rows;
  w.cols = cols;
  w.code = spec;
  w.data = AlignedBuffer(w.panel_bytes() * static_cast<size_t>(w.panels()));
  const int low_bits = spec.low_bits(), high_bits = spec.high_bits();
  for (int64_t r = 0; r < rows; ++r) {
    const uint8_t* codes = arrays.codes + r * cols;
    uint8_t* panel = w.data.as<uint8_t>() + static_cast<size_t>(r / kPanelRows) * w.panel_bytes();
    const PlaneRow low(low_bits, r % kPanelRows);
    for (int64_t c = 0; c < cols; ++c) {
      const auto [byte, shift] = low.At(panel, c);
      *byte = static_cast<uint8_t>(*byte | (codes[c] & low.mask()) << shift);
    }
    if (high_bits == 0) continue;
    const PlaneRow high(high_bits, r % kPanelRows);
    panel += w.low_plane_bytes();
    for (int64_t c = 0; c < cols; ++c) {
      const auto [byte, shift] = high.At(panel, c);
      *byte = static_cast<uint8_t>(*byte | (codes[c] >> low_bits & high.mask()) << shift);
    }
  }
  switch (spec.scales) {
    case ScaleType::kF16:
      w.scales = ToPanels<uint16_t>(arrays.scales, w);
      break;
    case ScaleType::kF32:
      w.scales = ToPanels<float>(arrays.scales, w);
      break;
    case ScaleType::kDouble:
      w.scales = ToPanels<uint8_t>(arrays.scales, w);
      w.scale_blocks = CopyOf(arrays.scale_blocks, (rows * w.groups() + kScaleBlock - 1) / kScaleBlock);
      break;
  }
  if (spec.zeros == ZeroType::kF16) w.zeros = ToPanels<uint16_t>(arrays.zeros, w);
  if (spec.zeros == ZeroType::kInteger) {
    w.zeros = AlignedBuffer(static_cast<size_t>(w.panels() * w.groups() * spec.bits) * sizeof(uint32_t));
    const auto* zeros = static_cast<const uint8_t*>(arrays.zeros);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t g = 0; g < w.groups(); ++g) {
        for (int bit = 0; bit < spec.bits; ++bit) {
          const uint32_t set = zeros[r * w.groups() + g] >> bit & 1U;
          w.zeros.as<uint32_t>()[ZeroWord(w, r, g, bit)] |= set << (r % kPanelRows);
        }
      }
    }
  }
  if (spec.levels) w.levels = CopyOf(arrays.levels, 16);
  return w;
}

void UnpackCodes(const PanelMatrix& w, uint8_t* codes, void* scales, void* zeros) {
  for (int64_t r = 0; r < w.rows; ++r) UnpackCodesOfRow(w, r, codes + r * w.cols);
  switch (w.code.scales) {
    case ScaleType::kF16:
      FromPanels<uint16_t>(w.scales, w, scales);
      break;
    case ScaleType::kF32:
      FromPanels<float>(w.scales, w, scales);
      break;
    case ScaleType::kDouble:
      FromPanels<uint8_t>(w.scales, w, scales);
      break;
  }
  if (w.code.zeros == ZeroType::kF16) FromPanels<uint16_t>(w.zeros, w, zeros);
  if (w.code.zeros == ZeroType::kInteger) {
    auto* to = static_cast<uint8_t*>(zeros);
    for (int64_t r = 0; r < w.rows; ++r) {
      for (int64_t g = 0; g < w.groups(); ++g) {
        to[r * w.groups() + g] = static_cast<uint8_t>(IntegerZeroAt(w, r, g));
      }
    }
  }
}

void UnpackCodeRow(const PanelMatrix& w, int64_t row, float* out) {
  thread_local std::vector<uint8_t> codes;
  codes.resize(static_cast<size_t>(w.cols));
  UnpackCodesOfRow(w, row, codes.data());
  const int64_t width = w.code.group == 0 ? w.cols : w.code.group;
  const float* levels = w.levels.as<float>();
  for (int64_t g = 0; g < w.groups(); ++g) {
    const float scale = ScaleAt(w, row, g), zero = w.code.levels ? 0 : ZeroAt(w, row, g);
    for (int64_t c = g * width; c < std::min(w.cols, (g + 1) * width); ++c) {
      out[c] = scale * (w.code.levels ? levels[codes[c]] : static_cast<float>(codes[c]) - zero);
    }
  }
}

}  // namespace tnb
