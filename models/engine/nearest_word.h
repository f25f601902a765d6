// The nearest of many codebook entries to one vector: what encoding by a codebook costs.
#pragma once

#include <cstdint>

namespace tnb::kernels {

// The first entry k for which halves[k] - point · entry k is least. `words` lie turned, [size][padded];
// `padded` is a multiple of 16, with infinite halves behind the last entry. With halves of |entry|^2 / 2 it
// is the nearest one.
void NearestRow(const float* point, int64_t size, const float* words, const float* halves, int64_t padded,
                int32_t* code);

}  // namespace tnb::kernels
