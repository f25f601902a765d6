// svd: plain truncated singular value decomposition, W ~ A B with A = U sqrt(S), B = sqrt(S) Vᵀ
// (Eckart-Young: optimal in Frobenius norm, not in output error). Parameters rank (m + n). The baseline every
// tensor network has to beat.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry SvdEntry();

}  // namespace tnb
