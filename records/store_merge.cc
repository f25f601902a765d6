// Store::Merge: another file's runs become rows of this one.
//
// Ids are local to a file, so that every reference is translated through a temporary table (old id, new id)
// of the table it points to. What points where is read from the schema itself (pragma foreign_key_list), so
// that a column added later is copied as well; a new table has to be named in one of the
// lists below.
#include <fmt/format.h>

#include <map>

#include "records/sql.h"
#include "records/store.h"

namespace tnb {
namespace {

// Known by their content: hash column(s) that are the same in every file.
const char* const kShared[] = {"machine", "build", "model", "dataset", "protocol", "method", "cell"};
// Belong to a phase or run, and come and go with it.
const char* const kOwned[] = {"stage", "layer", "metric", "item", "sample", "artefact", "log"};
// Said about a run later, maybe after it was merged; unique by content.
const char* const kSaidLater[] = {"change_point", "acceptance"};
// Of machines, not of runs; known by uuid.
const char kMeasured[] = "measurement";

struct TableColumns {
  std::vector<std::string> names;                 // without id
  std::map<std::string, std::string> references;  // column -> table
};

std::string Quoted(const std::string& name) { return "\"" + name + "\""; }

TableColumns ColumnsOf(SQLite::Database& database, const std::string& table) {
  TableColumns columns;
  SQLite::Statement info(database, "SELECT name FROM pragma_table_info(?)");
  Bind(info, table);
  while (info.executeStep()) {
    const std::string name = Cursor(info).Text();
    if (name != "id") columns.names.push_back(name);
  }
  SQLite::Statement keys(database, "SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?)");
  Bind(keys, table);
  while (keys.executeStep()) {
    Cursor cursor(keys);
    const std::string from = cursor.Text();
    columns.references[from] = cursor.Text();
  }
  return columns;
}

// "INSERT INTO main.T (...) SELECT ... FROM other.T AS t JOIN maps": every row whose references are all
// known.
std::string CopyStatement(SQLite::Database& database, const std::string& table, const std::string& verb,
                          const std::string& condition) {
  const TableColumns columns = ColumnsOf(database, table);
  std::string names, values, joins;
  for (const std::string& name : columns.names) {
    const auto reference = columns.references.find(name);
    std::string value = "t." + Quoted(name);
    if (table == "phase" && name == "source_id") {
      value = "NULL";  // set when all phases have their new ids
    } else if (reference != columns.references.end()) {
      const std::string alias = "m_" + name;
      // A NULL reference stays NULL.
      joins +=
          fmt::format(" LEFT JOIN temp.map_{} AS {} ON {}.old = {}", reference->second, alias, alias, value);
      value = alias + ".new";
    }
    names += (names.empty() ? "" : ", ") + Quoted(name);
    values += (values.empty() ? "" : ", ") + value;
  }
  return fmt::format("{} INTO main.{} ({}) SELECT {} FROM other.{} AS t{}{} ORDER BY t.id", verb, table,
                     names, values, table, joins, condition.empty() ? "" : " WHERE " + condition);
}

class Merger {
 public:
  explicit Merger(SQLite::Database& database) : database_(database) {}

  MergeCounts Run() {
    for (const char* table : kShared) MakeMap(table);
    for (const char* table : {"run", "phase"}) MakeMap(table);
    for (const char* table : kShared) CopyShared(table);
    CopyRuns();
    CopyPhases();
    for (const char* table : kOwned) {
      const bool of_run = std::string(table) == "log";
      const int rows = database_.exec(CopyStatement(
          database_, table, "INSERT",
          of_run ? "t.run_id IN (SELECT old FROM temp.new_run)"
                 : "t.phase_id IN (SELECT p.id FROM other.phase p JOIN temp.new_run n ON n.old = p.run_id)"));
      if (std::string(table) == "item") counts_.items = rows;
    }
    for (const char* table : kSaidLater) {
      const int rows = database_.exec(
          CopyStatement(database_, table, "INSERT OR IGNORE", "t.run_id IN (SELECT old FROM temp.map_run)"));
      if (std::string(table) == "change_point") counts_.change_points = rows;
    }
    counts_.measurements = database_.exec(CopyStatement(database_, kMeasured, "INSERT OR IGNORE", ""));
    return counts_;
  }

 private:
  void MakeMap(const std::string& table) {
    database_.exec(
        fmt::format("CREATE TEMP TABLE map_{} (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)", table));
  }

  int64_t Count(const std::string& sql) { return database_.execAndGet(sql).getInt64(); }

  void CopyShared(const std::string& table) {
    database_.exec(CopyStatement(database_, table, "INSERT OR IGNORE", ""));
    const std::string same =
        table == "cell" ? "JOIN temp.map_model mo ON mo.old = o.model_id JOIN temp.map_method me ON me.old = "
                          "o.method_id JOIN main.cell m ON m.model_id = mo.new AND m.method_id = me.new AND "
                          "m.settings_hash = o.settings_hash"
                        : fmt::format("JOIN main.{} m ON m.hash = o.hash", table);
    database_.exec(
        fmt::format("INSERT INTO temp.map_{} SELECT o.id, m.id FROM other.{} o {}", table, table, same));
    if (Count("SELECT count(*) FROM temp.map_" + table) != Count("SELECT count(*) FROM other." + table)) {
      throw Error(ErrorKind::kData, "the other database has rows in " + table + " that fit no key",
                  "it is damaged; save what is readable with: sqlite3 FILE .recover");
    }
  }

  void CopyRuns() {
    database_.exec("CREATE TEMP TABLE new_run (old INTEGER PRIMARY KEY)");
    database_.exec(
        "INSERT INTO temp.new_run SELECT r.id FROM other.run r WHERE r.status <> 'running' "
        "AND r.uuid NOT IN (SELECT uuid FROM main.run) "
        "AND NOT EXISTS (SELECT 1 FROM other.phase p JOIN other.phase s ON s.id = p.source_id "
        "JOIN other.run sr ON sr.id = s.run_id WHERE p.run_id = r.id AND sr.status = 'running')");
    counts_.known = Count("SELECT count(*) FROM other.run WHERE uuid IN (SELECT uuid FROM main.run)");
    counts_.runs = Count("SELECT count(*) FROM temp.new_run");
    counts_.unfinished = Count("SELECT count(*) FROM other.run") - counts_.known - counts_.runs;
    database_.exec(CopyStatement(database_, "run", "INSERT", "t.id IN (SELECT old FROM temp.new_run)"));
    database_.exec(
        "INSERT INTO temp.map_run SELECT o.id, m.id FROM other.run o JOIN main.run m ON m.uuid = o.uuid");
  }

  void CopyPhases() {
    database_.exec(CopyStatement(database_, "phase", "INSERT", "t.run_id IN (SELECT old FROM temp.new_run)"));
    // A run has one phase of a name.
    database_.exec(
        "INSERT INTO temp.map_phase SELECT o.id, m.id FROM other.phase o JOIN temp.map_run r ON r.old = "
        "o.run_id "
        "JOIN main.phase m ON m.run_id = r.new AND m.name = o.name");
    database_.exec(
        "UPDATE main.phase SET source_id = (SELECT s.new FROM other.phase o JOIN temp.map_phase p ON p.old = "
        "o.id "
        "JOIN temp.map_phase s ON s.old = o.source_id WHERE p.new = main.phase.id) "
        "WHERE id IN (SELECT p.new FROM temp.map_phase p JOIN other.phase o ON o.id = p.old "
        "JOIN temp.new_run n ON n.old = o.run_id WHERE o.source_id IS NOT NULL)");
  }

  SQLite::Database& database_;
  MergeCounts counts_;
};

}  // namespace

MergeCounts Store::Merge(const std::filesystem::path& other) {
  {
    const Store check = OpenReadOnly(other);  // a tnbench database of this schema
    std::error_code ignored;
    if (std::filesystem::equivalent(other, path_, ignored)) {
      throw Error(ErrorKind::kUsage, {"a database cannot be merged into itself", "", "", other.string(), ""});
    }
  }
  MergeCounts counts;
  Read("attaching the other database", [&] { Execute(*database_, "ATTACH ? AS other", other.string()); });
  try {
    Write("merging " + other.string(), [&] {
      counts = Merger(*database_).Run();
      for (const char* table : kShared) database_->exec(fmt::format("DROP TABLE temp.map_{}", table));
      database_->exec("DROP TABLE temp.map_run; DROP TABLE temp.map_phase; DROP TABLE temp.new_run");
    });
  } catch (...) {
    database_->tryExec("DETACH other");
    throw;
  }
  Read("detaching the other database", [&] { database_->exec("DETACH other"); });
  return counts;
}

}  // namespace tnb
