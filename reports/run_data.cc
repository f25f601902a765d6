#include "reports/run_data.h"

#include <fmt/format.h>

#include <cmath>

#include "reports/statistics/distributions.h"

namespace tnb {

std::string JsonDifference(const Json& a, const Json& b) {
  std::string text;
  std::set<std::string> keys;
  for (const Json* side : {&a, &b}) {
    for (const auto& [key, unused] : side->items()) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const Json left = a.value(key, Json()), right = b.value(key, Json());
    if (left == right) continue;
    text += fmt::format("{}{} {} / {}", text.empty() ? "" : ", ", key, left.dump().substr(0, 60),
                        right.dump().substr(0, 60));
  }
  return text.empty() ? "units or names only" : text;
}

std::string ColumnSpec::Key() const {
  std::string key = phase;
  for (const std::string& part : {task, metric, filter, variant}) {
    if (!part.empty() && part != "none") key += "." + part;
  }
  return key;
}

bool ColumnSpec::Matches(const std::string& in_phase, const MetricRow& row) const {
  return in_phase == phase && row.name == metric && row.task == task && row.filter == filter &&
         row.variant == variant;
}

ColumnSpec TaskColumn(const std::string& phase, const MetricRow& row) {
  return {phase, row.name, row.task, row.filter, row.variant, row.unit, kSizeAndQuality};
}

RunData LoadRun(const Store& store, const RunView& view, ProtocolCache* protocols) {
  ProtocolCache own(store);
  if (protocols == nullptr) protocols = &own;
  RunData data{.view = view, .phases = {}, .metrics = {}, .protocols = {}, .protocol_contents = {}};
  for (const PhaseRow& phase : store.Phases(view.run.id)) {
    data.phases[phase.name] = phase;
    if (phase.status != PhaseStatus::kOk) continue;  // what a broken phase left behind is not a result
    for (MetricRow& row : store.Metrics(phase.data_id)) {
      if (phase.name == "quality" || phase.name == "drift") {
        // A number without a protocol is comparable with its like only.
        ProtocolRow protocol;
        protocol.name = "unknown";
        if (row.protocol_id) protocol = protocols->Get(*row.protocol_id);
        const std::string key = TaskColumn(phase.name, row).Key();
        data.protocols[key] = fmt::format("{} {} n={}", protocol.name, protocol.hash.substr(0, 12), row.n);
        data.protocol_contents[key] = protocol.content;
        data.protocol_contents[key]["n"] = row.n;
      }
      data.metrics.emplace_back(phase.name, std::move(row));
    }
  }
  return data;
}

std::string Conflict(const RunData& a, const RunData& b) {
  for (const auto& [key, protocol] : a.protocols) {
    const auto other = b.protocols.find(key);
    if (other == b.protocols.end() || other->second == protocol) continue;
    return fmt::format("{}: {} against {} ({})", key, protocol, other->second,
                       JsonDifference(a.protocol_contents.at(key), b.protocol_contents.at(key)));
  }
  return "";
}

const MetricRow* Find(const RunData& run, const ColumnSpec& column) {
  for (const auto& [phase, row] : run.metrics) {
    if (column.Matches(phase, row)) return &row;
  }
  return nullptr;
}

std::string ProtocolOf(const RunData& run, const std::string& phase, const MetricRow& row) {
  const auto found = run.protocols.find(TaskColumn(phase, row).Key());
  if (row.protocol_id && found != run.protocols.end())
    return found->second.substr(0, found->second.rfind(" n="));
  const CellRow& cell = run.view.cell;
  return fmt::format("settings {} {}", cell.settings_hash.substr(0, 12), cell.settings.dump());
}

std::string ProtocolNames::Name(const std::string& protocol) {
  if (protocol.empty()) return "";
  const auto [place, inserted] = names_.try_emplace(protocol);
  if (inserted) {
    place->second = fmt::format("P{}", names_.size());
    notes_.push_back(place->second + ": " + protocol);
  }
  return place->second;
}

std::set<std::string> GroupMembers(const std::vector<const RunData*>& runs) {
  std::set<std::string> members;
  for (const RunData* run : runs) {
    for (const auto& [key, protocol] : run->protocol_contents) {
      if (!protocol.contains("group")) continue;
      const Json tasks = protocol.value("tasks", Json::object());
      for (const auto& [task, unused] : tasks.items()) members.insert(task);
    }
  }
  return members;
}

namespace {

// Shares of items that are right or not: their interval follows from the counts alone.
bool IsShareOfItems(const MetricRow& row) {
  static const std::set<std::string> names = {"exact_match", "empty", "top1_agreement"};
  return row.unit == "fraction" && row.value >= 0 && row.value <= 1 && row.n > 0 &&
         (row.name.starts_with("acc") || names.count(row.name) != 0);
}

}  // namespace

std::optional<Interval> IntervalOf(const MetricRow& row) {
  if (row.lo && row.hi) return Interval{*row.lo, *row.hi};
  if (IsShareOfItems(row)) {
    const auto right = static_cast<int64_t>(std::lround(row.value * static_cast<double>(row.n)));
    return WilsonInterval(right, row.n);
  }
  if (!row.se || !std::isfinite(row.value)) return std::nullopt;
  const double half = NormalQuantile(0.975) * *row.se;
  return Interval{row.value - half, row.value + half};
}

std::string Absence(const RunData& run, const std::string& phase) {
  const auto found = run.phases.find(phase);
  if (found == run.phases.end() || found->second.status == PhaseStatus::kOk) return "not measured";
  return ToString(found->second.status);
}

}  // namespace tnb
