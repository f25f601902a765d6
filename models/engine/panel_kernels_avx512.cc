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

// 16 zero points of 4 bits each as 32-bit integers.
TNB_VNNI inline __m512i LoadZeros(const uint8_t* packed) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed));
  const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
  return _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(low, high));
}

// kRows rows of x against one panel; see IntegerRow in panel_kernels.cc for the arithmetic.
template <int kRows, int kBits, bool kGrouped, bool kAsymmetric>
TNB_VNNI inline void TileInteger(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t first,
                                 float* y, int64_t y_stride) {
  constexpr int kUnit = kBits == 8 ? 4 : 8;
  const uint8_t* data = w.data.as<uint8_t>() + static_cast<size_t>(panel) * w.panel_bytes();
  const int64_t weight_groups = w.groups();
  const uint16_t* scales = w.scales.as<uint16_t>() + panel * weight_groups * kPanelRows;
  [[maybe_unused]] const uint8_t* zeros =
      kAsymmetric ? w.zeros.as<uint8_t>() + panel * weight_groups * kPanelRows / 2 : nullptr;
  const int8_t* codes = x.codes + first * x.padded;
  const __m512i nibble = _mm512_set1_epi8(15);

  __m512 total[kRows][2];
  for (int i = 0; i < kRows; ++i) total[i][0] = total[i][1] = _mm512_setzero_ps();
  __m512 weight_scale[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  [[maybe_unused]] __m512i zero[2];
  if constexpr (!kGrouped && kAsymmetric) {
    for (int v = 0; v < 2; ++v) zero[v] = LoadZeros(zeros + v * 8);
  }
  int64_t weight_group = -1;
  for (int64_t g = 0; g < x.groups; ++g) {
    if constexpr (kGrouped) {
      if (const int64_t now = g * 32 / w.group; now != weight_group) {
        weight_group = now;
        for (int v = 0; v < 2; ++v) {
          weight_scale[v] = LoadScales(scales + weight_group * kPanelRows + v * 16);
          if constexpr (kAsymmetric) zero[v] = LoadZeros(zeros + weight_group * kPanelRows / 2 + v * 8);
        }
      }
    }
    // The sums begin with what the zero points take away.
    __m512i sum[kRows][2];
    for (int i = 0; i < kRows; ++i) {
      const __m512i minus_sum = _mm512_set1_epi32(x.minus_sums[(first + i) * x.groups + g]);
      if constexpr (kAsymmetric) {
        for (int v = 0; v < 2; ++v) sum[i][v] = _mm512_mullo_epi32(zero[v], minus_sum);
      } else {
        sum[i][0] = sum[i][1] = _mm512_slli_epi32(minus_sum, kBits - 1);
      }
    }
    const int64_t end = (g + 1) * 32 < w.cols ? (g + 1) * 32 : w.cols;
    for (int64_t k = g * 32; k < end; k += kUnit) {
      const uint8_t* unit = data + k / kUnit * kPanelRows * 4;
      const __m512i b0 = _mm512_loadu_si512(unit);
      const __m512i b1 = _mm512_loadu_si512(unit + 64);
      if constexpr (kBits == 8) {
        for (int i = 0; i < kRows; ++i) {
          const __m512i a = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(codes + i * x.padded + k));
          sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], b0, a);
          sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], b1, a);
        }
      } else {
        const __m512i low0 = _mm512_and_si512(b0, nibble);
        const __m512i low1 = _mm512_and_si512(b1, nibble);
        const __m512i high0 = _mm512_and_si512(_mm512_srli_epi16(b0, 4), nibble);
        const __m512i high1 = _mm512_and_si512(_mm512_srli_epi16(b1, 4), nibble);
        for (int i = 0; i < kRows; ++i) {
          const int8_t* code = codes + i * x.padded + k;
          const __m512i a = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(code));
          const __m512i c = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(code + 4));
          sum[i][0] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sum[i][0], low0, a), high0, c);
          sum[i][1] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sum[i][1], low1, a), high1, c);
        }
      }
    }
    for (int i = 0; i < kRows; ++i) {
      const __m512 x_scale = _mm512_set1_ps(x.scales[(first + i) * x.groups + g]);
      for (int v = 0; v < 2; ++v) {
        const __m512 scale = kGrouped ? _mm512_mul_ps(x_scale, weight_scale[v]) : x_scale;
        total[i][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i][v]), scale, total[i][v]);
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

template <int kRows, int kBits, bool kGrouped, bool kAsymmetric>
TNB_VNNI void TilesInteger(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t first,
                           int64_t n, float* y, int64_t y_stride) {
  if constexpr (kRows > 0) {
    for (; n >= kRows; n -= kRows, first += kRows) {
      TileInteger<kRows, kBits, kGrouped, kAsymmetric>(w, panel, x, first, y + first * y_stride, y_stride);
    }
    TilesInteger<kRows - 1, kBits, kGrouped, kAsymmetric>(w, panel, x, first, n, y, y_stride);
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

// kRows at a time with a known kind of zero points.
template <int kRows, int kBits>
TNB_VNNI void TilesOfKind(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                          int64_t y_stride) {
  const bool asymmetric = w.zeros.size() > 0;
  if (w.group == 0) {
    asymmetric ? TilesInteger<kRows, kBits, false, true>(w, panel, x, 0, n, y, y_stride)
               : TilesInteger<kRows, kBits, false, false>(w, panel, x, 0, n, y, y_stride);
  } else {
    asymmetric ? TilesInteger<kRows, kBits, true, true>(w, panel, x, 0, n, y, y_stride)
               : TilesInteger<kRows, kBits, true, false>(w, panel, x, 0, n, y, y_stride);
  }
}

}  // namespace

bool HasVnni() {
  return DispatchesToAvx512() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}

void MultiplyIntegerVnni(const PanelMatrix& w, int64_t panel, const QuantizedInput& x, int64_t n, float* y,
                         int64_t y_stride) {
  w.type == PanelType::kInt8 ? TilesOfKind<6, 8>(w, panel, x, n, y, y_stride)
                             : TilesOfKind<5, 4>(w, panel, x, n, y, y_stride);
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
