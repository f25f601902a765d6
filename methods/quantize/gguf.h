// The block formats of GGUF files as storage: q8_0, q4_0, q4_k, q6_k, made as llama.cpp makes them without an
// importance matrix. Bits a weight: 8.5, 4.5, 4.5, 6.5625. A matrix whose columns are not a multiple of 256
// cannot hold blocks of 256; as in llama.cpp q5_0 (5.5 bits) stands in for q4_k and q8_0 for q6_k, and fp16
// where not even blocks of 32 fit. The layer's record says what it became.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry GgufEntry(const std::string& name);  // "q8_0" "q4_0" "q4_k" "q6_k"

}  // namespace tnb
