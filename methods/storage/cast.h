// fp32, bf16, fp16: floating-point storage. Codes of earlier quantizing stages are left as they are.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry CastEntry(const std::string& name);

}  // namespace tnb
