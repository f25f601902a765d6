// Element formats of stored tensors and their expansion to fp32: plain floats (F32, F16, BF16) and ggml's
// block formats, whose values come in blocks of 32 or 256 that share scales. Expansion is bit-exact with
// ggml's dequantize_row_* functions (ggml-quants.c, block layouts of ggml-common.h). Stored bytes need no
// alignment and are little-endian.
#pragma once

#include <cstdint>
#include <string_view>

namespace tnb {

struct ElementFormat {
  const char* name;      // as in files: "F32", "Q4_K"
  int64_t block_values;  // values a block; 1 for plain floats
  int64_t block_bytes;
  // Expands `blocks` blocks to blocks * block_values floats. NaN and infinities pass through.
  void (*expand)(const uint8_t* stored, int64_t blocks, float* out);
};

// Null when values of this format cannot be expanded.
const ElementFormat* FindElementFormat(std::string_view name);

// Makes blocks of `blocks` * block_values finite floats, as ggml's quantize_row_*_ref functions do: codes of
// the values of a block that becomes all zeros may differ from ggml's, the values they stand for do not.
using QuantizeBlocks = void (*)(const float* values, int64_t blocks, uint8_t* stored);
// Null where it is not offered; there are Q8_0, Q4_0, Q5_0, Q4_K and Q6_K.
QuantizeBlocks FindQuantizer(std::string_view name);

// The nearest IEEE 754 binary16, halves to even; infinite from 65520 on, NaN stays NaN.
uint16_t FloatToHalf(float value);
// IEEE 754 binary16 to fp32, exact, subnormals, infinities and NaN included.
float HalfToFloat(uint16_t bits);

// Index of the first NaN or infinity among `count` values; -1 when all are finite.
int64_t FindNonFinite(const float* values, int64_t count);

}  // namespace tnb
