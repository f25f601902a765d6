#include "reports/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "reports/report_parts.h"
#include "reports/training_table.h"

namespace tnb {
namespace {

using Runs = std::vector<const RunData*>;

// What the runs of one table have in common: model (or method), settings and machine.
using Place = std::tuple<int64_t, std::string, int64_t>;
Place PlaceOf(const RunView& view, ReportPivot pivot) {
  return {pivot == ReportPivot::kModel ? view.method.id : view.model.id, view.cell.settings_hash,
          view.machine.id};
}

// Every run with its base: the one of its own model, settings and machine, the base rows first.
std::vector<ReportRow> RowsOf(const Runs& members, const Runs& all, const ReportOptions& options) {
  std::vector<ReportRow> rows;
  for (const RunData* run : members) {
    Runs related = members;
    if (options.pivot == ReportPivot::kModel) {
      related.clear();
      std::copy_if(all.begin(), all.end(), std::back_inserter(related), [&](const RunData* other) {
        return PlaceOf(other->view, ReportPivot::kMethod) == PlaceOf(run->view, ReportPivot::kMethod) &&
               Conflict(*other, *run).empty();
      });
    }
    rows.push_back({run, ChooseBase(related, options.base_method)});
  }
  std::stable_partition(rows.begin(), rows.end(), [](const ReportRow& row) { return row.run == row.base; });
  return rows;
}

}  // namespace

ReportPivot ReportPivotFrom(const std::string& name) {
  if (name == "method") return ReportPivot::kMethod;
  if (name == "model") return ReportPivot::kModel;
  if (name == "task") return ReportPivot::kTask;
  throw Error(ErrorKind::kUsage, {"unknown pivot", "method, model or task", name, "--pivot", ""});
}

std::vector<Table> BuildReport(const Store& store, const ReportOptions& options) {
  RunFilter filter = options.filter;
  filter.newest_only = filter.ids.empty();
  std::vector<RunData> runs;
  ProtocolCache protocols(store);
  for (const RunView& view : store.Runs(filter)) runs.push_back(LoadRun(store, view, &protocols));
  Runs all;
  for (const RunData& run : runs) all.push_back(&run);
  if (runs.empty()) {
    throw Error(ErrorKind::kUsage,
                {"no run matches", "", "", store.path().string(), "tnbench list runs shows them"});
  }
  // Model (or method), settings and machine in order of appearance; inside, runs that may share columns.
  std::vector<std::vector<Runs>> groups;
  std::map<Place, size_t> places;
  for (const RunData& run : runs) {
    const auto [place, inserted] = places.try_emplace(PlaceOf(run.view, options.pivot), groups.size());
    if (inserted) groups.emplace_back();
    auto& tables = groups[place->second];
    const auto fits = [&](const Runs& members) {
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
      Table table = MakeTable(store, RowsOf(members, all, options), options);
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
      for (Table& training : TrainingTables(store, members, options)) built.push_back(std::move(training));
    }
  }
  return built;
}

std::string RenderReport(const Store& store, const ReportOptions& options, ReportFormat format) {
  ReportOptions shown = options;
  shown.move_constants = format != ReportFormat::kCsv && format != ReportFormat::kJson;
  return RenderTables(BuildReport(store, shown), format, options.width);
}

}  // namespace tnb
