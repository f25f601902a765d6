// What the comparison report knows of one run, which numbers its columns show, and whether two runs may share
// them. For the files of reports/ only.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "records/store.h"
#include "reports/statistics.h"

namespace tnb {

// One run with everything a row shows.
struct RunData {
  RunView view;
  std::map<std::string, PhaseRow> phases;
  std::vector<std::pair<std::string, MetricRow>> metrics;  // phase name, metric
  std::map<std::string, std::string> protocols;            // column key of a task -> what must be equal
  std::map<std::string, Json> protocol_contents;           // the same keys -> content, to say what differs
};

// What a column shows: a metric of a phase.
struct ColumnSpec {
  std::string phase;
  std::string metric;
  std::string task;
  std::string filter;
  std::string variant;
  std::string unit;
  int group = 1;

  bool Matches(const std::string& in_phase, const MetricRow& row) const;
  // Name in CSV and JSON: "quality.arc_easy.acc_norm".
  std::string Key() const;
};

// Groups of columns, see Column::group.
enum { kIdentity = 0, kSizeAndQuality = 1, kSpeedAndTraining = 2 };

// The column of a metric of quality or drift.
ColumnSpec TaskColumn(const std::string& phase, const MetricRow& row);
// Many runs share few protocols.
class ProtocolCache {
 public:
  explicit ProtocolCache(const Store& store) : store_(store) {}
  const ProtocolRow& Get(int64_t id) {
    const auto [place, inserted] = rows_.try_emplace(id);
    if (inserted) place->second = store_.Protocol(id);
    return place->second;
  }

 private:
  const Store& store_;
  std::map<int64_t, ProtocolRow> rows_;
};
RunData LoadRun(const Store& store, const RunView& view, ProtocolCache* protocols = nullptr);
// Empty when the two runs may share columns; else what differs.
std::string Conflict(const RunData& a, const RunData& b);
// The metric that the column shows of this run, if there is one.
const MetricRow* Find(const RunData& run, const ColumnSpec& column);
// Tasks of these runs that are shown as part of a group.
std::set<std::string> GroupMembers(const std::vector<const RunData*>& runs);
// How the number came about, without its n: "boolq 1f3a5c7e9b2d" of a task; sizes, times and training are
// measured under the settings of their cell, "settings 1f3a5c7e9b2d {...}".
std::string ProtocolOf(const RunData& run, const std::string& phase, const MetricRow& row);
// Short names P1, P2, ... of what ProtocolOf gives, in the order in which a table meets them.
class ProtocolNames {
 public:
  // Of an empty text: empty.
  std::string Name(const std::string& protocol);
  // "P1: boolq 1f3a5c7e9b2d", to stand below the table.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  std::map<std::string, std::string> names_;
  std::vector<std::string> notes_;
};
// At 95 %: as recorded, else Wilson's where items are counted, else from the standard error; none without.
std::optional<Interval> IntervalOf(const MetricRow& row);
// Why a phase has no number, in words.
std::string Absence(const RunData& run, const std::string& phase);

// The fields in which two objects (protocols, settings) differ: "shots 25 / 0".
std::string JsonDifference(const Json& a, const Json& b);

}  // namespace tnb
