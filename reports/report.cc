#include "reports/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "reports/flips.h"
#include "reports/numbers.h"
#include "reports/quality_notes.h"
#include "reports/run_data.h"

namespace tnb {
namespace {

bool IsShare(const std::string& unit) { return unit == "fraction" || unit == "%"; }

std::string Text(double value, const std::string& unit) {
  if (unit == "bytes") return FormatBytes(value);
  if (unit == "fraction") return fmt::format("{:.1f}", 100 * value);
  if (unit == "%") return fmt::format("{:.1f}", value);
  if (unit == "count") return FormatCount(value);
  return FormatNumber(value);
}

// A standard error with as many decimals as the number before it, unless that would show it as 0.
std::string ErrorText(double se, const std::string& unit, const std::string& number) {
  if (unit == "bytes" || unit == "count") return Text(se, unit);
  if (unit == "fraction") se *= 100;
  const size_t point = number.find('.');
  const size_t decimals = point == std::string::npos ? 0 : number.size() - point - 1;
  const std::string text = fmt::format("{:.{}f}", se, decimals);
  const bool vanished = text.find_first_of("123456789") == std::string::npos;
  return vanished || !std::isfinite(se) ? FormatNumber(se) : text;
}

// Parameters come with their own unit name, and are counts.
std::string UnitOf(const MetricRow& row) { return row.name == "parameters" ? "count" : row.unit; }

Cell MakeCell(const RunData& run, const RunData* base, const ColumnSpec& column) {
  const MetricRow* row = Find(run, column);
  if (row == nullptr) return {.text = Absence(run, column.phase)};
  const std::string unit = UnitOf(*row);
  Cell cell{.text = Text(row->value, unit), .value = row->value, .se = row->se};
  if (row->se) cell.text += " ± " + ErrorText(*row->se, unit, cell.text);
  const MetricRow* reference = base != nullptr && base != &run ? Find(*base, column) : nullptr;
  if (reference == nullptr || column.phase == "drift") return cell;  // drift is relative already
  if (IsShare(unit)) {
    cell.relative = row->value - reference->value;
    cell.text += fmt::format(" ({:+.1f})", (unit == "fraction" ? 100 : 1) * *cell.relative);
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
  return {.text = fmt::format("{:.1f}", 100 * reduction), .value = reduction};
}

// Tasks that stand in the table as part of a group.
std::set<std::string> GroupMembers(const std::vector<const RunData*>& runs) {
  std::set<std::string> members;
  for (const RunData* run : runs) {
    for (const auto& [key, protocol] : run->protocol_contents) {
      const Json tasks =
          protocol.contains("group") ? protocol.value("tasks", Json::object()) : Json::object();
      for (const auto& [task, unused] : tasks.items()) members.insert(task);
    }
  }
  return members;
}

// The columns that at least one run has, in the order of the report.
std::vector<ColumnSpec> ChooseColumns(const std::vector<const RunData*>& runs) {
  std::vector<ColumnSpec> columns = {
      {"compress", "parameters", "", "", "", "count"},
      {"compress", "stored_bytes", "", "", "", "bytes"},
      {"speed", "resident_peak", "", "", "", "bytes"},
  };
  std::map<std::string, ColumnSpec> tasks, speeds;
  const std::set<std::string> members = GroupMembers(runs);
  for (const RunData* run : runs) {
    for (const auto& [phase, row] : run->metrics) {
      if ((phase == "quality" || phase == "drift") && row.main && members.count(row.task) == 0) {
        tasks.emplace(TaskColumn(phase, row).Key(), TaskColumn(phase, row));
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

const RunData* ChooseBase(const std::vector<const RunData*>& runs, const std::string& wanted) {
  for (const char* name : {"fp32", "fp16", "bf16"}) {
    for (const RunData* run : runs) {
      const std::string& text = run->view.method.text;
      if (wanted.empty() ? IsUncompressed(text, name) : text == wanted) return run;
    }
  }
  return nullptr;
}

// Why numbers are missing: one note a reason, with the methods that it concerns.
void AddReasons(const std::vector<const RunData*>& runs, Table& table) {
  std::vector<std::pair<std::string, std::string>> reasons;  // reason, methods
  const auto add = [&](const RunData& run, const std::string& reason) {
    const std::string who = fmt::format("{} (run {})", run.view.method.text, run.view.run.id);
    const auto known =
        std::find_if(reasons.begin(), reasons.end(), [&](const auto& r) { return r.first == reason; });
    if (known != reasons.end()) {
      known->second += ", " + who;
    } else {
      reasons.emplace_back(reason, who);
    }
  };
  for (const RunData* run : runs) {
    const RunRow& row = run->view.run;
    if (row.status != RunStatus::kOk) {
      add(*run, "run " + ToString(row.status) + (row.message.empty() ? "" : ": " + row.message));
    }
    for (const auto& [name, phase] : run->phases) {
      if (!phase.reason.empty())
        add(*run, fmt::format("{} {}: {}", name, ToString(phase.status), phase.reason));
    }
  }
  for (const auto& [reason, methods] : reasons) table.notes.push_back(fmt::format("{}: {}", reason, methods));
}

// A column in which nothing was measured and nothing went wrong only repeats what the notes say.
bool IsIdle(const std::vector<const RunData*>& runs, const ColumnSpec& column) {
  return std::none_of(runs.begin(), runs.end(), [&](const RunData* run) {
    const std::string absence = Absence(*run, column.phase);
    return Find(*run, column) != nullptr || absence == "crashed" || absence == "failed";
  });
}

// One number over all tasks, where there are two or more that have one.
void AddAccuracyScore(const std::vector<const RunData*>& runs, const RunData* base, Table& table) {
  if (base == nullptr || runs.size() < 2) return;
  std::vector<std::optional<AccuracyScore>> scores;
  int64_t tasks = 0;
  for (const RunData* run : runs) {
    scores.push_back(RelativeAccuracy(*run, *base));
    if (scores.back()) tasks = std::max(tasks, scores.back()->tasks);
  }
  if (tasks < 2) return;
  table.columns.push_back(
      {"accuracy score [ratio]", Alignment::kRight, "quality.accuracy_score", kSizeAndQuality});
  for (size_t r = 0; r < runs.size(); ++r) {
    // Over fewer tasks it would be another number.
    if (!scores[r] || scores[r]->tasks != tasks) {
      table.rows[r].push_back({.text = Absence(*runs[r], "quality")});
      continue;
    }
    Cell cell{
        .text = fmt::format("{:.3f}", scores[r]->value), .value = scores[r]->value, .se = scores[r]->se};
    if (cell.se) cell.text += fmt::format(" ± {:.3f}", *cell.se);
    table.rows[r].push_back(std::move(cell));
  }
  table.notes.push_back(fmt::format(
      "accuracy score: mean over {} tasks of score / base's score; guessing is not 0, and ± ignores "
      "that both answered the same items",
      tasks));
}

Table MakeTable(std::vector<const RunData*> runs, const std::string& base_method) {
  const RunData* base = ChooseBase(runs, base_method);
  std::stable_partition(runs.begin(), runs.end(), [&](const RunData* run) { return run == base; });
  const std::vector<ColumnSpec> specs = ChooseColumns(runs);
  Table table;
  table.columns = {{"method", Alignment::kLeft, "method", kIdentity},
                   {"run", Alignment::kRight, "run", kIdentity}};
  for (const RunData* run : runs) {
    std::string id = std::to_string(run->view.run.id);
    table.rows.push_back({{.text = run->view.method.text}, {.text = id, .value = run->view.run.id}});
  }

  std::vector<std::string> protocol_notes;
  std::vector<std::pair<std::string, std::string>> observations;  // "n=5", columns
  bool scored = false;
  for (const ColumnSpec& spec : specs) {
    if (spec.group == kSpeedAndTraining && !std::exchange(scored, true)) AddAccuracyScore(runs, base, table);
    if (IsIdle(runs, spec)) continue;
    std::string protocol_id;
    for (const RunData* run : runs) {
      const auto found = run->protocols.find(spec.Key());
      if (found == run->protocols.end()) continue;
      protocol_id = fmt::format("P{}", protocol_notes.size() + 1);
      protocol_notes.push_back(protocol_id + ": protocol " + found->second);
      break;
    }
    // Sizes are exact counts; the n of a task with a protocol stands beside the protocol.
    if (const std::string n = Observations(runs, spec);
        !n.empty() && spec.unit != "bytes" && spec.unit != "count" && protocol_id.empty()) {
      const std::string title = Title(spec, "");
      if (observations.empty() || observations.back().first != n) {
        observations.emplace_back(n, title);
      } else {
        observations.back().second += ", " + title;
      }
    }
    table.columns.push_back({Title(spec, protocol_id), Alignment::kRight, spec.Key(), spec.group});
    for (size_t r = 0; r < runs.size(); ++r) table.rows[r].push_back(MakeCell(*runs[r], base, spec));
    if (spec.metric != "stored_bytes") continue;
    for (const auto& [against, title] :
         {std::pair{"fp32_bytes", "less than fp32 [%]"}, std::pair{"fp16_bytes", "less than fp16 [%]"}}) {
      table.columns.push_back(
          {title, Alignment::kRight, std::string("reduction.") + against, kSizeAndQuality});
      for (size_t r = 0; r < runs.size(); ++r) table.rows[r].push_back(ReductionCell(*runs[r], against));
    }
  }

  const RunView& first = runs.front()->view;
  std::set<std::string> commits;
  for (const RunData* run : runs) commits.insert(run->view.build.commit);
  table.caption = fmt::format("Model {} ({} parameters, sha256 {}), machine {}, tnbench {}, settings {}",
                              first.model.name, FormatCount(static_cast<double>(first.model.parameters)),
                              first.model.hash.substr(0, 12), first.machine.name, fmt::join(commits, " and "),
                              first.cell.settings_hash.substr(0, 12));
  table.notes.push_back("settings: " + first.cell.settings.dump());
  for (std::string& note : protocol_notes) table.notes.push_back(std::move(note));
  for (const auto& [n, columns] : observations) table.notes.push_back(n + ": " + columns);
  table.notes.push_back(
      base != nullptr
          ? "in parentheses: relative to " + base->view.method.text +
                ", percentage points for % and a factor otherwise; ± is one standard error"
          : "no base row (fp32, fp16 or bf16) was run, so nothing is relative; ± is one standard error");
  if (commits.size() > 1) table.notes.push_back("the rows are from different commits of tnbench");
  for (std::string& note : TextNotes(runs, base)) table.notes.push_back(std::move(note));
  AddReasons(runs, table);
  return table;
}

}  // namespace

ReportFormat ReportFormatFrom(const std::string& name) {
  if (name == "md") return ReportFormat::kMarkdown;
  if (name == "text") return ReportFormat::kTerminal;
  if (name == "csv") return ReportFormat::kCsv;
  if (name == "json") return ReportFormat::kJson;
  throw Error(ErrorKind::kUsage, {"unknown report format", "md, text, csv or json", name, "--format", ""});
}

std::vector<Table> BuildReport(const Store& store, const ReportOptions& options) {
  RunFilter filter = options.filter;
  filter.newest_only = filter.ids.empty();
  std::vector<RunData> runs;
  for (const RunView& view : store.Runs(filter)) runs.push_back(LoadRun(store, view));
  if (runs.empty()) {
    throw Error(ErrorKind::kUsage,
                {"no run matches", "", "", store.path().string(), "tnbench list runs shows them"});
  }
  // Model, settings and machine in order of appearance; inside, runs that may share columns.
  std::vector<std::vector<std::vector<const RunData*>>> groups;
  std::map<std::tuple<int64_t, std::string, int64_t>, size_t> places;
  for (const RunData& run : runs) {
    const RunView& view = run.view;
    const auto [place, inserted] =
        places.try_emplace({view.model.id, view.cell.settings_hash, view.machine.id}, groups.size());
    if (inserted) groups.emplace_back();
    auto& tables = groups[place->second];
    const auto fits = [&](const std::vector<const RunData*>& members) {
      return std::all_of(members.begin(), members.end(),
                         [&](const RunData* member) { return Conflict(*member, run).empty(); });
    };
    auto table = std::find_if(tables.begin(), tables.end(), fits);
    if (table == tables.end()) table = tables.emplace(tables.end());
    table->push_back(&run);
  }
  std::vector<Table> built;
  for (const auto& group : groups) {
    for (const auto& members : group) {
      Table table = MakeTable(members, options.base_method);
      if (&members != &group.front()) {
        for (const RunData* other : group.front()) {
          const std::string conflict = Conflict(*other, *members.front());
          if (conflict.empty()) continue;
          table.notes.insert(
              table.notes.begin(),
              fmt::format("kept apart from run {}, the protocols differ: {}", other->view.run.id, conflict));
          break;
        }
      }
      built.push_back(std::move(table));
    }
  }
  return built;
}

std::string RenderReport(const Store& store, const ReportOptions& options, ReportFormat format) {
  const std::vector<Table> tables = BuildReport(store, options);
  if (format == ReportFormat::kJson) {
    Json json = Json::array();
    for (const Table& table : tables) json.push_back(ToJson(table));
    // Names come from the user and need not be UTF-8.
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  std::string text;
  for (const Table& table : tables) {
    if (!text.empty()) text += "\n";
    if (format == ReportFormat::kCsv) {
      // n and protocols stand in the notes: a number does not travel without them.
      text += "# " + table.caption + "\r\n";
      for (const std::string& note : table.notes) text += "# " + note + "\r\n";
      text += RenderCsv(table);
      continue;
    }
    const std::vector<Table> parts = SplitToWidth(table, options.width);
    for (const Table& part : parts) {
      if (&part != &parts.front()) text += "\n";
      text += format == ReportFormat::kMarkdown ? RenderMarkdown(part) : RenderTerminal(part);
    }
  }
  return text;
}

}  // namespace tnb
