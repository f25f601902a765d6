// int8 and int4 by rounding to nearest: one fp16 scale a row or a group of input columns. Bytes of an m x n
// matrix (methods' formulas, counted by IntegerWeight): int8 row m n + 2 m, group g m n + 2 m n / g; int4 m n
// / 2 + 2 m n / g, asymmetric another m n / (2 g) for the 4-bit zero points.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry Int8Entry();
StageEntry Int4Entry();

// Rounds `w` (fp32 [rows, cols]) to `bits` bits. Symmetric: scale absmax / (2^(bits-1) - 1), codes in
// [-2^(bits-1), 2^(bits-1) - 1] (stored with an offset). Asymmetric: the range widened to contain 0, scale
// (max - min) / (2^bits - 1), integer zero point. The scale is rounded to fp16 first and codes are chosen for
// the rounded scale. Groups of zeros give zeros. `group` 0: whole rows.
IntegerCodes RoundToNearest(const at::Tensor& w, int bits, int64_t group, bool symmetric);

}  // namespace tnb
