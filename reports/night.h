// `tnbench nightly`: tonight's runs against the nights before, of the same model (by content), method,
// settings and class of machine. Times and memory by their history (reports/history.h), accuracy item by item
// against the night at which the present level began (exact McNemar or sign flips, by cluster where items
// share a passage, Holm over the run's tasks), and absolute limits. A night is a run whose phase was
// measured, not reused.
//
// A regression that is meant so is accepted once, for a reason: later nights are compared with its level.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "records/store.h"
#include "reports/history.h"
#include "reports/metric_shape.h"

namespace tnb {

// Which series are watched: "speed.decode_64", "compress.stored_bytes" (phase, then ColumnSpec::Key's parts).
struct WatchedSeries {
  std::string series{};
  bool higher_is_better = false;
  double floor = 0.02;
};

struct NightLimit {
  std::string series{};
  std::string method{};  // canonical; empty: every method
  std::optional<double> least{}, most{};
};

struct NightOptions {
  std::string suite{};
  WatchOptions watch{};
  double accuracy_alpha = 0.01;
  std::vector<WatchedSeries> series{};  // empty: rates, step time, compression time, peaks, stored bytes
  std::vector<NightLimit> limits{};
  MetricShapes shapes{};
};

struct NightRow {
  int64_t run = 0;
  std::string model{}, method{}, series{}, unit{};
  NightVerdict verdict = NightVerdict::kFine;
  std::optional<double> tonight{}, level{}, change{};  // change: relative; of shares the difference
  int64_t n = 0;                                       // observations behind tonight's number
  std::string protocol{};                              // as ProtocolOf says it; of the level too
  std::string text{};                                  // what was compared, or why not
};

// A step in a watched series: its levels are medians over nights.
struct NightChange {
  ChangePointRow row{};
  size_t nights_before = 0, nights_after = 0;
  std::string protocol{};
};

struct Night {
  std::vector<NightRow> rows;
  std::vector<NightChange> changes;  // all that are known now
};

// Judges these runs (tonight's, one a cell).
Night JudgeNight(const Store& store, const std::vector<int64_t>& runs, const NightOptions& options);

// The rows that record that regressions of this night are accepted: of these series, or "all".
// Error{kUsage} naming the night's regressions when one of them is none.
std::vector<AcceptanceRow> AcceptRegressions(const Night& night, const std::string& suite,
                                             const std::vector<std::string>& series,
                                             const std::string& reason);

// Facts of a machine that make its times comparable: all but the version of the system.
std::string MachineClass(const MachineRow& machine);

// 1 when there is a regression, else 3 when something is not comparable, else 0.
int NightExitCode(const Night& night);
std::string NightMarkdown(const NightOptions& options, const Night& night);
// JUnit XML, as Jenkins, GitLab and others read it: a failure a regression; what is not comparable or has too
// few nights is skipped.
std::string NightJUnit(const NightOptions& options, const Night& night);

}  // namespace tnb
