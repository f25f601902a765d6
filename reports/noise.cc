#include "reports/noise.h"

namespace tnb {

std::vector<double> StoredNoise(const Store& store, const std::string& machine_hash,
                                const std::string& metric) {
  std::vector<double> ratios;
  for (const std::string kind : {"prefill_", "decode_"}) {
    if (metric.rfind(kind, 0) != 0) continue;
    for (const MeasurementRow& row : store.Measurements("noise", machine_hash)) {
      if (row.name.rfind(kind, 0) == 0) ratios.push_back(row.value);
    }
  }
  return ratios;
}

}  // namespace tnb
