// Store: the queries.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/hash.h"
#include "records/sql.h"
#include "records/store.h"

namespace tnb {
namespace {

// Column lists stand beside the functions that read them, in the same order.
const char kPhaseColumns[] =
    "p.id, p.run_id, p.name, p.settings_hash, p.settings, p.status, p.reason, p.started, "
    "coalesce(p.finished, ''), "
    "p.seconds, p.peak_bytes, p.exit_code, coalesce(p.source_id, p.id)";

PhaseRow ReadPhase(SQLite::Statement& statement) {
  Cursor cursor(statement);
  PhaseRow row;
  row.id = cursor.Int();
  row.run_id = cursor.Int();
  row.name = cursor.Text();
  row.settings_hash = cursor.Text();
  row.settings = cursor.Value();
  row.status = PhaseStatusFrom(cursor.Text());
  row.reason = cursor.Text();
  row.started = cursor.Text();
  row.finished = cursor.Text();
  row.seconds = cursor.OptionalReal();
  row.peak_bytes = cursor.OptionalInt();
  row.exit_code = cursor.OptionalInt();
  row.data_id = cursor.Int();
  return row;
}

const char kRunQuery[] =
    "SELECT r.id, r.uuid, r.cell_id, r.machine_id, r.build_id, r.process, r.command, r.started, "
    "coalesce(r.finished, ''), r.status, r.message, "
    "c.id, c.model_id, c.method_id, c.settings_hash, c.settings, "
    "mo.id, mo.hash, mo.name, mo.path, mo.parameters, mo.file_bytes, mo.config, "
    "me.id, me.hash, me.text, ma.id, ma.hash, ma.name, ma.facts, b.id, b.hash, b.commit_name, b.facts "
    "FROM run r JOIN cell c ON c.id = r.cell_id JOIN model mo ON mo.id = c.model_id "
    "JOIN method me ON me.id = c.method_id JOIN machine ma ON ma.id = r.machine_id "
    "JOIN build b ON b.id = r.build_id ";

RunView ReadRun(SQLite::Statement& statement) {
  Cursor cursor(statement);
  RunView view;
  RunRow& run = view.run;
  run.id = cursor.Int();
  run.uuid = cursor.Text();
  run.cell_id = cursor.Int();
  run.machine_id = cursor.Int();
  run.build_id = cursor.Int();
  run.process = cursor.Int();
  run.command = cursor.Text();
  run.started = cursor.Text();
  run.finished = cursor.Text();
  run.status = RunStatusFrom(cursor.Text());
  run.message = cursor.Text();
  view.cell.id = cursor.Int();
  view.cell.model_id = cursor.Int();
  view.cell.method_id = cursor.Int();
  view.cell.settings_hash = cursor.Text();
  view.cell.settings = cursor.Value();
  view.model.id = cursor.Int();
  view.model.hash = cursor.Text();
  view.model.name = cursor.Text();
  view.model.path = cursor.Text();
  view.model.parameters = cursor.Int();
  view.model.file_bytes = cursor.Int();
  view.model.config = cursor.Value();
  view.method.id = cursor.Int();
  view.method.hash = cursor.Text();
  view.method.text = cursor.Text();
  view.machine.id = cursor.Int();
  view.machine.hash = cursor.Text();
  view.machine.name = cursor.Text();
  view.machine.facts = cursor.Value();
  view.build.id = cursor.Int();
  view.build.hash = cursor.Text();
  view.build.commit = cursor.Text();
  view.build.facts = cursor.Value();
  return view;
}

// Runs a query and reads every row.
template <typename Reader, typename... Values>
auto Select(const SQLite::Database& database, const std::string& sql, const Reader& read,
            const Values&... values) {
  SQLite::Statement statement(database, sql);
  Bind(statement, values...);
  std::vector<decltype(read(statement))> rows;
  while (statement.executeStep()) rows.push_back(read(statement));
  return rows;
}

bool Accepts(const RunFilter& filter, const RunView& view) {
  if (!filter.model.empty() && view.model.name != filter.model) return false;
  if (!filter.method.empty() && view.method.text != filter.method) return false;
  if (!view.build.commit.starts_with(filter.commit) || !view.run.uuid.starts_with(filter.uuid)) return false;
  if (view.run.started < filter.since) return false;
  if (filter.ids.empty()) return true;
  return std::find(filter.ids.begin(), filter.ids.end(), view.run.id) != filter.ids.end();
}

// Runs come by ascending id, so a later one replaces an earlier one unless that was ok and this is not.
std::vector<RunView> NewestOfEachCell(std::vector<RunView> views) {
  std::map<std::pair<int64_t, int64_t>, size_t> chosen;
  for (size_t i = 0; i < views.size(); ++i) {
    const auto [place, inserted] = chosen.try_emplace({views[i].run.cell_id, views[i].run.machine_id}, i);
    const bool keep =
        views[place->second].run.status == RunStatus::kOk && views[i].run.status != RunStatus::kOk;
    if (!inserted && !keep) place->second = i;
  }
  std::vector<RunView> newest;
  for (size_t i = 0; i < views.size(); ++i) {
    if (chosen.at({views[i].run.cell_id, views[i].run.machine_id}) == i)
      newest.push_back(std::move(views[i]));
  }
  return newest;
}

[[noreturn]] void ThrowUnknown(const std::string& what, int64_t id) {
  throw Error(ErrorKind::kData, fmt::format("there is no {} {} in the results database", what, id));
}

}  // namespace

template <typename Reader, typename... Values>
auto Store::Rows(const char* doing, const std::string& sql, const Reader& read,
                 const Values&... values) const {
  decltype(Select(*database_, sql, read, values...)) rows;
  Read(doing, [&] { rows = Select(*database_, sql, read, values...); });
  return rows;
}

std::optional<PhaseRow> Store::FindFinishedPhase(const PhaseKey& key) const {
  std::vector<PhaseRow> rows;
  Read("looking for a finished phase", [&] {
    rows = Select(
        *database_,
        fmt::format("SELECT {} FROM phase p JOIN run r ON r.id = p.run_id JOIN cell c ON c.id = r.cell_id "
                    "JOIN model mo ON mo.id = c.model_id JOIN method me ON me.id = c.method_id "
                    "JOIN machine ma ON ma.id = r.machine_id "
                    "WHERE p.status = 'ok' AND p.source_id IS NULL AND p.name = ?1 AND p.settings_hash = ?2 "
                    "AND mo.hash = ?3 AND me.hash = ?4 AND (?5 = '' OR ma.hash = ?5) "
                    "ORDER BY p.id DESC LIMIT 1",
                    kPhaseColumns),
        ReadPhase, key.phase, HashOf(key.settings), key.model_hash, Sha256Hex(key.method), key.machine_hash);
  });
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

std::vector<PhaseRow> Store::EndedPhases(const std::string& name, const std::string& artefact_sha256) const {
  return Rows("looking for earlier phases",
              fmt::format("SELECT {} FROM phase p WHERE p.name = ? AND p.status <> 'running' AND "
                          "p.source_id IS NULL AND json_extract(p.settings, '$.artefact') = ? "
                          "ORDER BY p.id DESC",
                          kPhaseColumns),
              ReadPhase, name, artefact_sha256);
}

std::vector<RunView> Store::Runs(const RunFilter& filter) const {
  std::vector<RunView> views;
  Read("reading the runs", [&] {
    for (RunView& view : Select(*database_, std::string(kRunQuery) + "ORDER BY r.id", ReadRun)) {
      if (Accepts(filter, view)) views.push_back(std::move(view));
    }
  });
  return filter.newest_only ? NewestOfEachCell(std::move(views)) : views;
}

RunView Store::Run(int64_t run_id) const {
  std::vector<RunView> views;
  int64_t first = 0, last = 0;
  Read("reading the run", [&] {
    views = Select(*database_, std::string(kRunQuery) + "WHERE r.id = ?", ReadRun, run_id);
    SQLite::Statement statement(*database_, "SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM run");
    statement.executeStep();
    Cursor cursor(statement);
    first = cursor.Int();
    last = cursor.Int();
  });
  if (!views.empty()) return std::move(views.front());
  throw Error(ErrorKind::kUsage,
              {fmt::format("there is no run {}", run_id), "", "", path_.string(),
               last == 0 ? "the database holds no run yet" : fmt::format("runs are {} to {}", first, last)});
}

std::vector<PhaseRow> Store::Phases(int64_t run_id) const {
  return Rows("reading the phases",
              fmt::format("SELECT {} FROM phase p WHERE p.run_id = ? ORDER BY p.id", kPhaseColumns),
              ReadPhase, run_id);
}

std::vector<StageRow> Store::Stages(int64_t data_id) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    StageRow row;
    row.id = cursor.Int();
    row.phase_id = cursor.Int();
    row.position = cursor.Int();
    row.text = cursor.Text();
    row.seconds = cursor.Real();
    row.peak_bytes = cursor.OptionalInt();
    row.detail = cursor.Value();
    return row;
  };
  return Rows(
      "reading the stages",
      "SELECT id, phase_id, position, text, seconds, peak_bytes, detail FROM stage WHERE phase_id = ? "
      "ORDER BY position",
      read, data_id);
}

std::vector<LayerRow> Store::Layers(int64_t data_id) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    LayerRow row;
    row.id = cursor.Int();
    row.phase_id = cursor.Int();
    row.stage_position = cursor.Int();
    row.name = cursor.Text();
    row.format = cursor.Text();
    row.rows = cursor.Int();
    row.cols = cursor.Int();
    row.parameters = cursor.Int();
    row.codes_bits = cursor.Int();
    row.stored_bytes = cursor.Int();
    row.relative_error = cursor.OptionalReal();
    row.discarded_weight = cursor.OptionalReal();
    row.detail = cursor.Value();
    return row;
  };
  return Rows(
      "reading the layers",
      "SELECT id, phase_id, stage_position, name, format, \"rows\", cols, parameters, codes_bits, "
      "stored_bytes, relative_error, discarded_weight, detail FROM layer WHERE phase_id = ? ORDER BY id",
      read, data_id);
}

std::vector<MetricRow> Store::Metrics(int64_t data_id) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    MetricRow row;
    row.id = cursor.Int();
    row.phase_id = cursor.Int();
    row.name = cursor.Text();
    row.task = cursor.Text();
    row.filter = cursor.Text();
    row.variant = cursor.Text();
    row.value = cursor.Real();
    row.unit = cursor.Text();
    row.n = cursor.Int();
    row.se = cursor.OptionalReal();
    row.lo = cursor.OptionalReal();
    row.hi = cursor.OptionalReal();
    row.main = cursor.Int() != 0;
    row.protocol_id = cursor.OptionalInt();
    row.dataset_id = cursor.OptionalInt();
    return row;
  };
  return Rows(
      "reading the metrics",
      "SELECT id, phase_id, name, task, filter, variant, value, unit, n, se, lo, hi, main, protocol_id, "
      "dataset_id FROM metric WHERE phase_id = ? ORDER BY id",
      read, data_id);
}

std::vector<SampleRow> Store::Samples(int64_t data_id) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    SampleRow row;
    row.id = cursor.Int();
    row.phase_id = cursor.Int();
    row.benchmark = cursor.Text();
    row.variant = cursor.Text();
    row.repetition = cursor.Int();
    row.seconds = cursor.Real();
    row.value = cursor.Real();
    row.unit = cursor.Text();
    return row;
  };
  return Rows("reading the samples",
              "SELECT id, phase_id, benchmark, variant, repetition, seconds, value, unit FROM sample "
              "WHERE phase_id = ? ORDER BY id",
              read, data_id);
}

std::vector<ItemRow> Store::Items(int64_t data_id, const std::string& task) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    ItemRow row;
    row.id = cursor.Int();
    row.phase_id = cursor.Int();
    row.task = cursor.Text();
    row.doc_index = cursor.Int();
    row.prompt_sha256 = cursor.Text();
    row.prompt = cursor.Text();
    row.target = cursor.Text();
    row.loglikelihoods = cursor.Value();
    row.greedy = cursor.Value();
    row.text = cursor.Text();
    row.scores = cursor.Value();
    row.tokens = cursor.Int();
    row.origin = cursor.Text();
    row.cluster = cursor.Text();
    return row;
  };
  return Rows(
      "reading the items",
      "SELECT id, phase_id, task, doc_index, prompt_sha256, prompt, target, loglikelihoods, greedy, text, "
      "scores, tokens, origin, cluster FROM item WHERE phase_id = ?1 AND (?2 = '' OR task = ?2) "
      "ORDER BY task, doc_index",
      read, data_id, task);
}

std::vector<ItemOrigin> Store::ItemOrigins(int64_t data_id, const std::string& task) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    ItemOrigin row;
    row.uuid = cursor.Text();
    row.items = cursor.Int();
    row.run_id = cursor.Int();
    row.commit = cursor.Text();
    return row;
  };
  return Rows("reading the origin of items",
              "SELECT i.origin, count(*), coalesce(r.id, 0), coalesce(b.commit_name, '') FROM item i "
              "LEFT JOIN run r ON r.uuid = i.origin LEFT JOIN build b ON b.id = r.build_id "
              "WHERE i.phase_id = ? AND i.task = ? AND i.origin <> '' GROUP BY i.origin ORDER BY r.id",
              read, data_id, task);
}

std::vector<ItemScore> Store::ItemScores(int64_t data_id, const std::string& task) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    ItemScore row;
    row.doc_index = cursor.Int();
    row.prompt_sha256 = cursor.Text();
    row.cluster = cursor.Text();
    row.scores = cursor.Value();
    return row;
  };
  return Rows("reading the scores of items",
              "SELECT doc_index, prompt_sha256, cluster, scores FROM item WHERE phase_id = ? AND task = ? "
              "ORDER BY doc_index",
              read, data_id, task);
}

std::optional<ArtefactRow> Store::Artefact(int64_t data_id) const {
  std::optional<ArtefactRow> row;
  Read("reading the artefact", [&] {
    SQLite::Statement statement(*database_,
                                "SELECT id, phase_id, path, sha256, bytes FROM artefact WHERE phase_id = ?");
    Bind(statement, data_id);
    if (!statement.executeStep()) return;
    Cursor cursor(statement);
    row.emplace();
    row->id = cursor.Int();
    row->phase_id = cursor.Int();
    row->path = cursor.Text();
    row->sha256 = cursor.Text();
    row->bytes = cursor.Int();
  });
  return row;
}

std::vector<LogRow> Store::Logs(int64_t run_id) const {
  const auto read = [](SQLite::Statement& statement) {
    Cursor cursor(statement);
    LogRow row;
    row.id = cursor.Int();
    row.run_id = cursor.Int();
    row.phase_id = cursor.OptionalInt();
    row.time = cursor.Text();
    row.level = cursor.Text();
    row.text = cursor.Text();
    return row;
  };
  return Rows("reading the log",
              "SELECT id, run_id, phase_id, time, level, text FROM log WHERE run_id = ? ORDER BY id", read,
              run_id);
}

ProtocolRow Store::Protocol(int64_t id) const {
  ProtocolRow row;
  Read("reading the protocol", [&] {
    SQLite::Statement statement(*database_, "SELECT id, hash, name, content FROM protocol WHERE id = ?");
    Bind(statement, id);
    if (!statement.executeStep()) ThrowUnknown("protocol", id);
    Cursor cursor(statement);
    row.id = cursor.Int();
    row.hash = cursor.Text();
    row.name = cursor.Text();
    row.content = cursor.Value();
  });
  return row;
}

DatasetRow Store::Dataset(int64_t id) const {
  DatasetRow row;
  Read("reading the dataset", [&] {
    SQLite::Statement statement(*database_,
                                "SELECT id, hash, name, split, source, items FROM dataset WHERE id = ?");
    Bind(statement, id);
    if (!statement.executeStep()) ThrowUnknown("dataset", id);
    Cursor cursor(statement);
    row.id = cursor.Int();
    row.hash = cursor.Text();
    row.name = cursor.Text();
    row.split = cursor.Text();
    row.source = cursor.Text();
    row.items = cursor.Int();
  });
  return row;
}

}  // namespace tnb
