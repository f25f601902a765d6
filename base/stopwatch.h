// Elapsed time of a clock that is never set back.
#pragma once

#include <chrono>

namespace tnb {

using Clock = std::chrono::steady_clock;

inline double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace tnb
