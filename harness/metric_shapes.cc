#include "harness/metric_shapes.h"

#include "tasks/metrics.h"

namespace tnb {

MetricShape ShapeOfMetric(const std::string& name) {
  if (name == "kld" || name.starts_with("kld_")) return {.higher_is_better = false};
  const MetricInfo* info = FindMetric(name);
  if (info == nullptr) return {};
  return {.higher_is_better = info->higher_is_better,
          .ratio = info->kind != MetricInfo::Kind::kMean,
          .denominator = info->denominator};
}

}  // namespace tnb
