// What `tnbench bench --noise-floor` found on a machine: how far two measurements of the same thing lie
// apart.
#pragma once

#include <string>
#include <vector>

#include "records/store.h"

namespace tnb {

// Ratios for NoiseFloor (reports/statistics/ranks.h): of prefill for prefill_*, of decoding for decode_*,
// whatever the model, method and number of threads; none for other metrics.
std::vector<double> StoredNoise(const Store& store, const std::string& machine_hash,
                                const std::string& metric);

}  // namespace tnb
