// The operations of a decoder between its linears. On the CPU our own kernels, which treat every token by
// itself in a fixed order; on other devices LibTorch's operators.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/engine/decoder.h"

namespace tnb {

// x / sqrt(mean(x^2) + epsilon) * weight by rows (arXiv 1910.07467). x [n, size].
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
// The same of x + delta, which it leaves in x (contiguous).
at::Tensor AddRmsNorm(at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double epsilon);
// silu(gate) * up (arXiv 2002.05202); [n, size] each.
at::Tensor SwiGlu(const at::Tensor& gate, const at::Tensor& up);
// Rotates x [n, heads, head size] in place by the angles of `positions` (int64 [n]); half-split pairs (i, i +
// size / 2).
void Rotate(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cosines, const at::Tensor& sines);

// Queries of one run and the keys they may see: logical key j of the run lies in `spans`, in order.
struct AttentionRun {
  std::vector<CacheSpan> spans;
  std::vector<int64_t> positions;  // of the queries, each sees keys up to its own position
  int64_t first_query = 0;         // row of q; queries of a run are consecutive
};

// Copies k and v [n, kv heads, head size] into the slots.
void StoreKeysValues(const at::Tensor& k, const at::Tensor& v, const std::vector<int64_t>& slots,
                     at::Tensor& keys, at::Tensor& values);
// softmax(q · kᵀ / sqrt(head size)) · v with grouped heads; q [n, heads, head size]; `window` > 0 limits how
// many keys a query sees (itself included). Returns [n, heads * head size].
at::Tensor Attention(const at::Tensor& q, const std::vector<AttentionRun>& runs, const at::Tensor& keys,
                     const at::Tensor& values, int64_t window);

// What scoring needs of rows of logits [n, vocabulary]: log(sum(exp(row))) and the first argmax.
struct RowSummary {
  double log_sum_exp = 0;
  int64_t argmax = 0;
};
std::vector<RowSummary> Summarize(const at::Tensor& logits);

// a bᵀ of fp32 matrices [n, k] and [m, k] on the CPU, by the kernel that linears use: twice as fast as
// LibTorch's matmul at the shapes of calibration.
at::Tensor TimesTransposed(const at::Tensor& a, const at::Tensor& b);
// a aᵀ of an fp32 or bf16 matrix in its own type, exactly symmetric, in little more than half the time.
at::Tensor Gram(const at::Tensor& a);

namespace kernels {

void RmsNormRow(const float* x, const float* weight, int64_t size, float epsilon, float* y);
void SwiGluRow(const float* gate, const float* up, int64_t size, float* y);
// Turns scores [first, last] into exp(score - max) in place, everything else of [0, end) into 0; returns 1 /
// sum. Up to 16 values after `last` are overwritten, also beyond `end`.
float SoftmaxRow(float* scores, int64_t first, int64_t last, int64_t end);
RowSummary SummarizeRow(const float* logits, int64_t size);

}  // namespace kernels
}  // namespace tnb
