// Repeated timings, with Google Benchmark as the engine: repetitions of all timings are interleaved in random
// order, so that a slow minute of the machine does not fall on one of them, and every repetition is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/phase.h"

namespace tnb {

// One repetition: how long it took, and the number it stands for (tokens/s, ms).
struct Sample {
  double seconds = 0;
  double value = 0;
};

struct Timing {
  std::string name;     // metric, "prefill_128"
  std::string variant;  // "", "contracted", "rebuilt"
  int64_t tokens = 0;   // processed by one repetition
  int repetitions = 1;
  std::function<double()> run;  // one repetition; its seconds
};

// Runs every timing once to warm up and then `repetitions` times; emits samples and metrics in tokens/s.
void RunTimings(const std::vector<Timing>& timings, Emitter& emit);

// The samples as rows, and a metric: their median, n, and the interval of the median by order statistics (95
// % from six repetitions on; below, the smallest and the largest).
void EmitSamples(Emitter& emit, const std::string& name, const std::string& variant, const std::string& unit,
                 const std::vector<Sample>& samples);

}  // namespace tnb
