#include "models/engine/panel_kernels.h"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "models/engine/panel_codes.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers build "undefined" vectors from themselves, which these warnings misread.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

// The oldest x86 targets would only lengthen the build; the baseline serves such processors.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/engine/panel_kernels.cc"
// foreach_target.h must come first, the others after it.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tnb::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(DF()));
constexpr int kVectors = static_cast<int>(kPanelRows) / kLanes;  // a row of 32 results
// Rows of x computed together: as many accumulators as fit the registers (32 with AVX-512 and NEON, 16
// elsewhere).
constexpr int kTile = kVectors == 2 ? 12 : kVectors == 4 ? 3 : 2;

template <int kRows>
HWY_INLINE void TileF32(const float* HWY_RESTRICT b, int64_t b_stride, const float* HWY_RESTRICT x,
                        int64_t x_stride, int64_t depth, float* HWY_RESTRICT y, int64_t y_stride,
                        bool accumulate) {
  const DF d;
  hn::Vec<DF> sum[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      sum[i][v] = accumulate ? hn::LoadU(d, y + i * y_stride + v * kLanes) : hn::Zero(d);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    hn::Vec<DF> row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = hn::LoadU(d, b + k * b_stride + v * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const auto value = hn::Set(d, x[i * x_stride + k]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::MulAdd(value, row[v], sum[i][v]);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[i][v], d, y + i * y_stride + v * kLanes);
  }
}

template <int kRows>
void TailF32(const float* b, int64_t b_stride, const float* x, int64_t x_stride, int64_t n, int64_t depth,
             float* y, int64_t y_stride, bool accumulate) {
  if constexpr (kRows > 0) {
    if (n == kRows) {
      TileF32<kRows>(b, b_stride, x, x_stride, depth, y, y_stride, accumulate);
    } else {
      TailF32<kRows - 1>(b, b_stride, x, x_stride, n, depth, y, y_stride, accumulate);
    }
  }
}

void MultiplyF32(const float* b, int64_t b_stride, const float* x, int64_t x_stride, int64_t n, int64_t depth,
                 float* y, int64_t y_stride, bool accumulate) {
  int64_t i = 0;
  for (; i + kTile <= n; i += kTile) {
    TileF32<kTile>(b, b_stride, x + i * x_stride, x_stride, depth, y + i * y_stride, y_stride, accumulate);
  }
  TailF32<kTile - 1>(b, b_stride, x + i * x_stride, x_stride, n - i, depth, y + i * y_stride, y_stride,
                     accumulate);
}

// One vector of scales of a group, rows v * kLanes and on.
HWY_INLINE hn::Vec<DF> ScaleVector(const PanelMatrix& w, int64_t panel, int64_t group, int v) {
  const DF d;
  const int64_t at = (panel * w.groups() + group) * kPanelRows + v * kLanes;
  if (w.code.scales == ScaleType::kF16) {
    const hn::Rebind<hwy::float16_t, DF> d16;
    const auto* halves = reinterpret_cast<const hwy::float16_t*>(w.scales.as<uint16_t>() + at);
    return hn::PromoteTo(d, hn::LoadU(d16, halves));
  }
  if (w.code.scales == ScaleType::kF32) return hn::LoadU(d, w.scales.as<float>() + at);
  const float* map = DynamicMap();
  const uint8_t* codes = w.scales.as<uint8_t>() + at;
  HWY_ALIGN float scales[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    const int64_t row = panel * kPanelRows + v * kLanes + lane;
    if (row >= w.rows) {
      scales[lane] = 0;
      continue;
    }
    const float block = w.scale_blocks.as<float>()[(row * w.groups() + group) / kScaleBlock];
    scales[lane] = std::fma(map[codes[lane]], block, w.code.scale_offset);
  }
  return hn::Load(d, scales);
}

// Zero points as numbers, exact for integers.
HWY_INLINE hn::Vec<DF> ZeroVector(const PanelMatrix& w, int64_t panel, int64_t group, int v) {
  const DF d;
  if (w.code.zeros == ZeroType::kConstant) return hn::Set(d, static_cast<float>(w.code.zero_point));
  if (w.code.zeros == ZeroType::kF16) {
    const hn::Rebind<hwy::float16_t, DF> d16;
    const uint16_t* zeros = w.zeros.as<uint16_t>() + (panel * w.groups() + group) * kPanelRows + v * kLanes;
    return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(zeros)));
  }
  const hn::RebindToUnsigned<DF> du;
  const uint32_t* words = w.zeros.as<uint32_t>() + (panel * w.groups() + group) * w.code.bits;
  const auto one = hn::Set(du, 1u);
  const auto lane = hn::Iota(du, static_cast<uint32_t>(v * kLanes));
  auto zero = hn::Zero(du);
  for (int bit = w.code.bits; bit-- > 0;) {
    const auto set = hn::And(hn::Shr(hn::Set(du, words[bit]), lane), one);
    zero = hn::Add(hn::Add(zero, zero), set);
  }
  return hn::ConvertTo(d, hn::BitCast(hn::RebindToSigned<DF>(), zero));
}

// The values of a panel, by type: Unit() columns lie interleaved; Enter() is told every unit in order before
// its columns are got, as vectors of kLanes rows.
class HalfSource {
 public:
  static constexpr int kUnit = 1;
  HalfSource(const PanelMatrix& w, int64_t panel)
      : data_(w.data.as<uint16_t>() + panel * w.cols * kPanelRows) {}
  void Enter(int64_t) {}
  HWY_INLINE hn::Vec<DF> Get(int64_t column, int, int v) const {
    const hn::Rebind<hwy::float16_t, DF> d16;
    const auto* halves = reinterpret_cast<const hwy::float16_t*>(data_ + column * kPanelRows);
    return hn::PromoteTo(DF(), hn::LoadU(d16, halves + v * kLanes));
  }

 private:
  const uint16_t* data_;
};

class BrainSource {
 public:
  static constexpr int kUnit = 2;
  BrainSource(const PanelMatrix& w, int64_t panel)
      : words_(w.data.as<uint32_t>() + panel * ((w.cols + 1) / 2) * kPanelRows) {}
  void Enter(int64_t) {}
  HWY_INLINE hn::Vec<DF> Get(int64_t column, int j, int v) const {
    const hn::RebindToUnsigned<DF> du;
    const auto pair = hn::LoadU(du, words_ + column / 2 * kPanelRows + v * kLanes);
    return hn::BitCast(DF(), j == 0 ? hn::ShiftLeft<16>(pair) : hn::And(pair, hn::Set(du, 0xFFFF0000u)));
  }

 private:
  const uint32_t* words_;
};

// Codes of kBits bits, see panel.h for where they lie.
template <int kBits>
struct Planes {
  static constexpr int kLow = kBits == 8 ? 8 : kBits >= 4 ? 4 : 2;
  static constexpr int kHigh = kBits - kLow;
  static constexpr int kUnit = 32 / kLow;                        // columns of a word of the low plane
  static constexpr int kHighUnit = kHigh > 0 ? 32 / kHigh : 32;  // a multiple of kUnit
};

// value = scale * (code - zero), or scale * levels[code].
template <int kBits, bool kLevels>
class CodeSource {
  using P = Planes<kBits>;

 public:
  static constexpr int kUnit = P::kUnit;
  CodeSource(const PanelMatrix& w, int64_t panel)
      : w_(w),
        panel_(panel),
        low_(reinterpret_cast<const uint32_t*>(w.data.as<uint8_t>() +
                                               static_cast<size_t>(panel) * w.panel_bytes())),
        high_(low_ + w.low_plane_bytes() / sizeof(uint32_t)) {
    for (int v = 0; v < kVectors; ++v) {
      scale_[v] = zero_[v] = hn::Zero(DF());
      if constexpr (kLevels && kLanes == 16) zero_[v] = hn::LoadU(DF(), w.levels.as<float>());
    }
  }
  // Groups are whole units (32 columns or more); a whole row is one group.
  HWY_INLINE void Enter(int64_t column) {
    const int64_t now = w_.code.group == 0 ? 0 : column / w_.code.group;
    if (now == group_) return;
    group_ = now;
    for (int v = 0; v < kVectors; ++v) {
      scale_[v] = ScaleVector(w_, panel_, group_, v);
      if constexpr (!kLevels) zero_[v] = ZeroVector(w_, panel_, group_, v);
    }
  }
  HWY_INLINE hn::Vec<DF> Get(int64_t column, int j, int v) const {
    const hn::RebindToUnsigned<DF> du;
    const hn::RebindToSigned<DF> di;
    const auto low = hn::LoadU(du, low_ + column / P::kUnit * kPanelRows + v * kLanes);
    auto code =
        hn::And(hn::ShiftRightSame(low, (j % 4) * 8 + (j / 4) * P::kLow), hn::Set(du, (1u << P::kLow) - 1));
    if constexpr (P::kHigh > 0) {
      const auto high = hn::LoadU(du, high_ + column / P::kHighUnit * kPanelRows + v * kLanes);
      const int place = static_cast<int>(column % P::kHighUnit) + j;
      const auto bits = hn::And(hn::ShiftRightSame(high, (place % 4) * 8 + (place / 4) * P::kHigh),
                                hn::Set(du, (1u << P::kHigh) - 1));
      code = hn::Or(code, hn::ShiftLeft<P::kLow>(bits));
    }
    const auto index = hn::BitCast(di, code);
    if constexpr (kLevels) {
      if constexpr (kLanes == 16) {
        return hn::Mul(hn::TableLookupLanes(zero_[v], hn::IndicesFromVec(DF(), index)), scale_[v]);
      } else {
        return hn::Mul(hn::GatherIndex(DF(), w_.levels.as<float>(), index), scale_[v]);
      }
    }
    return hn::Mul(hn::Sub(hn::ConvertTo(DF(), index), zero_[v]), scale_[v]);
  }

 private:
  const PanelMatrix& w_;
  int64_t panel_;
  const uint32_t* low_;
  const uint32_t* high_;
  int64_t group_ = -1;
  hn::Vec<DF> scale_[kVectors];
  hn::Vec<DF> zero_[kVectors];  // or the table of levels
};

template <typename Source>
void Expand(Source source, int64_t begin, int64_t end, float* HWY_RESTRICT out) {
  const DF d;
  for (int64_t k = begin; k < end; k += Source::kUnit) {
    source.Enter(k);
    for (int j = 0; j < Source::kUnit && k + j < end; ++j) {
      for (int v = 0; v < kVectors; ++v) {
        hn::StoreU(source.Get(k, j, v), d, out + (k + j - begin) * kPanelRows + v * kLanes);
      }
    }
  }
}

template <int kRows, typename Source>
HWY_INLINE void TileConverted(Source source, const float* HWY_RESTRICT x, int64_t x_stride, int64_t cols,
                              float* HWY_RESTRICT y, int64_t y_stride) {
  const DF d;
  hn::Vec<DF> sum[kRows][kVectors];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::Zero(d);
  }
  const auto column = [&](int64_t k, int j) HWY_ATTR {
    hn::Vec<DF> row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = source.Get(k, j, v);
    for (int i = 0; i < kRows; ++i) {
      const auto value = hn::Set(d, x[i * x_stride + k + j]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::MulAdd(value, row[v], sum[i][v]);
    }
  };
  int64_t k = 0;
  for (; k + Source::kUnit <= cols; k += Source::kUnit) {
    source.Enter(k);
    for (int j = 0; j < Source::kUnit; ++j) column(k, j);
  }
  if (k < cols) source.Enter(k);
  for (int j = 0; k + j < cols; ++j) column(k, j);
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[i][v], d, y + i * y_stride + v * kLanes);
  }
}

template <typename Source>
void MultiplyRows(const Source& source, const float* x, int64_t x_stride, int64_t n, int64_t cols, float* y,
                  int64_t y_stride) {
  constexpr int kMany = kTile >= 4 ? 4 : 2;
  int64_t i = 0;
  for (; i + kMany <= n; i += kMany) {
    TileConverted<kMany>(source, x + i * x_stride, x_stride, cols, y + i * y_stride, y_stride);
  }
  for (; i < n; ++i) TileConverted<1>(source, x + i * x_stride, x_stride, cols, y + i * y_stride, y_stride);
}

// Calls with(std::integral_constant<int, bits of a code>).
template <typename With>
void WithBits(const PanelMatrix& w, const With& with) {
  switch (w.code.bits) {
    case 2:
      return with(std::integral_constant<int, 2>());
    case 3:
      return with(std::integral_constant<int, 3>());
    case 4:
      return with(std::integral_constant<int, 4>());
    case 5:
      return with(std::integral_constant<int, 5>());
    case 6:
      return with(std::integral_constant<int, 6>());
    default:
      return with(std::integral_constant<int, 8>());
  }
}

// Calls with(source) for the panel's type; fp32 is no source, as it needs no conversion.
template <typename With>
void WithSource(const PanelMatrix& w, int64_t panel, const With& with) {
  switch (w.type) {
    case PanelType::kF16:
      return with(HalfSource(w, panel));
    case PanelType::kBF16:
      return with(BrainSource(w, panel));
    case PanelType::kCodes:
      if (w.code.levels) return with(CodeSource<4, true>(w, panel));
      return WithBits(w,
                      [&](auto bits) HWY_ATTR { with(CodeSource<decltype(bits)::value, false>(w, panel)); });
    case PanelType::kF32:
      return;
  }
}

void ExpandPanel(const PanelMatrix& w, int64_t panel, int64_t begin, int64_t end, float* out) {
  if (w.type == PanelType::kF32) {
    const float* data = w.data.as<float>() + panel * w.cols * kPanelRows;
    std::memcpy(out, data + begin * kPanelRows,
                static_cast<size_t>((end - begin) * kPanelRows) * sizeof(float));
    return;
  }
  WithSource(w, panel, [&](const auto& source) { Expand(source, begin, end, out); });
}

void MultiplyConverted(const PanelMatrix& w, int64_t panel, const float* x, int64_t x_stride, int64_t n,
                       float* y, int64_t y_stride) {
  if (w.type == PanelType::kF32) {
    const float* data = w.data.as<float>() + panel * w.cols * kPanelRows;
    return MultiplyF32(data, kPanelRows, x, x_stride, n, w.cols, y, y_stride, false);
  }
  WithSource(w, panel,
             [&](const auto& source) { MultiplyRows(source, x, x_stride, n, w.cols, y, y_stride); });
}

void RoundToBF16(const float* HWY_RESTRICT x, int64_t count, uint16_t* HWY_RESTRICT out) {
  const DF d;
  const hn::RebindToUnsigned<DF> du;
  const hn::Rebind<uint16_t, DF> d16;
  const auto round = [&](hn::Vec<DF> value) HWY_ATTR {
    const auto bits = hn::BitCast(du, value);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
    const auto rounded = hn::Add(hn::Add(bits, hn::Set(du, 0x7FFFu)), odd);
    const auto quiet = hn::Set(du, 0x7FC00000u);
    const auto whole = hn::IfThenElse(hn::RebindMask(du, hn::Eq(value, value)), rounded, quiet);
    return hn::DemoteTo(d16, hn::BitCast(hn::RebindToSigned<DF>(), hn::ShiftRight<16>(whole)));
  };
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(round(hn::LoadU(d, x + i)), d16, out + i);
  if (i == count) return;
  HWY_ALIGN float rest[kLanes] = {};
  HWY_ALIGN uint16_t bits[kLanes];
  std::memcpy(rest, x + i, static_cast<size_t>(count - i) * sizeof(float));
  hn::Store(round(hn::Load(d, rest)), d16, bits);
  std::memcpy(out + i, bits, static_cast<size_t>(count - i) * sizeof(uint16_t));
}

// The portable form of the integer kernel, one row of x at a time; the same sums in the same order as the
// VNNI form.
template <int kBits>
void IntegerRow(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t row,
                float* HWY_RESTRICT y) {
  using P = Planes<kBits>;
  const DF d;
  const hn::RebindToSigned<DF> di;
  const hn::RebindToUnsigned<DF> du;
  const auto* low =
      reinterpret_cast<const uint32_t*>(w.data.as<uint8_t>() + static_cast<size_t>(panel) * w.panel_bytes());
  [[maybe_unused]] const uint32_t* high = low + w.low_plane_bytes() / sizeof(uint32_t);
  const int8_t* codes = x.codes + row * x.padded;
  const int64_t group = w.code.group;
  hn::Vec<DF> total[kVectors];
  for (int v = 0; v < kVectors; ++v) total[v] = hn::Zero(d);
  for (int64_t g = 0; g < x.groups; ++g) {
    hn::Vec<decltype(di)> sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = hn::Zero(di);
    const int64_t end = HWY_MIN((g + 1) * 32, w.cols);
    for (int64_t k = g * 32; k < end; k += P::kUnit) {
      const uint32_t* words = low + k / P::kUnit * kPanelRows;
      for (int j = 0; j < P::kUnit; ++j) {
        const auto value = hn::Set(di, codes[k + j]);
        for (int v = 0; v < kVectors; ++v) {
          auto code =
              hn::And(hn::ShiftRightSame(hn::LoadU(du, words + v * kLanes), (j % 4) * 8 + (j / 4) * P::kLow),
                      hn::Set(du, (1u << P::kLow) - 1));
          if constexpr (P::kHigh > 0) {
            const int place = static_cast<int>(k % P::kHighUnit) + j;
            const auto bits =
                hn::ShiftRightSame(hn::LoadU(du, high + k / P::kHighUnit * kPanelRows + v * kLanes),
                                   (place % 4) * 8 + (place / 4) * P::kHigh);
            code = hn::Or(code, hn::ShiftLeft<P::kLow>(hn::And(bits, hn::Set(du, (1u << P::kHigh) - 1))));
          }
          sum[v] = hn::Add(sum[v], hn::Mul(hn::BitCast(di, code), value));
        }
      }
    }
    const auto minus_sum = hn::Set(d, static_cast<float>(x.minus_sums[row * x.groups + g]));
    const auto x_scale = hn::Set(d, x.scales[row * x.groups + g]);
    const int64_t weight_group = group == 0 ? 0 : g * 32 / group;
    for (int v = 0; v < kVectors; ++v) {
      const auto zero = ZeroVector(w, panel, weight_group, v);
      // Exact for integer zero points: all numbers are below 2^24.
      const auto exact = hn::MulAdd(zero, minus_sum, hn::ConvertTo(d, sum[v]));
      const auto scale = group == 0 ? x_scale : hn::Mul(x_scale, ScaleVector(w, panel, weight_group, v));
      total[v] = hn::MulAdd(exact, scale, total[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    if (group == 0) total[v] = hn::Mul(total[v], ScaleVector(w, panel, 0, v));
    hn::StoreU(total[v], d, y + v * kLanes);
  }
}

void MultiplyIntegerPortable(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n,
                             float* y, int64_t y_stride) {
  WithBits(w, [&](auto bits) HWY_ATTR {
    for (int64_t i = 0; i < n; ++i) IntegerRow<decltype(bits)::value>(w, panel, x, i, y + i * y_stride);
  });
}

// The largest absolute value of `count` numbers.
HWY_INLINE float Range(const float* HWY_RESTRICT x, int64_t count) {
  const DF d;
  auto largest = hn::Zero(d);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) largest = hn::Max(largest, hn::Abs(hn::LoadU(d, x + i)));
  float range = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < count; ++i) range = HWY_MAX(range, std::abs(x[i]));
  return range;
}

void QuantizeInput(const float* HWY_RESTRICT x, int64_t cols, bool whole_row, int8_t* HWY_RESTRICT codes,
                   float* HWY_RESTRICT scales, int32_t* HWY_RESTRICT minus_sums) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  const hn::Rebind<int8_t, DF> d8;
  const float row_range = whole_row ? Range(x, cols) : 0;
  for (int64_t g = 0; g * 32 < cols; ++g) {
    HWY_ALIGN float block[32] = {};
    const int64_t count = HWY_MIN(int64_t{32}, cols - g * 32);
    std::memcpy(block, x + g * 32, static_cast<size_t>(count) * sizeof(float));
    const float range = whole_row ? row_range : Range(block, 32);
    const float inverse = range > 0.0F ? 127.0F / range : 0.0F;
    auto sum = hn::Zero(di);
    for (int i = 0; i < 32; i += kLanes) {
      const auto code = hn::NearestInt(hn::Mul(hn::Load(d, block + i), hn::Set(d, inverse)));
      sum = hn::Add(sum, code);
      hn::StoreU(hn::DemoteTo(d8, code), d8, codes + g * 32 + i);
    }
    scales[g] = range / 127.0F;
    minus_sums[g] = -hn::GetLane(hn::SumOfLanes(di, sum));
  }
}

// Better targets have lower bits.
bool IsAvx512() { return HWY_ARCH_X86 != 0 && HWY_TARGET <= HWY_AVX3; }

}  // namespace tnb::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tnb::kernels {

HWY_EXPORT(MultiplyF32);
HWY_EXPORT(ExpandPanel);
HWY_EXPORT(MultiplyConverted);
HWY_EXPORT(MultiplyIntegerPortable);
HWY_EXPORT(QuantizeInput);
HWY_EXPORT(RoundToBF16);
HWY_EXPORT(IsAvx512);

// Also false where a test allows lesser targets only.
bool DispatchesToAvx512() { return HWY_DYNAMIC_DISPATCH(IsAvx512)(); }

// In panel_kernels_avx512.cc; nothing elsewhere than on x86-64.
bool HasVnni();
void MultiplyIntegerVnni(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                         int64_t y_stride);

void MultiplyF32(const float* b, int64_t b_stride, const float* x, int64_t x_stride, int64_t n, int64_t depth,
                 float* y, int64_t y_stride, bool accumulate) {
  HWY_DYNAMIC_DISPATCH(MultiplyF32)(b, b_stride, x, x_stride, n, depth, y, y_stride, accumulate);
}

void ExpandPanel(const PanelMatrix& w, int64_t panel, int64_t begin, int64_t end, float* out) {
  HWY_DYNAMIC_DISPATCH(ExpandPanel)(w, panel, begin, end, out);
}

void MultiplyConverted(const PanelMatrix& w, int64_t panel, const float* x, int64_t x_stride, int64_t n,
                       float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(MultiplyConverted)(w, panel, x, x_stride, n, y, y_stride);
}

void QuantizeInput(const float* x, int64_t cols, bool whole_row, int8_t* codes, float* scales,
                   int32_t* minus_sums) {
  HWY_DYNAMIC_DISPATCH(QuantizeInput)(x, cols, whole_row, codes, scales, minus_sums);
}

void RoundToBF16(const float* x, int64_t count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(RoundToBF16)(x, count, out);
}

void MultiplyInteger(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                     int64_t y_stride) {
  if (HasVnni()) {
    MultiplyIntegerVnni(w, panel, x, n, y, y_stride);
  } else {
    HWY_DYNAMIC_DISPATCH(MultiplyIntegerPortable)(w, panel, x, n, y, y_stride);
  }
}

}  // namespace tnb::kernels
#endif
