// What `tnbench bench` measures: the machine's limits, and kernels at the shapes of a model against them.
// Nothing of it is a result of a run: it explains speed, and finds out what a change of a kernel is worth.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tnb {

// Of this machine with a number of threads, the best that was seen. Operations count multiplications and
// additions.
struct MachineLimits {
  int threads = 1;
  double read_bytes = 0;  // per second, from memory
  double f32 = 0;         // operations per second, of 480 tokens times the matrices of small models
  double bf16 = 0;        // 0: no bf16 dot products here
  double int8 = 0;
  int64_t tries = 0;  // each limit is the best of so many at least

  // Of the arithmetic that a weight format (Weight::format()) computes with.
  double Operations(const std::string& format) const;
  // The least seconds in which so much can be read and computed.
  double Least(double bytes, double operations, const std::string& format) const;
};
MachineLimits MeasureLimits(int threads);

// One multiplication of `tokens` rows with a [rows, cols] weight.
struct KernelTime {
  std::string format;
  int64_t rows = 0, cols = 0, tokens = 0;
  size_t limits = 0;  // index into the limits that were given
  int64_t bytes = 0;  // stored
  std::vector<double> seconds;
};
// The formats that are measured: "fp32", "bf16", "fp16", "int8", "int8 g32", "int4 g32",
// "codebook 2x8 g8".
const std::vector<std::string>& KernelFormats();
// Every count of tokens with every number of threads, interleaved; up to 8 tokens, which wait for the weights
// (models/engine/panel_matmul.cc), with weights that come from memory, as in decoding.
std::vector<KernelTime> MeasureKernels(const std::string& format, int64_t rows, int64_t cols,
                                       const std::vector<int64_t>& tokens,
                                       const std::vector<MachineLimits>& limits, int repetitions);

}  // namespace tnb
