// decoquant: a matrix as a product of a large and a small core, of which only the large one is quantized.
//
// W[(o1 o2), (i1 i2)] is read as T[(o1 i1), (o2 i2)] = L S, a matrix product operator of two cores from which
// nothing is cut: L is orthonormal with as many numbers as W, S has (o2 i2)^2 and takes the range of the
// values, outliers included. L is rounded to codes of a few bits, S is kept in fp16. DecoQuant (arXiv
// 2405.12591) does this to keys and values; here it is done to weights, o2 and i2 being the largest divisors
// up to `leg`.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry DecoQuantEntry();

}  // namespace tnb
