// Runs a phase in a process of its own: `tnbench worker PHASE`, spec on its standard input, messages (JSON
// lines) on its standard output. However the worker ends (well, with an error, killed, hanging, out of
// memory), the outcome is a value; only failures of the driver's own side (the sink throws, no process can be
// started) are exceptions, and the worker is ended then.
//
// While it waits the driver sleeps in poll, so it takes no time from what is measured.
#pragma once

#include <csignal>
#include <functional>
#include <string>

#include "base/json.h"
#include "records/rows.h"

namespace tnb {

// While one exists, SIGINT and SIGTERM do not end this process: they can be asked for, so that workers are
// ended and rows closed first. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  int descriptor() const { return descriptor_; }         // readable after a signal
  bool Interrupted();                                    // stays true
  const std::string& reason() const { return reason_; }  // "interrupted by SIGINT of process 12"

 private:
  sigset_t before_{};
  int descriptor_ = -1;
  bool interrupted_ = false;
  std::string reason_;
};

struct WorkerOutcome {
  PhaseStatus status = PhaseStatus::kCrashed;  // kOk kFailed kCrashed kNotMeasured
  std::string reason{};                        // unless ok
  double seconds = 0;                          // wall time of the process
  std::optional<int64_t> peak_bytes{};
  int64_t exit_code = 0;  // negative: ended by that signal
  std::string log{};      // last lines of its standard error
  bool interrupted = false;
};

// `timeout` 0: none. `sink` is given every message but the last one, which is {"type":"end",...}.
WorkerOutcome RunWorkerProcess(const std::string& phase, const Json& spec, double timeout,
                               InterruptGuard& guard, const std::function<void(const Json&)>& sink);

// The worker's side: reads the spec, runs the phase, reports how it ended. Returns the exit code.
int RunWorker(const std::string& phase);

}  // namespace tnb
