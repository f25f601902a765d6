// Weights that were quantized once and expanded again lie on a grid: within a group of columns they take few
// values at equal steps. A quantizer that hits this grid reproduces them exactly and looks lossless, so
// whoever measures quantizers has to know.
#pragma once

#include <cstdint>
#include <optional>

namespace tnb {

struct GridFinding {
  int64_t group = 0;   // columns that share a grid: 16, 32, 64, 128, or all of them
  int64_t levels = 0;  // at most so many equally spaced values in a group: 16 for a 4-bit file
};

// The largest group on whose grid at least 95 % of the groups of `weights` (fp32 [rows, cols]) lie; nothing
// when not even 16 columns share one of 256 levels or fewer. Constant groups say nothing and are not counted.
// Looks at about kGridRows rows, evenly spread.
constexpr int64_t kGridRows = 64;
std::optional<GridFinding> FindGrid(const float* weights, int64_t rows, int64_t cols);

// Levels of the coarsest grid of equal steps that holds all `count` values, or 0 when it would have more than
// `most`. Values may be off by the rounding of fp32.
int64_t GridLevels(const float* values, int64_t count, int64_t most);

}  // namespace tnb
