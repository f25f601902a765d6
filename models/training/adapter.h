// Low-rank adapters beside weights that stay as they are (LoRA, arXiv 2106.09685; beside packed codes QLoRA,
// arXiv 2305.14314):
//
//   y = x (W + B A)ᵀ,   A [rank, in], B [out, rank]
//
// W keeps its stored form, whatever it is. The paper's alpha / rank is TrainerOptions::factor of B.
#pragma once

#include <ATen/core/Generator.h>

#include "models/engine/model.h"

namespace tnb {

// Replaces the slot's linear by the sum of itself and an adapter in bf16, whose inputs are fp32. A is uniform
// within 1 / sqrt(in), as the paper's release draws it, and B zero: the sum is the linear. The adapter's
// weights are the last kAdapterWeights of the sum, A before B. Error{kUsage} when the rank is larger than a
// side of the matrix.
constexpr int64_t kAdapterWeights = 2;
void AddAdapter(LinearSlot& slot, int64_t rank, at::Generator& generator);

// B A of the newest adapter, fp32 [out, in].
at::Tensor AdapterMatrix(const Linear& linear);

}  // namespace tnb
