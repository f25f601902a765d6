// Stages that rewrite a model into another one with the same outputs, so that what compresses it afterwards
// meets other weights. They say nothing about accuracy themselves: the fp32 perplexity stays what it was, up
// to rounding.
//
//   fold-norms   the gains of the RMSNorms move into the linears that read them: W diag(g), norms become 1
//   rotate       the residual stream is turned by a random orthogonal Q: embedding E Q, readers W Q, writers
//                Qᵀ W (SliceGPT, arXiv 2401.15024, section 3.2; QuaRot, arXiv 2404.00456; SpinQuant,
//                arXiv 2405.16406). Folds the norms, as a rotation passes through a norm without gains only.
//
// A tied head becomes a matrix of its own, because gains (and only on that side) move into it: both write a
// model that is larger than the one they read, which the byte counts show.
//
// Why a measuring tool has them: a checkpoint that was quantized once lies on a grid, and a quantizer that
// hits this grid looks lossless (models/formats/grid.h). These stages take a model off it.
#pragma once

#include <memory>

#include "methods/stage.h"

namespace tnb {

StageEntry FoldNormsEntry();
StageEntry RotateEntry();

std::shared_ptr<const Checkpoint> FoldNorms(std::shared_ptr<const Checkpoint> source);
// `seed`: of Q, the orthogonal factor of a Gaussian matrix (Haar distributed). Products in fp64.
std::shared_ptr<const Checkpoint> Rotate(std::shared_ptr<const Checkpoint> source, uint64_t seed);

}  // namespace tnb
