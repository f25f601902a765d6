// Low rank, W ~ A B with A [out, rank], B [rank, in]: truncated singular value decompositions that differ in
// the metric in which they are optimal (whitening.h). Parameters rank (m + n); singular values split evenly.
//
//   svd      the Frobenius norm (Eckart-Young); the baseline every tensor network has to beat
//   asvd     columns scaled by (mean |x|)^alpha (arXiv 2312.05821); ranks uniform, not from its sensitivity
//   scan fwsvd    columns scaled by the square root of the Fisher information of each input (arXiv
//   2207.00112), from
//            the calibration text's own next tokens
//   svd-llm  the output error on the calibration text, by Cholesky whitening (arXiv 2403.07378), with a ridge
//   svd:whiten=fisher   both sides whitened, and one marginal-loss threshold for all layers: tnbench's own
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry SvdEntry();
StageEntry AsvdEntry();
StageEntry FwsvdEntry();
StageEntry SvdLlmEntry();

}  // namespace tnb
