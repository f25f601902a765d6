// mpo: a matrix product operator (chain.h), as CompactifAI (arXiv 2401.14109) describes it.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry MpoEntry();

}  // namespace tnb
