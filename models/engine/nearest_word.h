// The nearest of many codebook entries to vectors: what encoding by a codebook costs.
#pragma once

#include <cstdint>

namespace tnb::kernels {

// For each of `n` points [n, size]: the first entry k for which halves[k] - point · entry k is least. `words`
// lie turned, [size][padded]; `padded` is a multiple of 16, with infinite halves behind the last entry. With
// halves of |entry|^2 / 2 it is the nearest one. A point's code does not depend on the points beside it.
void NearestRows(const float* points, int64_t n, int64_t size, const float* words, const float* halves,
                 int64_t padded, int32_t* codes);

}  // namespace tnb::kernels
