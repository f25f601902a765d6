// The nearest of many codebook entries: 16 of them at a time.
#include "models/engine/nearest_word.h"

#include <cmath>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#define HWY_TARGET_INCLUDE "models/engine/nearest_word.cc"
// foreach_target.h must come first, the others after it.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tnb::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(DF()));

// The lane with the least score, and of equals the one with the least index.
HWY_INLINE int32_t FirstLeast(hn::Vec<DF> score, hn::Vec<hn::RebindToSigned<DF>> index) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  const auto least = hn::Eq(score, hn::MinOfLanes(d, score));
  const auto none = hn::Set(di, INT32_MAX);
  return hn::GetLane(hn::MinOfLanes(di, hn::IfThenElse(hn::RebindMask(di, least), index, none)));
}

// |p - w|^2 = |p|^2 + 2 (|w|^2 / 2 - p · w): the bracket is enough. Several points share the loads of the
// entries; their values stay in registers: kPoints * kSize is 16 at most.
template <int kSize, int kPoints>
HWY_INLINE void NearestTile(const float* HWY_RESTRICT points, const float* HWY_RESTRICT words,
                            const float* HWY_RESTRICT halves, int64_t padded, int32_t* codes) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  hn::Vec<DF> x[kPoints][kSize], best[kPoints];
  hn::Vec<hn::RebindToSigned<DF>> index[kPoints];
  for (int p = 0; p < kPoints; ++p) {
    for (int j = 0; j < kSize; ++j) x[p][j] = hn::Set(d, points[p * kSize + j]);
    best[p] = hn::Set(d, INFINITY);
    index[p] = hn::Iota(di, 0);
  }
  for (int64_t k = 0; k < padded; k += kLanes) {
    const auto half = hn::LoadU(d, halves + k);
    hn::Vec<DF> score[kPoints];
    for (int p = 0; p < kPoints; ++p) score[p] = half;
    for (int j = 0; j < kSize; ++j) {
      const auto word = hn::LoadU(d, words + j * padded + k);
      for (int p = 0; p < kPoints; ++p) score[p] = hn::NegMulAdd(x[p][j], word, score[p]);
    }
    const auto here = hn::Iota(di, static_cast<int32_t>(k));
    for (int p = 0; p < kPoints; ++p) {
      const auto less = hn::Lt(score[p], best[p]);
      best[p] = hn::IfThenElse(less, score[p], best[p]);
      index[p] = hn::IfThenElse(hn::RebindMask(di, less), here, index[p]);
    }
  }
  for (int p = 0; p < kPoints; ++p) codes[p] = FirstLeast(best[p], index[p]);
}

template <int kSize, int kPoints>
void NearestOf(const float* points, int64_t n, const float* words, const float* halves, int64_t padded,
               int32_t* codes) {
  int64_t i = 0;
  for (; i + kPoints <= n; i += kPoints) {
    NearestTile<kSize, kPoints>(points + i * kSize, words, halves, padded, codes + i);
  }
  for (; i < n; ++i) NearestTile<kSize, 1>(points + i * kSize, words, halves, padded, codes + i);
}

void NearestOfAnySize(const float* HWY_RESTRICT points, int64_t n, int64_t size,
                      const float* HWY_RESTRICT words, const float* HWY_RESTRICT halves, int64_t padded,
                      int32_t* codes) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  for (int64_t i = 0; i < n; ++i, points += size) {
    auto best = hn::Set(d, INFINITY);
    auto index = hn::Iota(di, 0);
    for (int64_t k = 0; k < padded; k += kLanes) {
      auto score = hn::LoadU(d, halves + k);
      for (int64_t j = 0; j < size; ++j) {
        score = hn::NegMulAdd(hn::Set(d, points[j]), hn::LoadU(d, words + j * padded + k), score);
      }
      const auto less = hn::Lt(score, best);
      best = hn::IfThenElse(less, score, best);
      index = hn::IfThenElse(hn::RebindMask(di, less), hn::Iota(di, static_cast<int32_t>(k)), index);
    }
    codes[i] = FirstLeast(best, index);
  }
}

void NearestRows(const float* points, int64_t n, int64_t size, const float* words, const float* halves,
                 int64_t padded, int32_t* codes) {
  switch (size) {
    case 1:
      return NearestOf<1, 4>(points, n, words, halves, padded, codes);
    case 2:
      return NearestOf<2, 4>(points, n, words, halves, padded, codes);
    case 4:
      return NearestOf<4, 4>(points, n, words, halves, padded, codes);
    case 8:
      return NearestOf<8, 2>(points, n, words, halves, padded, codes);
    case 16:
      return NearestOf<16, 1>(points, n, words, halves, padded, codes);
    default:
      return NearestOfAnySize(points, n, size, words, halves, padded, codes);
  }
}

}  // namespace tnb::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tnb::kernels {

HWY_EXPORT(NearestRows);
void NearestRows(const float* points, int64_t n, int64_t size, const float* words, const float* halves,
                 int64_t padded, int32_t* codes) {
  HWY_DYNAMIC_DISPATCH(NearestRows)(points, n, size, words, halves, padded, codes);
}

}  // namespace tnb::kernels
#endif
