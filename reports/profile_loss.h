// The loss of a run of a layer profile, from its rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "records/store.h"
#include "reports/metric_shape.h"

namespace tnb {

struct ProfileLoss {
  std::string measure, unit;
  std::optional<double> loss, se;  // larger is worse
  std::string failure;             // why there is no loss
  std::string source{};            // "n=1024, protocol drift 1f3a5c7e9b2d"
};

// Mean Kullback-Leibler divergence from the dense model, of the drift phase.
ProfileLoss DriftLoss(const Store& store, int64_t run_id);
// What the main metric of a task (or group) loses against the base's run, item by item; of perplexities and
// bits the difference of the negative log-likelihoods, in nats per token (word, byte). Standard errors take
// clusters of items as independent.
ProfileLoss TaskLoss(const Store& store, int64_t base_run, int64_t run_id, const std::string& task,
                     const MetricShapes& shapes);

}  // namespace tnb
