// kron: a sum of Kronecker products, W ~ A1 (x) B1 + ... + Ar (x) Br, by the singular value decomposition of
// the rearranged matrix, whose rows are the entries of A and whose columns those of B (Van Loan and Pitsianis
// 1993). That is the chain of two cores with bond dimension r (chain.h); what differs from mpo are the shapes
// that are tried. Kronecker products for transformers: KroneckerBERT (arXiv 2109.06243), TQCompressor (arXiv
// 2401.16367).
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry KronEntry();

}  // namespace tnb
