// Codes in panel layout, one row at a time, and the tables that codes look up.
#pragma once

#include <cstdint>

#include "models/engine/panel.h"

namespace tnb {

// The 256 values that bitsandbytes quantizes scales to for double quantization (create_dynamic_map, signed, 7
// exponent bits): ascending, from -0.9930 to 1, denser towards zero.
const float* DynamicMap();

// Row `row` of a matrix of codes as fp32 [cols].
void UnpackCodeRow(const PanelMatrix& w, int64_t row, float* out);

}  // namespace tnb
