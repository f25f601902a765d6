// What a report must know of a quality metric: reports/ does not know tasks/, so the program says it.
#pragma once

#include <functional>
#include <string>

namespace tnb {

// How the items of a quality metric make its value.
struct MetricShape {
  bool higher_is_better = true;
  bool ratio = false;         // exp or log2 of -sum(loglikelihood) / sum(denominator)
  std::string denominator{};  // score that is summed below the fraction; "": counts items
};
// By name of the metric; defaults for one that it does not know.
using MetricShapes = std::function<MetricShape(const std::string& metric)>;

}  // namespace tnb
