// AVX-512 VNNI and BF16 forms of the integer and bf16 kernels: instructions that Highway 1.0 does not offer.
#include "models/engine/panel_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers build "undefined" vectors from themselves, which these warnings misread.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace tnb::kernels {

bool DispatchesToAvx512();  // in panel_kernels.cc
bool HasVnni();
void MultiplyIntegerVnni(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                         int64_t y_stride);

#if defined(__x86_64__)

#define TNB_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c,fma")))
#define TNB_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")))

namespace {

TNB_VNNI inline __m512 LoadScales(const uint16_t* scales) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales)));
}

// Rows v * 16 and on of the zero points of a group.
TNB_VNNI inline __m512 LoadZeros(const PanelMatrix& w, int64_t panel, int64_t group, int v) {
  const int64_t at = panel * w.groups() + group;
  if (w.code.zeros == ZeroType::kConstant) return _mm512_set1_ps(static_cast<float>(w.code.zero_point));
  if (w.code.zeros == ZeroType::kF16) return LoadScales(w.zeros.as<uint16_t>() + at * kPanelRows + v * 16);
  const uint32_t* words = w.zeros.as<uint32_t>() + at * w.code.bits;
  __m512i zero = _mm512_setzero_si512();
  for (int bit = 0; bit < w.code.bits; ++bit) {
    const auto rows = static_cast<__mmask16>(words[bit] >> (16 * v));
    zero = _mm512_mask_or_epi32(zero, rows, zero, _mm512_set1_epi32(1 << bit));
  }
  return _mm512_cvtepi32_ps(zero);
}

// The codes of 4 columns, `quad` of a word of the low plane, 4 bytes a row.
template <int kLow>
TNB_VNNI inline __m512i LowCodes(__m512i words, int quad) {
  if constexpr (kLow == 8) {
    return words;
  } else {
    return _mm512_and_si512(_mm512_srli_epi16(words, static_cast<unsigned>(quad * kLow)),
                            _mm512_set1_epi8((1 << kLow) - 1));
  }
}

// kRows rows of x against one panel; see IntegerRow in panel_kernels.cc for the arithmetic.
template <int kRows, int kBits, bool kGrouped>
TNB_VNNI inline void TileInteger(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t first,
                                 float* y, int64_t y_stride) {
  constexpr int kLow = kBits == 8 ? 8 : kBits >= 4 ? 4 : 2, kHigh = kBits - kLow;
  constexpr int kUnit = 32 / kLow, kQuads = kUnit / 4;
  const uint8_t* low = w.data.as<uint8_t>() + static_cast<size_t>(panel) * w.panel_bytes();
  [[maybe_unused]] const uint8_t* high = low + w.low_plane_bytes();
  const uint16_t* scales = w.scales.as<uint16_t>() + panel * w.groups() * kPanelRows;
  const int8_t* codes = x.codes + first * x.padded;

  __m512 total[kRows][2];
  for (int i = 0; i < kRows; ++i) total[i][0] = total[i][1] = _mm512_setzero_ps();
  __m512 weight_scale[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  __m512 zero[2] = {LoadZeros(w, panel, 0, 0), LoadZeros(w, panel, 0, 1)};
  int64_t weight_group = -1;
  for (int64_t g = 0; g < x.groups; ++g) {
    if constexpr (kGrouped) {
      if (const int64_t now = g * 32 / w.code.group; now != weight_group) {
        weight_group = now;
        for (int v = 0; v < 2; ++v) {
          weight_scale[v] = LoadScales(scales + weight_group * kPanelRows + v * 16);
          zero[v] = LoadZeros(w, panel, weight_group, v);
        }
      }
    }
    // All loops below are unrolled: shifts are constants then, and sums stay in registers.
    __m512i sum[kRows][2];
    for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int u = 0; u < 32 / kUnit; ++u) {
      const int64_t k = g * 32 + u * kUnit;
      if (k >= w.cols) break;
      const uint8_t* unit = low + k / kUnit * kPanelRows * 4;
      const __m512i b0 = _mm512_loadu_si512(unit);
      const __m512i b1 = _mm512_loadu_si512(unit + 64);
      [[maybe_unused]] __m512i high0{}, high1{};
      if constexpr (kHigh > 0) {
        // Its bits are brought to where the first quadruple wants them.
        constexpr int kHighUnit = 32 / kHigh;
        const uint8_t* word = high + k / kHighUnit * kPanelRows * 4;
        const auto shift = static_cast<unsigned>(u * kUnit % kHighUnit / 4 * kHigh);
        high0 = _mm512_srli_epi16(_mm512_loadu_si512(word), shift);
        high1 = _mm512_srli_epi16(_mm512_loadu_si512(word + 64), shift);
      }
#pragma GCC unroll 8
      for (int quad = 0; quad < kQuads; ++quad) {
        __m512i c0 = LowCodes<kLow>(b0, quad), c1 = LowCodes<kLow>(b1, quad);
        if constexpr (kHigh > 0) {
          const __m512i mask = _mm512_set1_epi8((1 << kHigh) - 1);
          const auto shift = static_cast<unsigned>(quad * kHigh);
          const __m512i h0 = _mm512_and_si512(_mm512_srli_epi16(high0, shift), mask);
          const __m512i h1 = _mm512_and_si512(_mm512_srli_epi16(high1, shift), mask);
          c0 = _mm512_or_si512(c0, _mm512_slli_epi16(h0, kLow));
          c1 = _mm512_or_si512(c1, _mm512_slli_epi16(h1, kLow));
        }
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
          const __m512i a =
              _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(codes + i * x.padded + k + quad * 4));
          sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], c0, a);
          sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], c1, a);
        }
      }
    }
    for (int i = 0; i < kRows; ++i) {
      const int64_t at = (first + i) * x.groups + g;
      const __m512 x_scale = _mm512_set1_ps(x.scales[at]);
      const __m512 minus_sum = _mm512_set1_ps(static_cast<float>(x.minus_sums[at]));
      for (int v = 0; v < 2; ++v) {
        const __m512 exact = _mm512_fmadd_ps(zero[v], minus_sum, _mm512_cvtepi32_ps(sum[i][v]));
        const __m512 scale = kGrouped ? _mm512_mul_ps(x_scale, weight_scale[v]) : x_scale;
        total[i][v] = _mm512_fmadd_ps(exact, scale, total[i][v]);
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < 2; ++v) {
      if constexpr (!kGrouped) total[i][v] = _mm512_mul_ps(total[i][v], LoadScales(scales + v * 16));
      _mm512_storeu_ps(y + i * y_stride + v * 16, total[i][v]);
    }
  }
}

template <int kRows, int kBits, bool kGrouped>
TNB_VNNI void TilesInteger(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t first,
                           int64_t n, float* y, int64_t y_stride) {
  if constexpr (kRows > 0) {
    for (; n >= kRows; n -= kRows, first += kRows) {
      TileInteger<kRows, kBits, kGrouped>(w, panel, x, first, y + first * y_stride, y_stride);
    }
    TilesInteger<kRows - 1, kBits, kGrouped>(w, panel, x, first, n, y, y_stride);
  }
}

template <int kRows>
TNB_BF16 inline void TileBF16(const uint8_t* b, const uint16_t* x, int64_t x_stride, int64_t pairs, float* y,
                              int64_t y_stride, bool accumulate) {
  __m512 sum[kRows][2];
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < 2; ++v) {
      sum[i][v] = accumulate ? _mm512_loadu_ps(y + i * y_stride + v * 16) : _mm512_setzero_ps();
    }
  }
  for (int64_t k = 0; k < pairs; ++k) {
    const uint8_t* unit = b + k * kPanelRows * 4;
    const __m512i b0 = _mm512_loadu_si512(unit);
    const __m512i b1 = _mm512_loadu_si512(unit + 64);
    for (int i = 0; i < kRows; ++i) {
      const __m512i a = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(x + i * x_stride + k * 2));
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], reinterpret_cast<__m512bh>(b0), reinterpret_cast<__m512bh>(a));
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], reinterpret_cast<__m512bh>(b1), reinterpret_cast<__m512bh>(a));
    }
  }
  for (int i = 0; i < kRows; ++i) {
    _mm512_storeu_ps(y + i * y_stride, sum[i][0]);
    _mm512_storeu_ps(y + i * y_stride + 16, sum[i][1]);
  }
}

template <int kRows>
TNB_BF16 void TilesBF16(const uint8_t* b, const uint16_t* x, int64_t x_stride, int64_t pairs, int64_t n,
                        float* y, int64_t y_stride, bool accumulate) {
  if constexpr (kRows > 0) {
    int64_t i = 0;
    for (; i + kRows <= n; i += kRows) {
      TileBF16<kRows>(b, x + i * x_stride, x_stride, pairs, y + i * y_stride, y_stride, accumulate);
    }
    TilesBF16<kRows - 1>(b, x + i * x_stride, x_stride, pairs, n - i, y + i * y_stride, y_stride, accumulate);
  }
}

template <int kRows, int kBits>
TNB_VNNI void TilesOf(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                      int64_t y_stride) {
  w.code.group == 0 ? TilesInteger<kRows, kBits, false>(w, panel, x, 0, n, y, y_stride)
                    : TilesInteger<kRows, kBits, true>(w, panel, x, 0, n, y, y_stride);
}

}  // namespace

bool HasVnni() {
  return DispatchesToAvx512() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}

void MultiplyIntegerVnni(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                         int64_t y_stride) {
  switch (w.code.bits) {
    case 2:
      return TilesOf<5, 2>(w, panel, x, n, y, y_stride);
    case 3:
      return TilesOf<4, 3>(w, panel, x, n, y, y_stride);
    case 4:
      return TilesOf<5, 4>(w, panel, x, n, y, y_stride);
    case 5:
      return TilesOf<4, 5>(w, panel, x, n, y, y_stride);
    case 6:
      return TilesOf<4, 6>(w, panel, x, n, y, y_stride);
    default:
      return TilesOf<6, 8>(w, panel, x, n, y, y_stride);
  }
}

bool HasBF16Dot() { return HasVnni() && __builtin_cpu_supports("avx512bf16"); }

void MultiplyBF16(const PanelMatrix& w, int64_t panel, int64_t begin, int64_t end, const uint16_t* x,
                  int64_t x_stride, int64_t n, float* y, int64_t y_stride, bool accumulate) {
  const uint8_t* b = w.data.as<uint8_t>() + static_cast<size_t>(panel) * w.panel_bytes();
  TilesBF16<12>(b + begin / 2 * kPanelRows * 4, x + begin, x_stride, (end - begin + 1) / 2, n, y, y_stride,
                accumulate);
}

#else

bool HasVnni() { return false; }
void MultiplyIntegerVnni(const PanelMatrix&, int64_t, const QuantizedInput&, int64_t, float*, int64_t) {}
bool HasBF16Dot() { return false; }
void MultiplyBF16(const PanelMatrix&, int64_t, int64_t, int64_t, const uint16_t*, int64_t, int64_t, float*,
                  int64_t, bool) {}

#endif

}  // namespace tnb::kernels
