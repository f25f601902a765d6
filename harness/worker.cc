// The worker's side of worker_process.h.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <iostream>
#include <iterator>
#include <new>

#include "base/error.h"
#include "harness/energy.h"
#include "harness/measure.h"
#include "harness/memory.h"
#include "harness/phase.h"
#include "harness/worker_process.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

// Messages go to a copy of standard output, and what libraries print there goes to standard error.
int TakeStandardOutput() {
  const int messages = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (messages < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    throw Error(ErrorKind::kIo, "cannot duplicate standard output", std::strerror(errno));
  }
  return messages;
}

// The driver decides when a worker ends: not the terminal's Ctrl-C, but the driver's own death.
void FollowDriver() {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
}

// LibTorch throws its own exception when it gets no memory.
bool IsOutOfMemory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  const std::string text = error.what();
  return text.find("can't allocate memory") != std::string::npos ||
         text.find("out of memory") != std::string::npos ||
         text.find("not enough memory") != std::string::npos;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

int RunWorker(const std::string& name) {
  FollowDriver();
  Emitter emit(TakeStandardOutput());
  std::string status = "ok";
  std::string reason;
  try {
    const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    const Json spec = ParseJson(text, "the worker's spec");
    const PhaseEntry& phase = FindPhase(name);
    SetThreads(Require<int>(spec, "threads", "the worker's spec"));
    EnergyMeter energy;
    // Of the program itself: what a phase adds is what it needs.
    TrimAllocator();
    EmitBytes(emit, "resident_empty", ResidentBytes());
    EmitBytes(emit, "proportional_empty", ProportionalBytes());
    phase.run(spec, emit);
    if (const auto joules = energy.Joules()) {
      emit.Metric("energy", *joules, "J");
    } else if (name == "speed") {  // once a run is enough
      emit.Log("info", "energy: not available: " + energy.why());
    }
  } catch (const NotMeasured& why) {
    status = "not measured";
    reason = why.what();
  } catch (const Error& error) {
    status = "failed";
    reason = error.what();
  } catch (const std::exception& error) {
    status = IsOutOfMemory(error) ? "crashed" : "failed";
    reason = IsOutOfMemory(error) ? "out of memory: " + FirstLine(error.what()) : FirstLine(error.what());
  }
  Json end = {{"type", "end"}, {"status", status}, {"reason", reason}};
  if (const auto peak = PeakResidentBytes()) end["peak_bytes"] = *peak;
  emit.Emit(end);
  return status == "ok" || status == "not measured" ? 0 : 1;
}

}  // namespace tnb
