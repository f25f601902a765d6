#include "reports/noise.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace tnb {

double StoredNoise(const Store& store, const std::string& machine_hash, const std::string& metric) {
  std::map<std::tuple<std::string, std::string, std::string>, double> newest;
  for (const std::string kind : {"prefill_", "decode_"}) {
    if (metric.rfind(kind, 0) != 0) continue;
    for (const MeasurementRow& row : store.Measurements("noise", machine_hash)) {
      if (row.name.rfind(kind, 0) != 0 || !(row.value > 0)) continue;
      newest[{row.subject, row.name, row.settings.dump()}] = std::max(row.value, 1 / row.value) - 1;
    }
  }
  double largest = 0;
  for (const auto& [test, difference] : newest) largest = std::max(largest, difference);
  return largest;
}

}  // namespace tnb
