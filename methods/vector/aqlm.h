// aqlm as a stage (additive.h).
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry AqlmEntry();

}  // namespace tnb
