#include "harness/driver.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <map>

#include "base/error.h"
#include "harness/facts.h"
#include "harness/phase.h"
#include "harness/plan.h"
#include "harness/recorder.h"
#include "harness/resume.h"
#include "harness/worker_process.h"

namespace tnb {
namespace {

void Say(const std::string& line) { std::cerr << line << std::endl; }

bool IsAlive(int64_t process) { return ::kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM; }

bool Finished(PhaseStatus status) {
  return status == PhaseStatus::kOk || status == PhaseStatus::kNotMeasured;
}

// Size only: the workers check the hash.
bool IsThere(const ArtefactRow& artefact) {
  std::error_code failure;
  const auto bytes = std::filesystem::file_size(artefact.path, failure);
  return !failure && static_cast<int64_t>(bytes) == artefact.bytes;
}

// One cell on its way through the phases.
class CellRunner {
 public:
  // `base`: the artefact of the base cell of the same model, which runs first; empty when this is it.
  CellRunner(const Plan& plan, const PlannedCell& cell, const ArtefactRow& base, Store& store,
             InterruptGuard& guard)
      : plan_(plan), cell_(cell), base_(base), store_(store), guard_(guard) {
    const Subject& subject = *cell.subject;
    machine_hash_ = HashOf(ThisMachine().facts);
    const int64_t model = store.PutModel({.hash = subject.hash,
                                          .name = subject.name,
                                          .path = subject.path,
                                          .parameters = subject.config.ParameterCount(),
                                          .file_bytes = subject.file_bytes,
                                          .config = ToJson(subject.config)});
    cell_id_ = store.PutCell({.model_id = model,
                              .method_id = store.PutMethod(cell.method),
                              .settings = CellSettings(plan.request)});
    machine_id_ = store.PutMachine(ThisMachine());
  }

  // The id of the run that holds the cell's numbers.
  int64_t Run() {
    if (!plan_.request.force) {
      if (const auto earlier = EarlierRun()) {
        SayMeasured(cell_.subject->name + " " + cell_.label, *earlier);
        return *earlier;
      }
    }
    artefact_ = {};
    run_id_ = store_.BeginRun({.cell_id = cell_id_,
                               .machine_id = machine_id_,
                               .build_id = store_.PutBuild(ThisBuild()),
                               .process = ::getpid(),
                               .command = plan_.request.command});
    try {
      for (const PhaseEntry& phase : Phases()) RunPhase(phase);
    } catch (...) {
      CloseAfterError();
      throw;
    }
    store_.FinishRun(run_id_, Status(), message_);
    return run_id_;
  }
  const ArtefactRow& artefact() const { return artefact_; }
  bool failed() const { return failed_ || crashed_; }
  bool interrupted() const { return interrupted_; }

 private:
  bool Asked(const std::string& phase) const {
    const auto& asked = plan_.request.phases;
    return std::count(asked.begin(), asked.end(), phase) != 0;
  }

  // What drift is measured from; this cell's own artefact when it is the base.
  const ArtefactRow& Base() const { return cell_.method == plan_.base ? artefact_ : base_; }

  // A run of this cell, on this machine, in which everything that is asked for is finished.
  std::optional<int64_t> EarlierRun() {
    const auto runs = store_.Runs({.model = cell_.subject->name, .method = cell_.method});
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
      const bool good = run->run.status == RunStatus::kOk || run->run.status == RunStatus::kPartial;
      if (!good || run->cell.id != cell_id_ || run->machine.id != machine_id_) continue;
      if (HasEverything(run->run.id)) return run->run.id;
    }
    return std::nullopt;
  }

  bool HasEverything(int64_t run_id) {
    std::map<std::string, PhaseRow> done;
    for (const PhaseRow& phase : store_.Phases(run_id)) {
      if (Finished(phase.status)) done[phase.name] = phase;
    }
    if (done.count("compress") == 0) return false;
    const auto artefact = store_.Artefact(done["compress"].data_id);
    if (!artefact) return false;
    artefact_ = *artefact;
    for (const PhaseEntry& phase : Phases()) {
      if (!Asked(phase.name)) continue;
      const auto found = done.find(phase.name);
      if (found == done.end()) return false;
      if (found->second.settings != Settings(phase.name)) return false;
    }
    return true;
  }

  std::optional<PhaseRow> FindFinished(const std::string& phase, const Json& settings) const {
    if (plan_.request.force && Asked(phase)) return std::nullopt;
    return store_.FindFinishedPhase({.model_hash = cell_.subject->hash,
                                     .method = cell_.method,
                                     .phase = phase,
                                     .settings = settings,
                                     .machine_hash = FindPhase(phase).timed ? machine_hash_ : ""});
  }

  Json Settings(const std::string& phase) const {
    return PhaseSettings(plan_, cell_, phase, artefact_.sha256, Base().sha256);
  }

  void RunPhase(const PhaseEntry& phase) {
    const std::string name = phase.name;
    const PhaseRow row = {.run_id = run_id_, .name = name, .settings = Settings(name)};
    const bool compress = name == "compress";
    if (guard_.Interrupted()) interrupted_ = crashed_ = true;
    if (interrupted_) {
      Skip(row, PhaseStatus::kSkipped, "interrupted before it began");
    } else if (!compress && artefact_.sha256.empty()) {
      Skip(row, PhaseStatus::kSkipped, "there is no artefact: compress did not finish");
    } else if (!compress && !Asked(name)) {  // compress is needed by all others
      Skip(row, PhaseStatus::kSkipped, "not asked for (--phases)");
      partial_ = true;
    } else if (const auto reason = WhyNotMeasured(plan_, cell_, name)) {
      Skip(row, PhaseStatus::kNotMeasured, *reason);
    } else if (name == "drift" && Base().sha256.empty()) {
      Skip(row, PhaseStatus::kSkipped, "the base has no artefact: its compress phase did not finish");
      partial_ = true;
    } else if (const auto finished = FindFinished(name, row.settings); finished && CanReuse(*finished)) {
      store_.AdoptPhase(run_id_, finished->id);
      SayMeasured(Label(name), finished->run_id);
      if (compress) artefact_ = *store_.Artefact(finished->data_id);
    } else {
      Measure(row);
    }
  }

  // A finished compress phase without its file is of use only to a run that asks for nothing else.
  bool CanReuse(const PhaseRow& finished) const {
    if (finished.name != "compress") return true;
    const auto artefact = store_.Artefact(finished.data_id);
    return artefact && (IsThere(*artefact) || plan_.request.phases == std::vector<std::string>{"compress"});
  }

  void Measure(const PhaseRow& row) {
    const int64_t phase_id = store_.BeginPhase(row);
    ArtefactRow artefact = artefact_;
    if (row.name == "compress") artefact.path = ArtefactPath(plan_, cell_).string();
    Json spec = WorkerSpec(plan_, cell_, row.name, row.settings, artefact, Base());
    if (row.name == "quality" && !plan_.request.force) spec["done"] = Resume(phase_id, row.settings);
    Recorder recorder(store_, run_id_, phase_id, Label(row.name));
    const WorkerOutcome outcome = RunWorkerProcess(row.name, spec, plan_.request.timeout, guard_,
                                                   [&](const Json& message) { recorder.Take(message); });
    recorder.Finish();
    store_.Transaction([&] {
      if (!Finished(outcome.status) && !outcome.log.empty()) {
        store_.AddLog({.run_id = run_id_, .phase_id = phase_id, .level = "error", .text = outcome.log});
      }
      store_.FinishPhase(phase_id, {.status = outcome.status,
                                    .reason = outcome.reason,
                                    .seconds = outcome.seconds,
                                    .peak_bytes = outcome.peak_bytes,
                                    .exit_code = outcome.exit_code});
    });
    interrupted_ = interrupted_ || outcome.interrupted;
    Judge(row.name, outcome);
    if (row.name == "compress" && outcome.status == PhaseStatus::kOk) {
      const auto written = store_.Artefact(phase_id);
      if (!written) throw Error(ErrorKind::kInternal, "compress finished without an artefact");
      artefact_ = *written;
    }
  }

  // What is measured already of a quality phase, for its worker.
  Json Resume(int64_t phase_id, const Json& settings) {
    TakeItems(store_, phase_id, settings);
    for (const Json& task : settings.at("tasks")) {
      const std::string name = task.at("task");
      for (const ItemOrigin& origin : store_.ItemOrigins(phase_id, name)) {
        const std::string text = name + ": " + std::to_string(origin.items) + " of " +
                                 task.at("items").dump() + " items were measured already (" +
                                 (origin.run_id == 0 ? "run " + origin.uuid : RunText(origin.run_id)) + ")";
        Say(Label("quality") + " " + text + ", --force repeats");
        store_.AddLog({.run_id = run_id_, .phase_id = phase_id, .level = "info", .text = text});
      }
    }
    return DoneItems(store_, phase_id, settings);
  }

  // A version under development changes from commit to commit: numbers of another one are used, and said so.
  std::string RunText(int64_t run_id) const {
    const std::string commit = store_.Run(run_id).build.commit;
    return "run " + std::to_string(run_id) + (commit == ThisBuild().commit ? "" : ", by commit " + commit);
  }

  void SayMeasured(const std::string& what, int64_t run_id) const {
    Say(what + ": already measured (" + RunText(run_id) + "), --force repeats");
  }

  void Judge(const std::string& phase, const WorkerOutcome& outcome) {
    if (outcome.status == PhaseStatus::kOk) return;
    Say(Label(phase) + ": " + ToString(outcome.status) + ": " + outcome.reason);
    if (outcome.status == PhaseStatus::kNotMeasured) return;
    (outcome.status == PhaseStatus::kCrashed ? crashed_ : failed_) = true;
    if (message_.empty()) message_ = phase + ": " + outcome.reason;
  }

  void Skip(const PhaseRow& row, PhaseStatus status, const std::string& reason) {
    store_.SkipPhase(row, status, reason);
    if (status == PhaseStatus::kNotMeasured) Say(Label(row.name) + ": not measured: " + reason);
  }

  RunStatus Status() {
    if (interrupted_ && message_.empty()) message_ = guard_.reason();
    if (crashed_) return RunStatus::kCrashed;
    if (failed_) return RunStatus::kFailed;
    if (partial_ && message_.empty()) message_ = "some phases were not asked for";
    return partial_ ? RunStatus::kPartial : RunStatus::kOk;
  }

  // The store may be what failed; what it refuses now is closed by the next driver (CloseAbandonedRuns).
  void CloseAfterError() {
    try {
      for (const PhaseRow& phase : store_.Phases(run_id_)) {
        if (phase.status != PhaseStatus::kRunning) continue;
        store_.FinishPhase(phase.id, {.status = PhaseStatus::kFailed, .reason = "the driver failed"});
      }
      store_.FinishRun(run_id_, RunStatus::kFailed, "the driver failed");
    } catch (const Error&) {
    }
  }

  std::string Label(const std::string& phase) const {
    return cell_.subject->name + " " + cell_.label + " " + phase;
  }

  const Plan& plan_;
  const PlannedCell& cell_;
  const ArtefactRow& base_;
  Store& store_;
  InterruptGuard& guard_;
  std::string machine_hash_;
  int64_t cell_id_ = 0, machine_id_ = 0, run_id_ = 0;
  ArtefactRow artefact_;
  bool failed_ = false, crashed_ = false, partial_ = false, interrupted_ = false;
  std::string message_;
};

}  // namespace

DriverResult RunPlan(const Plan& plan, Store& store, const DriverHooks& hooks) {
  InterruptGuard guard;
  store.CloseAbandonedRuns(store.PutMachine(ThisMachine()), IsAlive);
  DriverResult result;
  std::map<const Subject*, ArtefactRow> bases;
  for (const PlannedCell& cell : plan.cells) {
    if (guard.Interrupted()) result.interrupted = true;
    if (result.interrupted) break;
    if (hooks.may_begin && !hooks.may_begin(cell)) break;
    CellRunner runner(plan, cell, bases.try_emplace(cell.subject.get(), plan.base_artefact).first->second,
                      store, guard);
    result.runs.push_back(runner.Run());
    if (cell.method == plan.base) bases[cell.subject.get()] = runner.artefact();
    if (hooks.ended) hooks.ended(cell);
    result.failed = result.failed || runner.failed();
    result.interrupted = result.interrupted || runner.interrupted();
  }
  return result;
}

}  // namespace tnb
