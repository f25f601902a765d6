// A line chart as a self-contained SVG: axes with round ticks, one color a series, a legend. For charts of a
// handful of series; nothing in the file refers to anything outside.
#pragma once

#include <string>
#include <vector>

namespace tnb {

struct PlotSeries {
  std::string name;
  std::vector<double> x, y;  // as long as each other; a point that is not finite is a gap in the line
  bool marks = false;        // circles instead of a line
};

struct LinePlot {
  std::string title, x_label, y_label;
  std::vector<PlotSeries> series;
};

// Error{kInternal} when a series has more x than y or the reverse, or nothing is finite.
std::string RenderSvg(const LinePlot& plot);

// At most about `count` round numbers (1, 2 or 5 times a power of ten apart) within [least, most].
std::vector<double> RoundTicks(double least, double most, int count);

}  // namespace tnb
