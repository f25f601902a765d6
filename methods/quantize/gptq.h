// gptq: rounding with feedback (feedback.h) of every linear of the blocks. By default the inputs are those
// that the already compressed blocks before it put out, which takes one walk through the model with two
// passes a block; `feed=dense` takes the dense model's, whose statistics are kept and shared.
//
// A dense linear is rounded in the metric of its inputs, or with metric=fisher in that of the loss. Of a
// low-rank linear A B both factors are: B with H and Aᵀ G A, then A with B H Bᵀ of the rounded B and G. Cores
// of other networks are rounded to nearest, and the layer's record says so.
//
// `bits=mixed` gives every linear its own width among 2, 3, 4, 5, 6 and 8 bits: the sum of losses in the
// metric is minimized for a total of `average` bits a weight, scales included, by one price a bit for all
// (allocation.h). Losses are those of rounding to nearest, which are proportional to what feedback leaves.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry GptqEntry();

}  // namespace tnb
