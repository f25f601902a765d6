// Timings of two methods from alternating processes: every process is one observation, so that what differs
// from process to process (memory layout, a slow minute) counts as noise.
#include <algorithm>
#include <cmath>
#include <map>

#include "reports/compare.h"
#include "reports/noise.h"
#include "reports/run_data.h"

namespace tnb {
namespace {

// Of every timing of the speed phase without variant: its value in each run.
std::map<std::string, std::pair<std::string, std::vector<double>>> TimesOf(const Store& store,
                                                                           const std::vector<int64_t>& runs) {
  std::map<std::string, std::pair<std::string, std::vector<double>>> times;
  for (const int64_t id : runs) {
    for (const auto& [phase, row] : LoadRun(store, store.Run(id)).metrics) {
      if (phase != "speed" || !row.variant.empty()) continue;
      if (row.unit != "tokens/s" && row.unit != "s" && row.name != "resident_peak") continue;
      if (!(row.value > 0) || !std::isfinite(row.value)) continue;
      times[row.name].first = row.unit;
      times[row.name].second.push_back(row.value);
    }
  }
  return times;
}

}  // namespace

RunComparison CompareRepeated(const Store& store, const std::vector<int64_t>& first,
                              const std::vector<int64_t>& second, const CompareOptions& options) {
  RunComparison pair{.first = store.Run(first.at(0)), .second = store.Run(second.at(0))};
  const auto before = TimesOf(store, first), after = TimesOf(store, second);
  std::vector<Comparison> table;
  for (const auto& [name, times] : before) {
    const auto other = after.find(name);
    if (other == after.end()) continue;
    const auto& [unit, values] = times;
    ComparedNumber number{.aspect = unit == "bytes" ? "memory" : "time",
                          .name = name,
                          .unit = unit,
                          .first = Median(values),
                          .second = Median(other->second.second)};
    const double floor = std::max(options.noise_floor, StoredNoise(store, pair.first.machine.hash, name));
    TestOptions tests = options.tests;
    tests.margin = std::max(tests.margin, floor);
    number.comparison = CompareTimes(values, other->second.second, floor, tests);
    number.comparison.higher_is_better = unit == "tokens/s";
    table.push_back(number.comparison);
    pair.numbers.push_back(std::move(number));
  }
  const std::vector<Judgment> judged = Judge(table, options.tests.alpha);
  for (size_t i = 0; i < judged.size(); ++i) pair.numbers[i].judgment = judged[i];
  pair.notes.emplace_back("every observation is the median of one process; the processes took turns A B B A");
  return pair;
}

}  // namespace tnb
