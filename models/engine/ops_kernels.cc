#include <cmath>
#include <limits>

#include "models/engine/ops.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers build "undefined" vectors from themselves, which these warnings misread.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/engine/ops_kernels.cc"
// foreach_target.h must come first, the others after it.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tnb::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(DF()));

void RmsNormRow(const float* HWY_RESTRICT x, const float* HWY_RESTRICT weight, int64_t size, float epsilon,
                float* HWY_RESTRICT y) {
  const DF d;
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const auto value = hn::LoadU(d, x + i);
    sum = hn::MulAdd(value, value, sum);
  }
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (int64_t rest = i; rest < size; ++rest) total += x[rest] * x[rest];
  const float inverse = 1.0F / std::sqrt(total / static_cast<float>(size) + epsilon);
  for (int64_t j = 0; j < i; j += kLanes) {
    const auto value = hn::Mul(hn::LoadU(d, x + j), hn::Set(d, inverse));
    hn::StoreU(hn::Mul(value, hn::LoadU(d, weight + j)), d, y + j);
  }
  for (; i < size; ++i) y[i] = x[i] * inverse * weight[i];
}

void SwiGluRow(const float* HWY_RESTRICT gate, const float* HWY_RESTRICT up, int64_t size,
               float* HWY_RESTRICT y) {
  const DF d;
  const auto one = hn::Set(d, 1.0F);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const auto g = hn::LoadU(d, gate + i);
    const auto silu = hn::Div(g, hn::Add(one, hn::Exp(d, hn::Neg(g))));
    hn::StoreU(hn::Mul(silu, hn::LoadU(d, up + i)), d, y + i);
  }
  for (; i < size; ++i) y[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
}

float SoftmaxRow(float* HWY_RESTRICT scores, int64_t first, int64_t last, int64_t end) {
  const DF d;
  // Whole vectors counted from `first`, so that the order of the sum depends on the number of keys alone; the
  // last may be partly used.
  const int64_t whole = first + (last + 1 - first) / kLanes * kLanes;
  const auto rest = hn::FirstN(d, static_cast<size_t>(last + 1 - whole));
  const auto lowest = hn::Set(d, std::numeric_limits<float>::lowest());
  auto best = hn::IfThenElse(rest, hn::LoadU(d, scores + whole), lowest);
  for (int64_t j = first; j < whole; j += kLanes) best = hn::Max(best, hn::LoadU(d, scores + j));
  const auto largest = hn::MaxOfLanes(d, best);
  auto sum = hn::Zero(d);
  for (int64_t j = first; j < whole; j += kLanes) {
    const auto value = hn::Exp(d, hn::Sub(hn::LoadU(d, scores + j), largest));
    hn::StoreU(value, d, scores + j);
    sum = hn::Add(sum, value);
  }
  const auto value = hn::IfThenElseZero(rest, hn::Exp(d, hn::Sub(hn::LoadU(d, scores + whole), largest)));
  hn::StoreU(value, d, scores + whole);
  sum = hn::Add(sum, value);
  for (int64_t j = 0; j < first; ++j) scores[j] = 0.0F;
  for (int64_t j = whole + kLanes; j < end; ++j) scores[j] = 0.0F;
  return 1.0F / hn::GetLane(hn::SumOfLanes(d, sum));
}

RowSummary SummarizeRow(const float* HWY_RESTRICT logits, int64_t size) {
  const DF d;
  RowSummary summary;
  float largest = -std::numeric_limits<float>::infinity();
  int64_t i = 0;
  if (size >= kLanes) {
    auto best = hn::LoadU(d, logits);
    for (i = kLanes; i + kLanes <= size; i += kLanes) best = hn::Max(best, hn::LoadU(d, logits + i));
    largest = hn::GetLane(hn::MaxOfLanes(d, best));
  }
  for (; i < size; ++i) largest = HWY_MAX(largest, logits[i]);
  const auto sought = hn::Set(d, largest);
  while (summary.argmax + kLanes <= size &&
         hn::AllFalse(d, hn::Eq(hn::LoadU(d, logits + summary.argmax), sought))) {
    summary.argmax += kLanes;
  }
  while (summary.argmax + 1 < size && logits[summary.argmax] != largest) ++summary.argmax;
  // Partial sums of 4,096 values in fp32 (relative error below 1e-6), then fp64.
  double total = 0;
  for (i = 0; i + kLanes <= size;) {
    auto sum = hn::Zero(d);
    const int64_t end = HWY_MIN(i + 4096, size);
    for (; i + kLanes <= end; i += kLanes) {
      sum = hn::Add(sum, hn::Exp(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, largest))));
    }
    total += hn::GetLane(hn::SumOfLanes(d, sum));
  }
  for (; i < size; ++i) total += std::exp(double{logits[i]} - largest);
  summary.log_sum_exp = double{largest} + std::log(total);
  return summary;
}

}  // namespace tnb::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tnb::kernels {

HWY_EXPORT(RmsNormRow);
HWY_EXPORT(SwiGluRow);
HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(SummarizeRow);

void RmsNormRow(const float* x, const float* weight, int64_t size, float epsilon, float* y) {
  HWY_DYNAMIC_DISPATCH(RmsNormRow)(x, weight, size, epsilon, y);
}

void SwiGluRow(const float* gate, const float* up, int64_t size, float* y) {
  HWY_DYNAMIC_DISPATCH(SwiGluRow)(gate, up, size, y);
}

float SoftmaxRow(float* scores, int64_t first, int64_t last, int64_t end) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxRow)(scores, first, last, end);
}

RowSummary SummarizeRow(const float* logits, int64_t size) {
  return HWY_DYNAMIC_DISPATCH(SummarizeRow)(logits, size);
}

}  // namespace tnb::kernels
#endif
