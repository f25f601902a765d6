// records/ is the memory of tnbench: one SQLite file that holds every run, with its schema, migrations, one
// writer and typed queries. It knows base/ only; numbers are made elsewhere and shown elsewhere.
//
// Store is a connection to such a file. The driver is the only writer; reports open read-only, also while a
// run is being written (WAL). Typical use:
//
//   Store store = Store::Open("results.db");
//   int64_t cell = store.PutCell({.model_id = store.PutModel(model), .method_id = store.PutMethod("int8"),
//   .settings = settings}); int64_t run = store.BeginRun({.cell_id = cell, .machine_id = ..., .build_id =
//   ..., .process = getpid()}); if (auto done = store.FindFinishedPhase({model_hash, "int8", "quality",
//   phase_settings})) {
//     store.AdoptPhase(run, done->id);
//   } else {
//     int64_t phase = store.BeginPhase({.run_id = run, .name = "quality", .settings = phase_settings});
//     ... store.Transaction([&] { store.AddItems(items); store.AddMetric(metric); store.FinishPhase(phase,
//     {...}); });
//   }
//   store.FinishRun(run, RunStatus::kOk);
//
// Every call outside Transaction is a transaction of its own and is durable when it returns. Errors are
// Error{kIo} (full disk, read-only file, locked, not a database, damaged), Error{kData} (NaN, empty unit,
// unknown id, newer schema) with a hint; a failed call changes nothing. Not thread-safe: one Store a thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "records/rows.h"

namespace SQLite {
class Database;
}

namespace tnb {

// SHA-256 of the canonical dump: how settings, protocols and facts are identified.
std::string HashOf(const Json& json);

// What identifies a finished phase. `settings` is PhaseRow::settings. With `machine_hash` (speed, training
// and compress: time matters) only phases of that machine are found.
struct PhaseKey {
  std::string model_hash{};
  std::string method{};  // canonical text
  std::string phase{};
  Json settings = Json::object();
  std::string machine_hash{};
};

// What Merge did.
struct MergeCounts {
  int64_t runs = 0;        // copied, with everything that belongs to them
  int64_t known = 0;       // were there already (same uuid)
  int64_t unfinished = 0;  // still running over there, or sharing the phase of a run that is: left out
  int64_t items = 0;       // of the copied runs
  int64_t change_points = 0;
  int64_t measurements = 0;
};

// The cells of an exported row, in the order of the columns: null, number or text.
using ExportedRow = std::vector<Json>;

struct PhaseEnd {
  PhaseStatus status = PhaseStatus::kOk;
  std::string reason{};  // required unless ok
  std::optional<double> seconds{};
  std::optional<int64_t> peak_bytes{};
  std::optional<int64_t> exit_code{};
};

// Which runs are asked for; empty fields do not restrict.
struct RunFilter {
  std::vector<int64_t> ids{};
  std::string model{};   // name
  std::string method{};  // canonical text
  std::string commit{};  // of tnbench: its beginning
  std::string uuid{};    // its beginning
  std::string since{};   // runs that began at this time or later: "2026-01-31", or longer
  // Of several runs of one cell on one machine only the newest that is ok; when none is ok, the newest.
  bool newest_only = false;
};

class Store {
 public:
  // Opens for writing; makes the file (not its folder) when absent, migrates an older schema.
  static Store Open(const std::filesystem::path& path);
  // Error{kIo} when the file does not exist; an older schema is an error with a hint (open it for writing
  // once).
  static Store OpenReadOnly(const std::filesystem::path& path);
  Store(Store&&) noexcept;
  ~Store();

  // Runs `body`; commits when it returns, rolls back when it throws. Calls inside join it, and one that
  // fails inside undoes its own part only.
  void Transaction(const std::function<void()>& body);

  // The Put functions insert the row, or give the id of the row with the same key (hash); a model's or
  // dataset's name and path are brought up to date. They compute the hashes that rows.h says the Store sets.
  int64_t PutMachine(const MachineRow& row);
  int64_t PutBuild(const BuildRow& row);
  int64_t PutModel(const ModelRow& row);
  int64_t PutDataset(const DatasetRow& row);
  int64_t PutProtocol(const ProtocolRow& row);
  int64_t PutMethod(const std::string& canonical_text);
  int64_t PutCell(const CellRow& row);

  // A run is a row from its beginning on, status running.
  int64_t BeginRun(const RunRow& row);
  void FinishRun(int64_t run_id, RunStatus status, const std::string& message = "");
  // Ends as crashed every run (and its running phases) of this machine that still says running and whose
  // driver is not alive any more. Returns how many. Call at the start of the driver.
  int64_t CloseAbandonedRuns(int64_t machine_id, const std::function<bool(int64_t process)>& alive);

  int64_t BeginPhase(const PhaseRow& row);
  void FinishPhase(int64_t phase_id, const PhaseEnd& end);
  // Makes a finished phase of another run a phase of this run as well (its rows are shared, not copied).
  int64_t AdoptPhase(int64_t run_id, int64_t finished_phase_id);
  // A phase that never ran: skipped or not measured, with the reason.
  int64_t SkipPhase(const PhaseRow& row, PhaseStatus status, const std::string& reason);

  void AddStage(const StageRow& row);
  void AddLayers(const std::vector<LayerRow>& rows);
  void AddMetric(const MetricRow& row);             // (phase, task, filter, variant, name) occurs once
  void AddItems(const std::vector<ItemRow>& rows);  // (phase, task, doc_index) occurs once
  void AddSamples(const std::vector<SampleRow>& rows);
  void AddArtefact(const ArtefactRow& row);
  void AddLog(const LogRow& row);
  // Once a (run, suite, series): finding it again changes nothing. Says whether it is new.
  bool PutChangePoint(const ChangePointRow& row);
  // Once a (run, suite, series): a later reason replaces the earlier one. Error{kUsage} without a reason.
  void PutAcceptance(const AcceptanceRow& row);

  // `machine_id`, `build_id`, `kind`, `name` and `unit` are required.
  void AddMeasurements(const std::vector<MeasurementRow>& rows);

  // Copies all finished runs of another results database that are not here yet, and change points and
  // acceptances also of those that are; and measurements. Models, methods, machines, protocols ... are known
  // by hash, runs by uuid: merging twice changes nothing. All or nothing. Error{kUsage} when it is this file
  // itself.
  MergeCounts Merge(const std::filesystem::path& other);

  // Gives rows of `from_phase` to `to_phase` as well: items of `task` with a document below `below` that it
  // does not have yet. They keep who measured them. Returns how many.
  int64_t CopyItems(int64_t from_phase, int64_t to_phase, const std::string& task, int64_t below);

  // The newest finished (ok) phase with this key that ran itself (was not adopted).
  std::optional<PhaseRow> FindFinishedPhase(const PhaseKey& key) const;
  // Phases of this name that measured this artefact (PhaseRow::settings["artefact"]) themselves and have
  // ended, however they did; newest first.
  std::vector<PhaseRow> EndedPhases(const std::string& name, const std::string& artefact_sha256) const;

  // Runs by ascending id.
  std::vector<RunView> Runs(const RunFilter& filter = {}) const;
  RunView Run(int64_t run_id) const;  // Error{kUsage} naming the known ids
  // Phases of a run in the order in which they began.
  std::vector<PhaseRow> Phases(int64_t run_id) const;
  // The rows of a phase; give PhaseRow::data_id, so that adopted phases show their rows.
  std::vector<StageRow> Stages(int64_t data_id) const;    // by position
  std::vector<LayerRow> Layers(int64_t data_id) const;    // as added
  std::vector<MetricRow> Metrics(int64_t data_id) const;  // as added
  std::vector<SampleRow> Samples(int64_t data_id) const;  // as added
  // Document order; all tasks (by name) when `task` is empty.
  std::vector<ItemRow> Items(int64_t data_id, const std::string& task = "") const;
  // The same without texts, many times as fast: of one task, in document order.
  std::vector<ItemScore> ItemScores(int64_t data_id, const std::string& task) const;
  // Where the items of a task came from that the phase did not measure itself; by run.
  std::vector<ItemOrigin> ItemOrigins(int64_t data_id, const std::string& task) const;
  std::optional<ArtefactRow> Artefact(int64_t data_id) const;
  std::vector<LogRow> Logs(int64_t run_id) const;
  ProtocolRow Protocol(int64_t id) const;
  DatasetRow Dataset(int64_t id) const;
  // By series and run; all suites when `suite` is empty.
  std::vector<ChangePointRow> ChangePoints(const std::string& suite = "") const;
  // By run and series.
  std::vector<AcceptanceRow> Acceptances(const std::string& suite) const;

  // Of one kind (empty: all) on the machine of this hash (empty: all), oldest first.
  std::vector<MeasurementRow> Measurements(const std::string& kind,
                                           const std::string& machine_hash = "") const;

  // What Export knows: "runs", "phases", "metrics", "layers", "items", "samples", "changes", "acceptances",
  // "measurements".
  static std::vector<std::string> ExportTables();
  // The rows of a view, run by run, streamed: `columns` first, once, then every row. `runs` empty: all.
  // Error{kUsage} for an unknown table, and for `runs` with measurements, which belong to none.
  void Export(const std::string& table, const std::vector<int64_t>& runs,
              const std::function<void(const std::vector<std::string>& columns)>& columns,
              const std::function<void(const ExportedRow& row)>& row) const;

  const std::filesystem::path& path() const { return path_; }

 private:
  Store(const std::filesystem::path& path, bool writable);
  void Connect(bool writable);
  void CheckSchema(bool writable);
  // Runs `body` in a transaction, or in a savepoint of the one that is open, and turns SQLite's exceptions
  // into Errors that say what was being done.
  void Write(const std::string& doing, const std::function<void()>& body);
  void Read(const std::string& doing, const std::function<void()>& body) const;
  // All rows of a query, each by `read` (store_read.cc).
  template <typename Reader, typename... Values>
  auto Rows(const char* doing, const std::string& sql, const Reader& read, const Values&... values) const;

  std::filesystem::path path_;
  std::unique_ptr<SQLite::Database> database_;
  bool in_transaction_ = false;
};

}  // namespace tnb
