// statistics_golden.json: expected values by SciPy and statsmodels (versions inside), written by
// make_statistics_golden.py.
#pragma once

#include <filesystem>

#include "base/json.h"

namespace tnb::testing {

inline const Json& StatisticsGolden() {
  static const Json golden =
      ReadJsonFile(std::filesystem::path(TNBENCH_SOURCE_DIR) / "tests/reports/statistics_golden.json");
  return golden;
}

}  // namespace tnb::testing
