// A line chart as a self-contained SVG: axes with round ticks, one color a series, a legend (beside the
// chart, or below it when a name is long). For charts of a handful of series, alone or within a page of HTML,
// on light and on dark screens; nothing in the file refers to anything outside.
#pragma once

#include <string>
#include <vector>

namespace tnb {

struct PlotSeries {
  std::string name;          // empty: of the color of the one before, without an entry in the legend
  std::vector<double> x, y;  // as long as each other; a point that is not finite is a gap in the line
  bool marks = false;        // circles instead of a line
  bool dashed = false;
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
