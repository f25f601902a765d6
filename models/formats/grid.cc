#include "models/formats/grid.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tnb {
namespace {

constexpr int64_t kMostLevels = 256;
constexpr double kShare = 0.95;

// Levels that hold `kShare` of the groups of this width, 0 when fewer lie on a grid.
int64_t LevelsOfGroups(const float* weights, int64_t rows, int64_t cols, int64_t width) {
  std::vector<int64_t> levels;
  int64_t none = 0;
  const int64_t step = std::max<int64_t>(1, rows / kGridRows);
  for (int64_t row = 0; row < rows; row += step) {
    // The short group at the end of a row has fewer values to contradict a grid.
    for (int64_t begin = 0; begin + width <= cols; begin += width) {
      const int64_t found = GridLevels(weights + row * cols + begin, width, kMostLevels);
      if (found > 1) levels.push_back(found);
      if (found == 0) ++none;
    }
  }
  const auto total = static_cast<double>(levels.size()) + static_cast<double>(none);
  if (levels.empty() || static_cast<double>(levels.size()) < kShare * total) return 0;
  std::sort(levels.begin(), levels.end());
  return levels[static_cast<size_t>(kShare * static_cast<double>(levels.size() - 1))];
}

}  // namespace

int64_t GridLevels(const float* values, int64_t count, int64_t most) {
  std::vector<double> sorted(values, values + count);
  std::sort(sorted.begin(), sorted.end());
  const double range = sorted.back() - sorted.front();
  if (!(range > 0)) return 1;
  // code * scale + minimum in fp32 is off by a few units in the last place of the largest value.
  const double magnitude = std::max(std::abs(sorted.front()), std::abs(sorted.back()));
  const double tolerance = magnitude * 0x1p-19;
  // Half a step of the finest legal grid: in Euclid's algorithm, what is below it is rounding.
  const double least = range / static_cast<double>(2 * most);
  if (least < 8 * tolerance) return 0;  // fp32 cannot tell
  // The greatest common divisor of the gaps between neighbors, which are few steps wide, so that the
  // algorithm multiplies their errors by little.
  std::vector<double> gaps;
  for (size_t i = 1; i < sorted.size(); ++i) {
    const double gap = sorted[i] - sorted[i - 1];
    if (gap > 2 * tolerance) gaps.push_back(gap);
  }
  std::sort(gaps.begin(), gaps.end());
  if (gaps.empty()) return 0;
  double step = gaps.front();
  for (const double gap : gaps) {
    double a = step, b = std::abs(gap - step * std::round(gap / step));
    while (b > least) {
      const double rest = std::abs(a - b * std::round(a / b));
      a = b;
      b = rest;
    }
    step = a;
    if (range / step > static_cast<double>(most)) return 0;
  }
  // From near to far: each place makes the step more exact for the next one.
  for (const double value : sorted) {
    const double place = std::round((value - sorted.front()) / step);
    if (place > 0) step = (value - sorted.front()) / place;
  }
  const double cells = std::round(range / step);
  for (const double value : sorted) {
    const double place = (value - sorted.front()) / step;
    if (std::abs(place - std::round(place)) * step > tolerance) return 0;
  }
  const auto levels = static_cast<int64_t>(cells) + 1;
  return levels <= most ? levels : 0;
}

std::optional<GridFinding> FindGrid(const float* weights, int64_t rows, int64_t cols) {
  std::optional<GridFinding> finding;
  for (const int64_t width : {int64_t{16}, int64_t{32}, int64_t{64}, int64_t{128}, cols}) {
    if (width > cols || (finding && width <= finding->group)) continue;
    const int64_t levels = LevelsOfGroups(weights, rows, cols, width);
    if (levels == 0) break;
    finding = GridFinding{width, levels};
  }
  return finding;
}

}  // namespace tnb
