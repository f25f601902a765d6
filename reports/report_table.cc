// One table of the report: rows, columns, caption, notes.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "reports/compare.h"
#include "reports/compare_numbers.h"
#include "reports/flips.h"
#include "reports/heal_notes.h"
#include "reports/numbers.h"
#include "reports/quality_notes.h"
#include "reports/report_parts.h"

namespace tnb {
namespace {

std::string Label(const ReportOptions& options, const std::string& method) {
  return options.label ? options.label(method) : method;
}

// What the short names in the table stand for.
void AddLabels(const std::vector<const RunData*>& runs, const ReportOptions& options, Table& table) {
  std::set<std::string> seen;
  for (const RunData* run : runs) {
    const std::string& text = run->view.method.text;
    const std::string label = Label(options, text);
    if (label != text && seen.insert(text).second) table.notes.push_back(label + " is " + text);
  }
}

// One number over all tasks, where there are two or more that have one.
void AddAccuracyScore(const std::vector<ReportRow>& rows, Table& table) {
  std::vector<std::optional<AccuracyScore>> scores;
  std::set<std::string> without;
  int64_t tasks = 0;
  for (const ReportRow& row : rows) {
    scores.push_back(row.base != nullptr ? RelativeAccuracy(*row.run, *row.base) : std::nullopt);
    if (!scores.back()) continue;
    if (!scores.back()->zero_task.empty()) {
      without.insert(scores.back()->zero_task);
      scores.back().reset();
      continue;
    }
    tasks = std::max(tasks, scores.back()->tasks);
  }
  for (const std::string& task : without) {
    if (rows.size() < 2) break;
    table.notes.push_back(
        fmt::format("accuracy score: none where the base's score is 0, as that of {}", task));
  }
  if (tasks < 2 || rows.size() < 2) return;
  table.columns.push_back(
      {"accuracy score [ratio]", Alignment::kRight, "quality.accuracy_score", kSizeAndQuality});
  for (size_t r = 0; r < rows.size(); ++r) {
    // Over fewer tasks it would be another number.
    if (!scores[r] || scores[r]->tasks != tasks) {
      table.rows[r].push_back({.text = Absence(*rows[r].run, "quality")});
      continue;
    }
    Cell cell{.text = FormatFixed(scores[r]->value, 3), .value = scores[r]->value, .se = scores[r]->se};
    if (cell.se) cell.text += fmt::format(" ± {:.3f}", *cell.se);
    table.rows[r].push_back(std::move(cell));
  }
  table.notes.push_back(fmt::format(
      "accuracy score: mean over {} tasks of score / base's score; guessing is not 0, and ± ignores "
      "that both answered the same items",
      tasks));
}

// The first `identity` columns stay; a column that says the same in every row goes to the notes.
void MoveConstants(size_t identity, Table& table) {
  if (table.rows.size() < 2) return;
  std::string constant;
  for (size_t c = table.columns.size(); c-- > identity;) {
    const Cell& first = table.rows[0][c];
    const bool same = std::all_of(table.rows.begin(), table.rows.end(), [&](const auto& row) {
      return row[c].value == first.value && row[c].se == first.se &&
             (first.value || row[c].text == first.text);
    });
    if (!same || table.columns.size() <= identity + 1) continue;
    constant = table.columns[c].title + " " + first.text + (constant.empty() ? "" : "; " + constant);
    table.columns.erase(table.columns.begin() + static_cast<std::ptrdiff_t>(c));
    for (auto& row : table.rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(c));
  }
  if (!constant.empty()) table.notes.insert(table.notes.begin(), "the same in every row: " + constant);
}

// Rows become columns: one row a number, one column a method (or model).
Table Transposed(const Table& table) {
  Table turned{.caption = table.caption, .notes = table.notes, .plots = table.plots};
  turned.columns.push_back({"number", Alignment::kLeft, "number", kIdentity});
  for (const auto& row : table.rows) {
    const std::string& key = row[0].full.empty() ? row[0].text : row[0].full;
    turned.columns.push_back({row[0].text, Alignment::kRight, key, 1});
  }
  for (size_t c = 1; c < table.columns.size(); ++c) {
    std::vector<Cell>& cells = turned.rows.emplace_back();
    cells.push_back({.text = table.columns[c].title, .full = table.columns[c].key});
    for (const auto& row : table.rows) cells.push_back(row[c]);
  }
  return turned;
}

// Why numbers are missing: one note a reason, with the methods that it concerns.
void AddReasons(const std::vector<const RunData*>& runs, const ReportOptions& options, Table& table) {
  std::vector<std::pair<std::string, std::string>> reasons;  // reason, methods
  const auto add = [&](const RunData& run, const std::string& reason) {
    const std::string who = fmt::format("{} (run {})", Label(options, run.view.method.text), run.view.run.id);
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

}  // namespace

const RunData* ChooseBase(const std::vector<const RunData*>& runs, const std::string& wanted) {
  for (const char* name : {"fp32", "fp16", "bf16"}) {
    for (const RunData* run : runs) {
      const std::string& text = run->view.method.text;
      if (wanted.empty() ? IsUncompressed(text, name) : text == wanted) return run;
    }
  }
  return nullptr;
}

Table MakeTable(const Store& store, const std::vector<ReportRow>& rows, const ReportOptions& options) {
  std::vector<const RunData*> runs;
  for (const ReportRow& row : rows) runs.push_back(row.run);
  const bool by_model = options.pivot == ReportPivot::kModel;
  const std::vector<ColumnSpec> specs = ChooseColumns(runs, options.tasks);
  Table table;
  table.columns = {
      {by_model ? "model" : "method", Alignment::kLeft, by_model ? "model" : "method", kIdentity},
      {"run", Alignment::kRight, "run", kIdentity}};
  for (const RunData* run : runs) {
    const std::string id = std::to_string(run->view.run.id);
    const std::string& method = run->view.method.text;
    table.rows.push_back(
        {by_model ? Cell{.text = run->view.model.name} : Cell{.text = Label(options, method), .full = method},
         {.text = id, .value = run->view.run.id}});
  }

  std::vector<std::string> protocol_notes;
  std::vector<std::pair<std::string, std::string>> observations;  // "n=5", columns
  std::vector<ColumnSpec> shown;
  std::vector<size_t> places;
  bool scored = false;
  for (const ColumnSpec& spec : specs) {
    if (spec.group == kSpeedAndTraining && !std::exchange(scored, true)) AddAccuracyScore(rows, table);
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
    shown.push_back(spec);
    places.push_back(table.columns.size());
    table.columns.push_back({Title(spec, protocol_id), Alignment::kRight, spec.Key(), spec.group});
    for (size_t r = 0; r < rows.size(); ++r) {
      table.rows[r].push_back(MakeCell(*rows[r].run, rows[r].base, spec));
    }
    if (spec.metric != "stored_bytes") continue;
    for (const auto& [against, title] :
         {std::pair{"fp32_bytes", "less than fp32 [%]"}, std::pair{"fp16_bytes", "less than fp16 [%]"}}) {
      table.columns.push_back(
          {title, Alignment::kRight, std::string("reduction.") + against, kSizeAndQuality});
      for (size_t r = 0; r < runs.size(); ++r) table.rows[r].push_back(ReductionCell(*runs[r], against));
    }
  }
  if (options.mark_best) MarkBest(store, rows, shown, places, options, table);

  const RunView& first = runs.front()->view;
  std::set<std::string> commits;
  for (const RunData* run : runs) commits.insert(run->view.build.commit);
  const std::string subject = by_model ? "Method " + first.method.text
                                       : fmt::format("Model {} ({} parameters, sha256 {})", first.model.name,
                                                     FormatCount(static_cast<double>(first.model.parameters)),
                                                     first.model.hash.substr(0, 12));
  table.caption = fmt::format("{}, machine {}, tnbench {}, settings {}", subject, first.machine.name,
                              fmt::join(commits, " and "), first.cell.settings_hash.substr(0, 12));
  table.notes.push_back("settings: " + first.cell.settings.dump());
  for (std::string& note : protocol_notes) table.notes.push_back(std::move(note));
  for (const auto& [n, columns] : observations) table.notes.push_back(n + ": " + columns);
  std::set<std::string> bases;
  for (const ReportRow& row : rows) {
    if (row.base != nullptr) bases.insert(Label(options, row.base->view.method.text));
  }
  table.notes.push_back(
      !bases.empty()
          ? fmt::format(
                "in parentheses: relative to {}{}, percentage points for % and a factor otherwise; ± is "
                "one standard error",
                fmt::join(bases, " or "), by_model ? " of the same model" : "")
          : "no base row (fp32, fp16 or bf16) was run, so nothing is relative; ± is one standard error");
  if (options.mark_best) {
    table.notes.push_back(
        fmt::format("bold: better than every other row by the paired test on the items, p < {:g} after Holm "
                    "over the table",
                    options.alpha));
  }
  if (commits.size() > 1) table.notes.push_back("the rows are from different commits of tnbench");
  for (const ReportRow& row : rows) {
    for (std::string& note : TextNotes({row.run}, row.base)) table.notes.push_back(std::move(note));
  }
  for (std::string& note : GridNotes(runs)) table.notes.push_back(std::move(note));
  const std::vector<HealedRun> healed = HealedRuns(store, runs, options);
  for (std::string& note : HealNotes(healed)) table.notes.push_back(std::move(note));
  table.plots = HealPlots(store, healed);
  AddReasons(runs, options, table);
  if (!by_model) AddLabels(runs, options, table);
  if (options.move_constants) MoveConstants(2, table);
  return options.pivot == ReportPivot::kTask ? Transposed(table) : table;
}

void MarkBest(const Store& store, const std::vector<ReportRow>& rows, const std::vector<ColumnSpec>& specs,
              const std::vector<size_t>& places, const ReportOptions& options, Table& table) {
  struct Test {
    size_t column, row;  // of the best
  };
  std::vector<Test> tests;
  std::vector<double> p_values;
  CompareOptions compare{.shapes = options.shapes};
  compare.tests.intervals = false;
  for (size_t c = 0; c < specs.size(); ++c) {
    if (specs[c].phase != "quality") continue;
    const bool higher = !options.shapes || options.shapes(specs[c].metric).higher_is_better;
    size_t best = rows.size();
    for (size_t r = 0; r < rows.size(); ++r) {
      const MetricRow* row = Find(*rows[r].run, specs[c]);
      if (row == nullptr) continue;
      const MetricRow* leader = best < rows.size() ? Find(*rows[best].run, specs[c]) : nullptr;
      if (leader == nullptr || (higher ? row->value > leader->value : row->value < leader->value)) best = r;
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      if (r == best || Find(*rows[r].run, specs[c]) == nullptr) continue;
      const ComparedNumber number = CompareQuality(store, *rows[r].run, *rows[best].run, specs[c], compare);
      tests.push_back({c, best});
      // What cannot be compared cannot be beaten.
      p_values.push_back(number.refusal.empty() ? number.comparison.p : 1);
    }
  }
  const std::vector<double> adjusted = Holm(p_values);
  std::map<size_t, bool> surely;  // column -> the best beats all others
  for (size_t i = 0; i < tests.size(); ++i) {
    surely.try_emplace(tests[i].column, true).first->second &= adjusted[i] < options.alpha;
  }
  for (const Test& test : tests) {
    if (surely[test.column]) table.rows[test.row][places[test.column]].best = true;
  }
}

}  // namespace tnb
