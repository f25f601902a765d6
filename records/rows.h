// The rows of the record as plain structs: what is written into a Store and what its queries give back.
//
// Conventions. An `id` is the small integer of the database file and is 0 before insertion. Hashes are
// 64 hexadecimal digits of SHA-256 and are the keys that stay the same in every file: equal content has
// one row. Facts and settings are JSON; because nlohmann::json sorts keys, their dump is canonical.
// Members have initializers so that designated ones may name only some: MetricRow{.phase_id = 3, .name =
// "acc"}. Times are UTC, ISO 8601 with milliseconds, set by the Store. std::nullopt is "not measured": it is
// stored as NULL and shown in words, never as 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace tnb {

// Lasting facts only (processor, cores, memory size, system): what varies from day to day would make a
// new machine of the same one. The hash is that of `facts`.
struct MachineRow {
  int64_t id = 0;
  std::string hash{};  // set by the Store
  std::string name{};  // as shown: "AMD EPYC 7B13, 2 cores, 8 GiB"
  Json facts = Json::object();
};

// The program: commit, compiler, flags, LibTorch version. The hash is that of `facts` with `commit`.
struct BuildRow {
  int64_t id = 0;
  std::string hash{};    // set by the Store
  std::string commit{};  // tnbench commit, "-dirty" appended when files differed
  Json facts = Json::object();
};

struct ModelRow {
  int64_t id = 0;
  std::string hash{};  // Checkpoint::ContentHash
  std::string name{};  // as given on the command line
  std::string path{};
  int64_t parameters = 0;  // dense
  int64_t file_bytes = 0;
  Json config = Json::object();
};

struct DatasetRow {
  int64_t id = 0;
  std::string hash{};  // of the file's content
  std::string name{};
  std::string split{};
  std::string source{};  // path or address
  int64_t items = 0;
};

// Everything that can change a task's number. The hash is that of `content`.
struct ProtocolRow {
  int64_t id = 0;
  std::string hash{};  // set by the Store
  std::string name{};  // "arc_easy 25-shot"
  Json content = Json::object();
};

struct MethodRow {
  int64_t id = 0;
  std::string hash{};  // set by the Store: of `text`
  std::string text{};  // canonical recipe, "mpo:chi=64+int8"
};

// What is asked: model x method x settings (limit, tasks, seed, few-shot ...).
struct CellRow {
  int64_t id = 0;
  int64_t model_id = 0;
  int64_t method_id = 0;
  std::string settings_hash{};  // set by the Store
  Json settings = Json::object();
};

enum class RunStatus { kRunning, kOk, kPartial, kFailed, kCrashed };
// "running" "ok" "partial" (some phases are missing) "failed" (an error was reported) "crashed".
std::string ToString(RunStatus status);
RunStatus RunStatusFrom(const std::string& text);  // Error{kData} for anything else

struct RunRow {
  int64_t id = 0;
  std::string uuid{};  // set by the Store: the key of the run in every file
  int64_t cell_id = 0;
  int64_t machine_id = 0;
  int64_t build_id = 0;
  int64_t process = 0;    // process id of the driver, to tell abandoned runs
  std::string command{};  // command line
  std::string started{}, finished{};
  RunStatus status = RunStatus::kRunning;
  std::string message{};  // why it is not ok
};

enum class PhaseStatus { kRunning, kOk, kFailed, kCrashed, kSkipped, kNotMeasured };
// "running" "ok" "failed" "crashed" "skipped" (not asked for) "not measured" (cannot be, see reason).
std::string ToString(PhaseStatus status);
PhaseStatus PhaseStatusFrom(const std::string& text);

struct PhaseRow {
  int64_t id = 0;
  int64_t run_id = 0;
  std::string name{};           // compress | quality | speed | training
  std::string settings_hash{};  // set by the Store
  Json settings =
      Json::object();  // everything that can change this phase's numbers besides model, method, machine
  PhaseStatus status = PhaseStatus::kRunning;
  std::string reason{};  // why it is not ok, one line
  std::string started{}, finished{};
  std::optional<double> seconds{};      // wall time of the worker process
  std::optional<int64_t> peak_bytes{};  // peak resident bytes of the worker process
  std::optional<int64_t> exit_code{};   // negative: ended by that signal
  // Phase whose rows (metrics, layers, items ...) these are: the phase itself, or the finished phase of an
  // earlier run that was reused. Set by the Store.
  int64_t data_id = 0;
};

// One step of the recipe as it ran.
struct StageRow {
  int64_t id = 0;
  int64_t phase_id = 0;
  int64_t position = 0;  // from 0, left to right
  std::string text{};    // canonical stage text
  double seconds = 0;
  std::optional<int64_t> peak_bytes{};
  Json detail = Json::object();
};

// One linear (or embedding, head) after one stage.
struct LayerRow {
  int64_t id = 0;
  int64_t phase_id = 0;
  int64_t stage_position = 0;
  std::string name{};    // "blocks.3.gate"
  std::string format{};  // "tensor network 4 cores, int8"
  int64_t rows = 0, cols = 0;
  int64_t parameters = 0;  // stored learned scalars
  int64_t codes_bits = 0;
  int64_t stored_bytes = 0;
  std::optional<double> relative_error{};    // |W - W'|_F / |W|_F
  std::optional<double> discarded_weight{};  // sum of squared discarded singular values / |W|_F^2
  Json detail = Json::object();
};

struct MetricRow {
  int64_t id = 0;
  int64_t phase_id = 0;
  std::string name{};                      // "acc_norm", "stored_bytes", "decode_64"
  std::string task{};                      // quality only
  std::string filter{};                    // quality only: "none", "strict-match"
  std::string variant{};                   // speed only: "contracted", "rebuilt"; "" is the automatic choice
  double value = 0;                        // NaN is refused; infinity (a ruined model's perplexity) is kept
  std::string unit{};                      // "bytes", "tokens/s", "ms", "fraction"; not empty
  int64_t n = 1;                           // observations behind the value
  std::optional<double> se{}, lo{}, hi{};  // standard error; 95 % interval
  bool main = false;                       // the number by which the task is known
  std::optional<int64_t> protocol_id{};
  std::optional<int64_t> dataset_id{};
};

// One scored item of a task, with everything needed to score it again.
struct ItemRow {
  int64_t id = 0;
  int64_t phase_id = 0;
  std::string task{};
  int64_t doc_index = 0;  // position in the dataset's split
  std::string prompt_sha256{};
  std::string prompt{};  // may be left empty to save space
  std::string target{};
  Json loglikelihoods = nullptr;  // numbers, one an answer (null: not a log-likelihood task)
  Json greedy = nullptr;          // booleans
  std::string text{};             // generated
  Json scores = Json::object();   // metric name -> number
  int64_t tokens = 0;             // tokens scored or generated
  std::string origin{};           // uuid of the run that measured it, where that is another one
  std::string cluster{};          // equal for items that are not independent (same passage); "": independent
};

// Items of a phase that another run measured.
struct ItemOrigin {
  std::string uuid{};  // of that run
  int64_t items = 0;
  int64_t run_id = 0;    // 0: it is not in this file
  std::string commit{};  // its build's; empty when it is not in this file
};

// What a comparison needs of an item.
struct ItemScore {
  int64_t doc_index = 0;
  std::string prompt_sha256{}, cluster{};
  Json scores = Json::object();
};

// One raw repetition of a benchmark.
struct SampleRow {
  int64_t id = 0;
  int64_t phase_id = 0;
  std::string benchmark{};  // metric name it belongs to
  std::string variant{};
  int64_t repetition = 0;  // from 0
  double seconds = 0;
  double value = 0;
  std::string unit{};
};

struct ArtefactRow {
  int64_t id = 0;
  int64_t phase_id = 0;
  std::string path{};
  std::string sha256{};
  int64_t bytes = 0;
};

// A line of a worker's or driver's log, or a note of the user (level "note").
struct LogRow {
  int64_t id = 0;
  int64_t run_id = 0;
  std::optional<int64_t> phase_id{};
  std::string time{};   // set by the Store
  std::string level{};  // "info" "warning" "error" "note"
  std::string text{};
};

// A step in the history of a number, as the nightly comparison found it.
struct ChangePointRow {
  int64_t id = 0;
  int64_t run_id = 0;    // the first run at the new level
  std::string suite{};   // name of the suite
  std::string series{};  // "speed.decode_64"; model, method and settings are the run's
  double level_before = 0, level_after = 0;
  std::string unit{};
  std::string found{};  // set by the Store
};

// A regression that somebody accepted: from this run on the level of the series is the normal one.
struct AcceptanceRow {
  int64_t id = 0;
  int64_t run_id = 0;      // the night that showed the regression
  std::string suite{};     // name of the suite
  std::string series{};    // "speed.decode_64"; model, method and settings are the run's
  std::string reason{};    // in words; not empty
  std::string accepted{};  // when; set by the Store
};

// A number of a machine that belongs to no run: a limit, the noise of its timings, a kernel, a verification.
struct MeasurementRow {
  int64_t id = 0;
  std::string uuid{};  // set by the Store: the key of the row in every file
  int64_t machine_id = 0;
  int64_t build_id = 0;
  std::string measured{};             // set by the Store
  std::string command{};              // command line
  std::string kind{};                 // "limit" "noise" "kernel" "sweep", or a verification's name
  std::string subject{};              // "smollm2-135m int8@all"; empty: the machine itself
  std::string name{};                 // "read", "prefill_512", "threads"
  Json settings = Json::object();     // what else can change the value: threads, depth ...
  double value = 0;                   // of noise: the ratio of two measurements of the same thing
  std::string unit{};                 // "B/s", "tokens/s", "ratio"; not empty
  std::optional<double> tolerance{};  // what the value should not exceed
  Json detail = Json::object();       // raw samples, shares ...
};

// A run with what it refers to.
struct RunView {
  RunRow run{};
  CellRow cell{};
  ModelRow model{};
  MethodRow method{};
  MachineRow machine{};
  BuildRow build{};
};

}  // namespace tnb
