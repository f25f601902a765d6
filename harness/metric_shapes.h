// What reports must know of the metrics of tasks/ and of drift.
#pragma once

#include <string>

#include "reports/metric_shape.h"

namespace tnb {

MetricShape ShapeOfMetric(const std::string& name);

}  // namespace tnb
