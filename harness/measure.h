// Repeated timings, with Google Benchmark as the engine: repetitions of all timings are interleaved in random
// order, so that a slow minute of the machine does not fall on one of them, and every repetition is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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
  std::string name{};     // metric, "prefill_128"
  std::string variant{};  // "", "contracted", "rebuilt"
  int64_t tokens = 0;     // processed by one repetition
  int repetitions = 1;
  std::function<double()> run{};  // one repetition; its seconds
  double budget = 0;              // seconds for all repetitions; 0: no limit
  double warm_up = 0;             // seconds that it just took; 0: it was not run yet
};

// Runs every timing once to warm up and then `repetitions` times, all interleaved in random order; the
// seconds of the repetitions, by timing. Where the warm-up foretells that they would take longer than the
// timing's budget there are fewer of them, and where one alone would, the warm-up stands for it. `progress`
// is called after each, also for those that are left out.
std::vector<std::vector<double>> TimeInterleaved(const std::vector<Timing>& timings,
                                                 const std::function<void()>& progress);

// TimeInterleaved; emits samples and metrics in tokens/s, and a warning for each that was repeated less.
void RunTimings(const std::vector<Timing>& timings, Emitter& emit);

// The samples as rows, and a metric: their median, n, and the interval of the median by order statistics (95
// % from six repetitions on; below, the smallest and the largest).
void EmitSamples(Emitter& emit, const std::string& name, const std::string& variant, const std::string& unit,
                 const std::vector<Sample>& samples);

// Resident bytes as metrics, nothing when the system does not tell. Settled: after free memory was given
// back; call it while what is measured (the model) is in memory.
void EmitBytes(Emitter& emit, const std::string& name, const std::optional<int64_t>& bytes);
void EmitSettledMemory(Emitter& emit);

}  // namespace tnb
