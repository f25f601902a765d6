// Prefill and decoding of random weights in a model's shape, as llama-bench sweeps them: every method x depth
// x number of threads x number of tokens, all repetitions interleaved.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/bench.h"
#include "models/config.h"

namespace tnb {

struct SweepRequest {
  ModelConfig config{};
  std::vector<std::string> methods{};                  // as the user wrote them
  std::vector<int64_t> prefill{}, decode{}, depths{};  // tokens
  std::vector<MachineLimits> limits{};                 // one a number of threads
  int repetitions = 5;
  bool twice = false;  // every test once more, as if it were another one
};

struct SweepTest {
  std::string method{}, canonical{};
  bool decoding = false;
  int64_t tokens = 0, depth = 0;
  size_t limits = 0;  // index into SweepRequest::limits
  double least = 0;   // seconds in which the machine could do it; attention is not counted
  std::vector<double> seconds{};
  std::vector<double> again{};  // with SweepRequest::twice

  std::string Name() const;   // of the speed phase's metric: "prefill_128", "decode_32"
  std::string Title() const;  // as llama-bench has it: "pp128", "tg32 @ d1024"
};

// The most tokens that some test of the request feeds; tests that do not fit the context are left out.
// Error{kUsage} when none fits.
int64_t SweepCapacity(const SweepRequest& request);

// Error{kUsage} for methods that need a checkpoint or a calibration text.
std::vector<SweepTest> MeasureSweep(const SweepRequest& request);

// The weights of the shapes of a model's linears, each once: (rows, columns).
std::vector<std::pair<int64_t, int64_t>> LinearShapes(const ModelConfig& config);

}  // namespace tnb
