// Store: everything that writes.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <random>

#include "base/hash.h"
#include "records/sql.h"
#include "records/store.h"

namespace tnb {
namespace {

std::string Now() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                     milliseconds % 1000);
}

// A random (version 4) UUID.
std::string NewUuid() {
  std::random_device device;
  const auto word = [&] { return static_cast<uint32_t>(device()); };
  const uint32_t a = word(), b = word(), c = word(), d = word();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{:08x}", a, b >> 16, b & 0xfff,
                     0x8000 | (c >> 16 & 0x3fff), c & 0xffff, d);
}

void RequireHash(const std::string& hash, const std::string& owner) {
  if (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw Error(ErrorKind::kData,
                {"the " + owner + " has no hash", "64 hexadecimal digits", "'" + hash + "'", "", ""});
  }
}

int64_t IdOf(SQLite::Database& database, const std::string& table, const std::string& hash) {
  SQLite::Statement statement(database, "SELECT id FROM " + table + " WHERE hash = ?");
  Bind(statement, hash);
  if (!statement.executeStep())
    throw Error(ErrorKind::kInternal, "the row just put into " + table + " is gone");
  return Cursor(statement).Int();
}

void RequireChanged(int changed, const std::string& what, int64_t id) {
  if (changed == 0) {
    throw Error(ErrorKind::kData, fmt::format("{} {} does not exist or has ended already", what, id));
  }
}

// JSON has no NaN or infinity: a dump would silently turn them into null.
void RequireFinite(const Json& json, const ItemRow& row) {
  if (json.is_number_float() && !std::isfinite(json.get<double>())) {
    throw Error(ErrorKind::kData,
                fmt::format("item {} of task {} has a number that is not finite", row.doc_index, row.task),
                "the model is broken; record the phase as failed instead");
  }
  if (json.is_structured()) {
    for (const Json& element : json) RequireFinite(element, row);
  }
}

// The statement is prepared once and run for every row.
template <typename Row, typename Filler>
void InsertAll(SQLite::Database& database, const std::string& sql, const std::vector<Row>& rows,
               const Filler& fill) {
  SQLite::Statement statement(database, sql);
  for (const Row& row : rows) {
    fill(statement, row);
    statement.exec();
    statement.reset();
  }
}

}  // namespace

int64_t Store::PutMachine(const MachineRow& row) {
  const std::string hash = HashOf(row.facts);
  int64_t id = 0;
  Write("recording the machine", [&] {
    Execute(*database_,
            "INSERT INTO machine (hash, name, facts) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING", hash,
            row.name, row.facts);
    id = IdOf(*database_, "machine", hash);
  });
  return id;
}

int64_t Store::PutBuild(const BuildRow& row) {
  const std::string hash = HashOf(Json{{"commit", row.commit}, {"facts", row.facts}});
  int64_t id = 0;
  Write("recording the build", [&] {
    Execute(*database_,
            "INSERT INTO build (hash, commit_name, facts) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING",
            hash, row.commit, row.facts);
    id = IdOf(*database_, "build", hash);
  });
  return id;
}

int64_t Store::PutModel(const ModelRow& row) {
  RequireHash(row.hash, "model");
  int64_t id = 0;
  Write("recording the model", [&] {
    Execute(*database_,
            "INSERT INTO model (hash, name, path, parameters, file_bytes, config) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (hash) DO UPDATE SET name = excluded.name, path = excluded.path",
            row.hash, row.name, row.path, row.parameters, row.file_bytes, row.config);
    id = IdOf(*database_, "model", row.hash);
  });
  return id;
}

int64_t Store::PutDataset(const DatasetRow& row) {
  RequireHash(row.hash, "dataset");
  int64_t id = 0;
  Write("recording the dataset", [&] {
    Execute(*database_,
            "INSERT INTO dataset (hash, name, split, source, items) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (hash) DO UPDATE SET name = excluded.name, source = excluded.source",
            row.hash, row.name, row.split, row.source, row.items);
    id = IdOf(*database_, "dataset", row.hash);
  });
  return id;
}

int64_t Store::PutProtocol(const ProtocolRow& row) {
  const std::string hash = HashOf(row.content);
  int64_t id = 0;
  Write("recording the protocol", [&] {
    Execute(*database_,
            "INSERT INTO protocol (hash, name, content) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING", hash,
            row.name, row.content);
    id = IdOf(*database_, "protocol", hash);
  });
  return id;
}

int64_t Store::PutMethod(const std::string& canonical_text) {
  const std::string hash = Sha256Hex(canonical_text);
  int64_t id = 0;
  Write("recording the method", [&] {
    Execute(*database_, "INSERT INTO method (hash, text) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING", hash,
            canonical_text);
    id = IdOf(*database_, "method", hash);
  });
  return id;
}

int64_t Store::PutCell(const CellRow& row) {
  const std::string hash = HashOf(row.settings);
  int64_t id = 0;
  Write("recording the cell", [&] {
    Execute(*database_,
            "INSERT INTO cell (model_id, method_id, settings_hash, settings) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (model_id, method_id, settings_hash) DO NOTHING",
            row.model_id, row.method_id, hash, row.settings);
    SQLite::Statement statement(
        *database_, "SELECT id FROM cell WHERE model_id = ? AND method_id = ? AND settings_hash = ?");
    Bind(statement, row.model_id, row.method_id, hash);
    if (!statement.executeStep()) throw Error(ErrorKind::kInternal, "the cell just put is gone");
    id = Cursor(statement).Int();
  });
  return id;
}

int64_t Store::BeginRun(const RunRow& row) {
  int64_t id = 0;
  Write("beginning the run", [&] {
    Execute(
        *database_,
        "INSERT INTO run (uuid, cell_id, machine_id, build_id, process, command, started, status, message) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 'running', '')",
        NewUuid(), row.cell_id, row.machine_id, row.build_id, row.process, row.command, Now());
    id = database_->getLastInsertRowid();
  });
  return id;
}

void Store::FinishRun(int64_t run_id, RunStatus status, const std::string& message) {
  if (status == RunStatus::kRunning) throw Error(ErrorKind::kInternal, "a run cannot finish as running");
  Write("finishing the run", [&] {
    RequireChanged(
        Execute(*database_,
                "UPDATE run SET status = ?, message = ?, finished = ? WHERE id = ? AND status = 'running'",
                ToString(status), message, Now(), run_id),
        "run", run_id);
    Execute(
        *database_,
        "UPDATE phase SET status = 'crashed', reason = 'the run ended before the phase did', finished = ? "
        "WHERE run_id = ? AND status = 'running'",
        Now(), run_id);
  });
}

int64_t Store::CloseAbandonedRuns(int64_t machine_id, const std::function<bool(int64_t process)>& alive) {
  int64_t closed = 0;
  Write("closing abandoned runs", [&] {
    std::vector<int64_t> abandoned;
    {
      SQLite::Statement statement(*database_,
                                  "SELECT id, process FROM run WHERE status = 'running' AND machine_id = ?");
      Bind(statement, machine_id);
      while (statement.executeStep()) {
        Cursor cursor(statement);
        const int64_t id = cursor.Int();
        if (!alive(cursor.Int())) abandoned.push_back(id);
      }
    }
    for (const int64_t id : abandoned)
      FinishRun(id, RunStatus::kCrashed, "the driver ended before the run did");
    closed = static_cast<int64_t>(abandoned.size());
  });
  return closed;
}

int64_t Store::BeginPhase(const PhaseRow& row) {
  int64_t id = 0;
  Write("beginning phase " + row.name, [&] {
    Execute(*database_,
            "INSERT INTO phase (run_id, name, settings_hash, settings, status, reason, started) "
            "VALUES (?, ?, ?, ?, 'running', '', ?)",
            row.run_id, row.name, HashOf(row.settings), row.settings, Now());
    id = database_->getLastInsertRowid();
  });
  return id;
}

void Store::FinishPhase(int64_t phase_id, const PhaseEnd& end) {
  if (end.status == PhaseStatus::kRunning)
    throw Error(ErrorKind::kInternal, "a phase cannot finish as running");
  Write("finishing the phase", [&] {
    RequireChanged(
        Execute(*database_,
                "UPDATE phase SET status = ?, reason = ?, finished = ?, seconds = ?, peak_bytes = ?, "
                "exit_code = ? WHERE id = ? AND status = 'running'",
                ToString(end.status), end.reason, Now(), end.seconds, end.peak_bytes, end.exit_code,
                phase_id),
        "phase", phase_id);
  });
}

int64_t Store::AdoptPhase(int64_t run_id, int64_t finished_phase_id) {
  int64_t id = 0;
  Write("adopting a finished phase", [&] {
    const int inserted = Execute(
        *database_,
        "INSERT INTO phase (run_id, name, settings_hash, settings, status, reason, started, finished, "
        "seconds, "
        "peak_bytes, exit_code, source_id) SELECT ?, name, settings_hash, settings, status, reason, started, "
        "finished, seconds, peak_bytes, exit_code, coalesce(source_id, id) FROM phase WHERE id = ? AND "
        "status = 'ok'",
        run_id, finished_phase_id);
    if (inserted == 0) {
      throw Error(ErrorKind::kData,
                  fmt::format("phase {} does not exist or is not finished", finished_phase_id));
    }
    id = database_->getLastInsertRowid();
  });
  return id;
}

int64_t Store::SkipPhase(const PhaseRow& row, PhaseStatus status, const std::string& reason) {
  if (status != PhaseStatus::kSkipped && status != PhaseStatus::kNotMeasured) {
    throw Error(ErrorKind::kInternal,
                "a phase that never ran is skipped or not measured, not " + ToString(status));
  }
  int64_t id = 0;
  Write("skipping phase " + row.name, [&] {
    id = BeginPhase(row);
    FinishPhase(id, {.status = status, .reason = reason});
  });
  return id;
}

void Store::AddStage(const StageRow& row) {
  Write("recording a stage", [&] {
    Execute(
        *database_,
        "INSERT INTO stage (phase_id, position, text, seconds, peak_bytes, detail) VALUES (?, ?, ?, ?, ?, ?)",
        row.phase_id, row.position, row.text, row.seconds, row.peak_bytes, row.detail);
  });
}

void Store::AddLayers(const std::vector<LayerRow>& rows) {
  Write("recording layers", [&] {
    InsertAll(
        *database_,
        "INSERT INTO layer (phase_id, stage_position, name, format, \"rows\", cols, parameters, codes_bits, "
        "stored_bytes, relative_error, discarded_weight, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows, [](SQLite::Statement& statement, const LayerRow& row) {
          Bind(statement, row.phase_id, row.stage_position, row.name, row.format, row.rows, row.cols,
               row.parameters, row.codes_bits, row.stored_bytes, row.relative_error, row.discarded_weight,
               row.detail);
        });
  });
}

void Store::AddMetric(const MetricRow& row) {
  Write("recording metric " + row.name, [&] {
    Execute(*database_,
            "INSERT INTO metric (phase_id, name, task, filter, variant, value, unit, n, se, lo, hi, main, "
            "protocol_id, dataset_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row.phase_id, row.name, row.task, row.filter, row.variant, row.value, row.unit, row.n, row.se,
            row.lo, row.hi, static_cast<int64_t>(row.main), row.protocol_id, row.dataset_id);
  });
}

void Store::AddItems(const std::vector<ItemRow>& rows) {
  Write("recording items", [&] {
    InsertAll(
        *database_,
        "INSERT INTO item (phase_id, task, doc_index, prompt_sha256, prompt, target, loglikelihoods, greedy, "
        "text, scores, tokens, origin, cluster) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows, [](SQLite::Statement& statement, const ItemRow& row) {
          RequireFinite(row.loglikelihoods, row);
          RequireFinite(row.scores, row);
          Bind(statement, row.phase_id, row.task, row.doc_index, row.prompt_sha256, row.prompt, row.target,
               row.loglikelihoods, row.greedy, row.text, row.scores, row.tokens, row.origin, row.cluster);
        });
  });
}

int64_t Store::CopyItems(int64_t from_phase, int64_t to_phase, const std::string& task, int64_t below) {
  int64_t copied = 0;
  Write("taking over items", [&] {
    std::string columns;
    {
      SQLite::Statement statement(*database_, "SELECT name FROM pragma_table_info('item')");
      while (statement.executeStep()) {
        const std::string name = Cursor(statement).Text();
        if (name != "id" && name != "phase_id" && name != "origin") columns += ", " + name;
      }
    }
    copied = Execute(
        *database_,
        fmt::format("INSERT INTO item (phase_id, origin{0}) "
                    "SELECT ?1, coalesce(nullif(i.origin, ''), r.uuid){0} FROM item i "
                    "JOIN (SELECT r.uuid FROM run r JOIN phase p ON p.run_id = r.id WHERE p.id = ?2) r "
                    "WHERE i.phase_id = ?2 AND i.task = ?3 AND i.doc_index < ?4 "
                    "ON CONFLICT (phase_id, task, doc_index) DO NOTHING",
                    columns),
        to_phase, from_phase, task, below);
  });
  return copied;
}

void Store::AddSamples(const std::vector<SampleRow>& rows) {
  Write("recording samples", [&] {
    InsertAll(*database_,
              "INSERT INTO sample (phase_id, benchmark, variant, repetition, seconds, value, unit) "
              "VALUES (?, ?, ?, ?, ?, ?, ?)",
              rows, [](SQLite::Statement& statement, const SampleRow& row) {
                Bind(statement, row.phase_id, row.benchmark, row.variant, row.repetition, row.seconds,
                     row.value, row.unit);
              });
  });
}

void Store::AddArtefact(const ArtefactRow& row) {
  RequireHash(row.sha256, "artefact");
  Write("recording the artefact", [&] {
    Execute(*database_, "INSERT INTO artefact (phase_id, path, sha256, bytes) VALUES (?, ?, ?, ?)",
            row.phase_id, row.path, row.sha256, row.bytes);
  });
}

void Store::AddLog(const LogRow& row) {
  Write("recording a log line", [&] {
    Execute(*database_, "INSERT INTO log (run_id, phase_id, time, level, text) VALUES (?, ?, ?, ?, ?)",
            row.run_id, row.phase_id, Now(), row.level, row.text);
  });
}

bool Store::PutChangePoint(const ChangePointRow& row) {
  int inserted = 0;
  Write("recording a change point", [&] {
    inserted =
        Execute(*database_,
                "INSERT INTO change_point (run_id, suite, series, level_before, level_after, unit, found) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, suite, series) DO NOTHING",
                row.run_id, row.suite, row.series, row.level_before, row.level_after, row.unit, Now());
  });
  return inserted != 0;
}

void Store::PutAcceptance(const AcceptanceRow& row) {
  if (row.reason.empty()) {
    throw Error(ErrorKind::kUsage, "a regression is accepted for a reason", "say it with --reason");
  }
  Write("recording an acceptance", [&] {
    Execute(*database_,
            "INSERT INTO acceptance (run_id, suite, series, reason, accepted) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (run_id, suite, series) DO UPDATE SET reason = excluded.reason, accepted = "
            "excluded.accepted",
            row.run_id, row.suite, row.series, row.reason, Now());
  });
}

void Store::AddMeasurements(const std::vector<MeasurementRow>& rows) {
  Write("recording measurements", [&] {
    for (const MeasurementRow& row : rows) {
      Execute(*database_,
              "INSERT INTO measurement (uuid, machine_id, build_id, measured, command, kind, subject, name, "
              "settings, value, unit, tolerance, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
              NewUuid(), row.machine_id, row.build_id, Now(), row.command, row.kind, row.subject, row.name,
              row.settings, row.value, row.unit, row.tolerance, row.detail);
    }
  });
}

}  // namespace tnb
