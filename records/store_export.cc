// Store: rows for other programs, change points, acceptances and measurements.
#include <fmt/format.h>

#include <map>

#include "base/hash.h"
#include "records/sql.h"
#include "records/store.h"

namespace tnb {
namespace {

struct ExportQuery {
  const char* view;
  const char* order;
  bool of_runs = true;
};

const std::map<std::string, ExportQuery>& ExportQueries() {
  static const std::map<std::string, ExportQuery> queries = {
      {"runs", {"run_overview", "run_id"}},
      {"phases", {"phase_overview", "run_id, phase_id"}},
      {"metrics", {"metric_overview", "run_id, phase, task, name, filter, variant"}},
      {"layers", {"layer_overview", "run_id, stage_position, name"}},
      {"items", {"item_overview", "run_id, task, doc_index"}},
      {"samples", {"sample_overview", "run_id, benchmark, variant, repetition"}},
      {"changes", {"change_point", "run_id, suite, series"}},
      {"acceptances", {"acceptance", "run_id, suite, series"}},
      {"measurements", {"measurement_overview", "measured, kind, subject, name, uuid", false}}};
  return queries;
}

Json CellOf(const SQLite::Column& column) {
  if (column.isNull()) return nullptr;
  if (column.isInteger()) return column.getInt64();
  if (column.isFloat()) {
    const double value = column.getDouble();
    // JSON has no infinity.
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return value;
  }
  return column.getString();
}

}  // namespace

std::vector<std::string> Store::ExportTables() {
  std::vector<std::string> names;
  for (const auto& [name, unused] : ExportQueries()) names.push_back(name);
  return names;
}

void Store::Export(const std::string& table, const std::vector<int64_t>& runs,
                   const std::function<void(const std::vector<std::string>&)>& columns,
                   const std::function<void(const ExportedRow&)>& row) const {
  const auto query = ExportQueries().find(table);
  if (query == ExportQueries().end()) {
    std::string known;
    for (const std::string& name : ExportTables()) known += (known.empty() ? "" : ", ") + name;
    throw Error(ErrorKind::kUsage, {"there is no such table to export", known, "'" + table + "'", "", ""});
  }
  if (!runs.empty() && !query->second.of_runs) {
    throw Error(ErrorKind::kUsage, "the " + table + " belong to no run", "leave out the run");
  }
  std::string chosen;
  for (const int64_t run : runs) chosen += (chosen.empty() ? "" : ", ") + std::to_string(run);
  const std::string where = chosen.empty() ? "" : " WHERE run_id IN (" + chosen + ")";
  Read("exporting the " + table, [&] {
    SQLite::Statement statement(*database_, fmt::format("SELECT * FROM {}{} ORDER BY {}", query->second.view,
                                                        where, query->second.order));
    std::vector<std::string> names;
    for (int i = 0; i < statement.getColumnCount(); ++i) names.push_back(statement.getColumnName(i));
    columns(names);
    while (statement.executeStep()) {
      ExportedRow cells;
      for (int i = 0; i < statement.getColumnCount(); ++i) cells.push_back(CellOf(statement.getColumn(i)));
      row(cells);
    }
  });
}

std::vector<ChangePointRow> Store::ChangePoints(const std::string& suite) const {
  std::vector<ChangePointRow> rows;
  Read("reading the change points", [&] {
    SQLite::Statement statement(
        *database_,
        "SELECT id, run_id, suite, series, level_before, level_after, unit, found FROM change_point "
        "WHERE ?1 = '' OR suite = ?1 ORDER BY series, run_id");
    Bind(statement, suite);
    while (statement.executeStep()) {
      Cursor cursor(statement);
      ChangePointRow row;
      row.id = cursor.Int();
      row.run_id = cursor.Int();
      row.suite = cursor.Text();
      row.series = cursor.Text();
      row.level_before = cursor.Real();
      row.level_after = cursor.Real();
      row.unit = cursor.Text();
      row.found = cursor.Text();
      rows.push_back(std::move(row));
    }
  });
  return rows;
}

std::vector<AcceptanceRow> Store::Acceptances(const std::string& suite) const {
  std::vector<AcceptanceRow> rows;
  Read("reading what was accepted", [&] {
    SQLite::Statement statement(*database_,
                                "SELECT id, run_id, suite, series, reason, accepted FROM acceptance "
                                "WHERE suite = ? ORDER BY run_id, series");
    Bind(statement, suite);
    while (statement.executeStep()) {
      Cursor cursor(statement);
      AcceptanceRow row;
      row.id = cursor.Int();
      row.run_id = cursor.Int();
      row.suite = cursor.Text();
      row.series = cursor.Text();
      row.reason = cursor.Text();
      row.accepted = cursor.Text();
      rows.push_back(std::move(row));
    }
  });
  return rows;
}

std::vector<MeasurementRow> Store::Measurements(const std::string& kind,
                                                const std::string& machine_hash) const {
  std::vector<MeasurementRow> rows;
  Read("reading the measurements", [&] {
    SQLite::Statement statement(
        *database_,
        "SELECT m.id, m.uuid, m.machine_id, m.build_id, m.measured, m.command, m.kind, m.subject, m.name, "
        "m.settings, m.value, m.unit, m.tolerance, m.detail FROM measurement m "
        "JOIN machine ma ON ma.id = m.machine_id "
        "WHERE (?1 = '' OR m.kind = ?1) AND (?2 = '' OR ma.hash = ?2) ORDER BY m.measured, m.id");
    Bind(statement, kind, machine_hash);
    while (statement.executeStep()) {
      Cursor cursor(statement);
      MeasurementRow row;
      row.id = cursor.Int();
      row.uuid = cursor.Text();
      row.machine_id = cursor.Int();
      row.build_id = cursor.Int();
      row.measured = cursor.Text();
      row.command = cursor.Text();
      row.kind = cursor.Text();
      row.subject = cursor.Text();
      row.name = cursor.Text();
      row.settings = cursor.Value();
      row.value = cursor.Real();
      row.unit = cursor.Text();
      row.tolerance = cursor.OptionalReal();
      row.detail = cursor.Value();
      rows.push_back(std::move(row));
    }
  });
  return rows;
}

}  // namespace tnb
