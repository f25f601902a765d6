// Draws for resampling that are the same with every compiler and library: std::uniform_int_distribution is
// not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

namespace tnb {

// Uniform in [0, count), 0 < count < 2^32; biased by less than count / 2^32.
inline size_t RandomIndex(std::mt19937_64& random, size_t count) {
  return static_cast<size_t>((random() >> 32) * static_cast<uint64_t>(count) >> 32);
}

}  // namespace tnb
