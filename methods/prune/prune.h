// Pruning: elements of a matrix become zero and are not stored. Bytes are those of MakeSparseWeight; the
// elements keep their format (`fp16+wanda` and `wanda+fp16` store two bytes each), and zeros stay zeros in
// every later stage.
#pragma once

#include "methods/stage.h"

namespace tnb {

// The least |w| of every matrix, or of every group of columns.
StageEntry MagnitudeEntry();
// The least |w_ij| * sqrt(E[x_j^2]) of every row: Sun et al., arXiv 2306.11695.
StageEntry WandaEntry();
// Columns one after the other, each error made good by those that follow: Frantar and Alistarh, arXiv
// 2301.00774.
StageEntry SparseGptEntry();

// Whole blocks: those whose output is most like their input. Men et al., arXiv 2403.03853.
StageEntry LayerDropEntry();

}  // namespace tnb
