// awq, smoothquant and awt: factors move between a linear and whatever makes its input, so that rounding or a
// truncation meets other numbers, and the model stays what it is.
//
// Column j of W is multiplied by s_j and its input divided by it: in the gain of the norm before q, k, v or
// before gate, up; in the rows of v before o (where every query head has a value head of its own) and of up
// before down. A row times a constant rounds as before, since scales belong to rows. Factors move only when
// all linears that read the input, and the one that makes it, are selected.
//
//   awq          s = mean|x|^r, clipped at 1e-4, divided by sqrt(max s min s); r of 0, 0.05 .. 0.95 with the
//                least sum of tr(ΔW H ΔWᵀ) over the linears that share the input; then every group but those
//                of q and k is clamped to f absmax, f of 1, 0.95 .. 0.55 with the least error of its part of
//                the output. AWQ (arXiv 2306.00978) measures the error of whole attention and MLP modules
//                instead.
//   smoothquant  s = max|x|^alpha / max|w|^(1 - alpha), before q, k, v and gate, up (arXiv 2211.10438).
//   awt          s = max(least, (mean|x| / its mean)^alpha); matrices stay as they are. A tensor network of
//                W diag(s) is activation-aware weight tensorization (2026); low rank of it ASVD.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry AwqEntry();
StageEntry SmoothQuantEntry();
StageEntry AwtEntry();

}  // namespace tnb
