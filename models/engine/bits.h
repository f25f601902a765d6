// Codes of a few bits one after the other: how they are stored wherever they are not computed with in panels.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>

namespace tnb {

// Bits that hold 0 .. count - 1.
int64_t BitsFor(int64_t count);

// PackBits and UnpackBits (weight.h) take whole numbers below 2^bits of any type, `bits` 0 to 16, into uint8
// [ceil(n * bits / 8)], the first in the lowest bits of the first byte, and give up to 8 bits back as uint8;
// this gives all of them back, as int32 [count]. A number that does not fit is a c10::Error.
at::Tensor UnpackIntegers(const at::Tensor& packed, int64_t bits, int64_t count);

// `bits` (up to 16) from bit number `at` on; `bytes`: how many there are.
inline uint32_t BitsAt(const uint8_t* data, int64_t bytes, int64_t at, int64_t bits) {
  const int64_t first = at / 8;
  uint32_t word = 0;
  if (first + 4 <= bytes) {
    std::memcpy(&word, data + first, 4);  // one load
  } else {
    std::memcpy(&word, data + first, static_cast<size_t>(bytes - first));
  }
  return (word >> (at % 8)) & ((uint32_t{1} << bits) - 1);
}

}  // namespace tnb
