// The columns of the report and their cells.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "reports/numbers.h"
#include "reports/report_parts.h"

namespace tnb {
namespace {

// A standard error with as many decimals as the number before it, unless that would show it as 0.
std::string ErrorText(double se, const std::string& unit, const std::string& number) {
  if (unit == "bytes" || unit == "count") return FormatInUnit(se, unit);
  if (unit == "fraction") se *= 100;
  const size_t point = number.find('.');
  const size_t decimals = point == std::string::npos ? 0 : number.size() - point - 1;
  const std::string text = fmt::format("{:.{}f}", se, decimals);
  const bool vanished = text.find_first_of("123456789") == std::string::npos;
  return vanished || !std::isfinite(se) ? FormatNumber(se) : text;
}

// Parameters come with their own unit name, and are counts.
std::string UnitOf(const MetricRow& row) { return row.name == "parameters" ? "count" : row.unit; }

}  // namespace

Cell MakeCell(const RunData& run, const RunData* base, const ColumnSpec& column) {
  const MetricRow* row = Find(run, column);
  if (row == nullptr) return {.text = Absence(run, column.phase)};
  const std::string unit = UnitOf(*row);
  Cell cell{.text = FormatInUnit(row->value, unit), .value = row->value, .se = row->se};
  if (row->se) cell.text += " ± " + ErrorText(*row->se, unit, cell.text);
  const MetricRow* reference = base != nullptr && base != &run ? Find(*base, column) : nullptr;
  if (reference == nullptr || column.phase == "drift") return cell;  // drift is relative already
  if (IsShare(unit)) {
    cell.relative = row->value - reference->value;
    cell.text += fmt::format(" ({})", FormatFixed((unit == "fraction" ? 100 : 1) * *cell.relative, 1, true));
  } else if (reference->value > 0 && std::isfinite(reference->value)) {
    cell.relative = row->value / reference->value;
    cell.text += fmt::format(" ({}x)", FormatNumber(*cell.relative));
  }
  return cell;
}

// How much smaller the stored bytes are than the dense model at 32 or 16 bit.
Cell ReductionCell(const RunData& run, const std::string& against) {
  const MetricRow* stored = Find(run, {"compress", "stored_bytes", "", "", "", ""});
  const MetricRow* dense = Find(run, {"compress", against, "", "", "", ""});
  if (stored == nullptr || dense == nullptr || dense->value <= 0) return {.text = Absence(run, "compress")};
  const double reduction = 1 - stored->value / dense->value;
  return {.text = FormatFixed(100 * reduction, 1), .value = reduction};
}

std::vector<ColumnSpec> ChooseColumns(const std::vector<const RunData*>& runs,
                                      const std::vector<std::string>& only) {
  std::vector<ColumnSpec> columns = {
      {"compress", "parameters", "", "", "", "count"},
      {"compress", "stored_bytes", "", "", "", "bytes"},
      {"speed", "resident_peak", "", "", "", "bytes"},
  };
  std::map<std::string, ColumnSpec> tasks, speeds;
  const std::set<std::string> members = GroupMembers(runs);
  const auto wanted = [&](const std::string& task) {
    return only.empty() ? members.count(task) == 0 : std::count(only.begin(), only.end(), task) != 0;
  };
  for (const RunData* run : runs) {
    for (const auto& [phase, row] : run->metrics) {
      if ((phase == "quality" || phase == "drift") && row.main) {
        if (!wanted(row.task)) continue;
        const ColumnSpec column = TaskColumn(phase, row);
        tasks.emplace(column.Key(), column);
      } else if (phase == "speed" && row.unit == "tokens/s") {
        const ColumnSpec column{phase, row.name, "", "", row.variant, row.unit, kSpeedAndTraining};
        // Prefill before decode, each by length; the automatic choice before named variants.
        const bool decode = row.name.starts_with("decode");
        const size_t digits = row.name.size() - row.name.find_last_of('_');
        speeds.emplace(fmt::format("{:d} {:04} {} {}", decode, digits, row.name, row.variant), column);
      }
    }
  }
  for (auto& [key, column] : tasks) columns.push_back(std::move(column));
  for (auto& [key, column] : speeds) columns.push_back(std::move(column));
  columns.push_back({"training", "step_ms", "", "", "", "ms", kSpeedAndTraining});
  return columns;
}

// "n=500", or "n=3 to 5" where the rows differ (repetitions of timings; tasks never differ within a table).
std::string Observations(const std::vector<const RunData*>& runs, const ColumnSpec& column) {
  int64_t least = INT64_MAX, most = 0;
  for (const RunData* run : runs) {
    if (const MetricRow* row = Find(*run, column)) {
      least = std::min(least, row->n);
      most = std::max(most, row->n);
    }
  }
  if (most == 0) return "";
  return least == most ? fmt::format("n={}", most) : fmt::format("n={} to {}", least, most);
}

std::string Title(const ColumnSpec& column, const std::string& protocol) {
  std::string title = column.metric;
  if (column.metric == "stored_bytes") title = "stored";
  if (column.metric == "resident_peak") title = "peak resident";
  if (column.metric == "step_ms") title = "training step";
  if (!column.task.empty()) title = column.task + " " + column.metric;
  if (!column.filter.empty() && column.filter != "none") title += " " + column.filter;
  if (!column.variant.empty()) title += " " + column.variant;
  // Sizes and counts name their unit in each cell.
  std::vector<std::string> facts;
  if (const std::string unit = column.unit == "fraction" ? "%" : column.unit;
      unit != "bytes" && unit != "count") {
    facts.push_back(unit);
  }
  if (!protocol.empty()) facts.push_back(protocol);
  return facts.empty() ? title : fmt::format("{} [{}]", title, fmt::join(facts, ", "));
}

// A column in which nothing was measured and nothing went wrong only repeats what the notes say.
bool IsIdle(const std::vector<const RunData*>& runs, const ColumnSpec& column) {
  return std::none_of(runs.begin(), runs.end(), [&](const RunData* run) {
    const std::string absence = Absence(*run, column.phase);
    return Find(*run, column) != nullptr || absence == "crashed" || absence == "failed";
  });
}

}  // namespace tnb
