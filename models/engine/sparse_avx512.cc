// The AVX-512 form of SparsePanels::Expand: an instruction that Highway 1.0 does not offer puts consecutive
// elements where the bits of a mask are.
#include <bit>

#include "models/engine/sparse.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers build "undefined" vectors from themselves, which these warnings misread.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace tnb::kernels {

#if defined(__x86_64__)

#define TNB_EXPAND __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,f16c,popcnt")))

namespace {

// 16 elements from number `i` on, those of the mask's bits in their lanes and zeros elsewhere: numbers as
// fp32, codes as 32-bit integers.
template <SparseType kType>
TNB_EXPAND inline __m512i Place(const void* data, int64_t i, __mmask16 mask) {
  if constexpr (kType == SparseType::kF32) {
    return _mm512_maskz_expand_epi32(mask, _mm512_loadu_si512(static_cast<const float*>(data) + i));
  } else if constexpr (kType == SparseType::kF16) {
    const auto* from = reinterpret_cast<const __m256i*>(static_cast<const uint16_t*>(data) + i);
    return _mm512_maskz_expand_epi32(mask, _mm512_castps_si512(_mm512_cvtph_ps(_mm256_loadu_si256(from))));
  } else if constexpr (kType == SparseType::kBF16) {
    const auto* from = reinterpret_cast<const __m256i*>(static_cast<const uint16_t*>(data) + i);
    return _mm512_maskz_expand_epi32(mask,
                                     _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from)), 16));
  } else if constexpr (kType == SparseType::kInt8) {
    const auto* from = reinterpret_cast<const __m128i*>(static_cast<const uint8_t*>(data) + i);
    return _mm512_maskz_expand_epi32(mask, _mm512_cvtepu8_epi32(_mm_loadu_si128(from)));
  } else {
    // Nine bytes have 16 nibbles from any nibble on.
    const uint8_t* from = static_cast<const uint8_t*>(data) + i / 2;
    uint64_t nibbles;
    __builtin_memcpy(&nibbles, from, sizeof nibbles);
    if (i % 2 != 0) nibbles = nibbles >> 4 | uint64_t{from[8]} << 60;
    const __m512i halves =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set1_epi32(static_cast<int>(nibbles))),
                           _mm256_set1_epi32(static_cast<int>(nibbles >> 32)), 1);
    const __m512i shifts = _mm512_set_epi32(28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0);
    return _mm512_maskz_expand_epi32(
        mask, _mm512_and_si512(_mm512_srlv_epi32(halves, shifts), _mm512_set1_epi32(15)));
  }
}

template <SparseType kType>
TNB_EXPAND int64_t ExpandType(const SparsePanels& w, int64_t panel, int64_t begin, int64_t end, int64_t cols,
                              int64_t element, float* out) {
  constexpr bool kInteger = kType == SparseType::kInt8 || kType == SparseType::kInt4;
  const uint32_t* masks = w.masks(panel);
  const void* data = w.elements();
  const int64_t group = w.values().group == 0 ? cols : w.values().group;
  [[maybe_unused]] alignas(64) float scales[kPanelRows], zeros[kPanelRows];
  for (int64_t c = begin; c < end; ++c, out += kPanelRows) {
    if constexpr (kInteger) {
      if (c == begin || c % group == 0) w.GroupOf(panel, c, scales, zeros);
    }
    for (int half = 0; half < 2; ++half) {
      const auto mask = static_cast<__mmask16>(masks[c] >> (16 * half));
      const __m512i placed = Place<kType>(data, element, mask);
      element += std::popcount(static_cast<uint32_t>(mask));
      __m512 value = _mm512_castsi512_ps(placed);
      if constexpr (kInteger) {
        const __m512 code = _mm512_cvtepi32_ps(placed);
        const __m512 difference = _mm512_maskz_sub_ps(mask, code, _mm512_load_ps(zeros + 16 * half));
        value = _mm512_mul_ps(difference, _mm512_load_ps(scales + 16 * half));
      }
      _mm512_storeu_ps(out + 16 * half, value);
    }
  }
  return element;
}

}  // namespace

bool HasExpand() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

int64_t ExpandSparse(const SparsePanels& w, int64_t panel, int64_t begin, int64_t end, int64_t cols,
                     int64_t element, float* out) {
  switch (w.values().type) {
    case SparseType::kF16:
      return ExpandType<SparseType::kF16>(w, panel, begin, end, cols, element, out);
    case SparseType::kBF16:
      return ExpandType<SparseType::kBF16>(w, panel, begin, end, cols, element, out);
    case SparseType::kInt8:
      return ExpandType<SparseType::kInt8>(w, panel, begin, end, cols, element, out);
    case SparseType::kInt4:
      return ExpandType<SparseType::kInt4>(w, panel, begin, end, cols, element, out);
    default:
      return ExpandType<SparseType::kF32>(w, panel, begin, end, cols, element, out);
  }
}

#else

bool HasExpand() { return false; }
int64_t ExpandSparse(const SparsePanels&, int64_t, int64_t, int64_t, int64_t, int64_t element, float*) {
  return element;
}

#endif

}  // namespace tnb::kernels
