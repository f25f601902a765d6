// pq, opq, lopq and qet as stages (product.h): every weight of a linear becomes a codebook weight of a given
// number of bits an element, everything counted.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry PqEntry();
StageEntry OpqEntry();
StageEntry LopqEntry();
StageEntry QetEntry();

// The largest divisor of `cols` up to `wanted` that is a multiple of `unit`; Error{kUnsupported} when there
// is none.
int64_t VectorWidth(int64_t cols, int64_t wanted, int64_t unit);

}  // namespace tnb
