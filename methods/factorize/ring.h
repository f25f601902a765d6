// ring: a tensor ring (arXiv 1606.05535): a chain whose last core is bound to its first by a bond of size
// `closing` (chain.h).
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry RingEntry();

}  // namespace tnb
