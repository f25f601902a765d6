// The nearest of many codebook entries: 16 of them at a time.
#include "models/engine/nearest_word.h"

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

// |p - w|^2 = |p|^2 + 2 (|w|^2 / 2 - p · w): the bracket is enough.
void NearestRow(const float* HWY_RESTRICT point, int64_t size, const float* HWY_RESTRICT words,
                const float* HWY_RESTRICT halves, int64_t padded, int32_t* code) {
  const DF d;
  const hn::RebindToSigned<DF> di;
  auto best = hn::LoadU(d, halves);
  auto best_index = hn::Iota(di, 0);
  for (int64_t j = 0; j < size; ++j) {
    best = hn::NegMulAdd(hn::Set(d, point[j]), hn::LoadU(d, words + j * padded), best);
  }
  for (int64_t k = kLanes; k < padded; k += kLanes) {
    auto score = hn::LoadU(d, halves + k);
    for (int64_t j = 0; j < size; ++j) {
      score = hn::NegMulAdd(hn::Set(d, point[j]), hn::LoadU(d, words + j * padded + k), score);
    }
    const auto less = hn::Lt(score, best);
    best = hn::IfThenElse(less, score, best);
    best_index = hn::IfThenElse(hn::RebindMask(di, less), hn::Iota(di, static_cast<int32_t>(k)), best_index);
  }
  HWY_ALIGN float scores[kLanes];
  HWY_ALIGN int32_t indices[kLanes];
  hn::Store(best, d, scores);
  hn::Store(best_index, di, indices);
  int64_t lane = 0;
  for (int64_t i = 1; i < kLanes; ++i) {
    if (scores[i] < scores[lane] || (scores[i] == scores[lane] && indices[i] < indices[lane])) lane = i;
  }
  *code = indices[lane];
}

}  // namespace tnb::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tnb::kernels {

HWY_EXPORT(NearestRow);
void NearestRow(const float* point, int64_t size, const float* words, const float* halves, int64_t padded,
                int32_t* code) {
  HWY_DYNAMIC_DISPATCH(NearestRow)(point, size, words, halves, padded, code);
}

}  // namespace tnb::kernels
#endif
