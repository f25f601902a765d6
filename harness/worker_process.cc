#include "harness/worker_process.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/process.hpp>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/stopwatch.h"

namespace tnb {
namespace {

namespace bp = boost::process;
constexpr size_t kKeptLog = 8192;              // bytes of standard error that are worth storing
constexpr size_t kLongestMessage = 256 << 20;  // a worker that says more without a line break is broken

Error SystemError(const std::string& what) { return Error(ErrorKind::kIo, what, std::strerror(errno)); }

// The driver's end of a pipe; starting the worker has closed the other one.
struct ReadEnd {
  explicit ReadEnd(bp::pipe& pipe) : descriptor(pipe.native_source()) { pipe.assign_source(-1); }
  ~ReadEnd() { Close(); }
  void Close() {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
  }
  // Appends what there is; closes at the end of the stream.
  void Read(std::string& text) {
    char buffer[65536];
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count > 0) text.append(buffer, static_cast<size_t>(count));
    if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) Close();
  }
  int descriptor;
};

// A started worker; killed and reaped at the latest by the destructor.
class Process {
 public:
  Process(const std::string& phase, bp::pipe& input, bp::pipe& output, bp::pipe& errors) {
    std::error_code failure;
    // The running file itself, also when it has been replaced by a newer build in the meantime.
    bp::child child("/proc/self/exe", bp::args = std::vector<std::string>{"worker", phase},
                    bp::std_in<input, bp::std_out> output, bp::std_err > errors, failure);
    if (failure) throw Error(ErrorKind::kIo, "cannot start a worker: " + failure.message());
    id_ = child.id();
    child.detach();  // reaped by wait4 below, which also tells the peak memory
  }
  ~Process() {
    if (reaped_) return;
    Kill();
    Wait();
  }
  void Kill() { ::kill(id_, SIGKILL); }
  void Wait() {
    while (::wait4(id_, &status_, 0, &usage_) < 0 && errno == EINTR) {
    }
    reaped_ = true;
  }
  int status() const { return status_; }
  int64_t peak_bytes() const { return int64_t{usage_.ru_maxrss} * 1024; }

 private:
  pid_t id_ = -1;
  int status_ = 0;
  rusage usage_{};
  bool reaped_ = false;
};

// Hands every complete line to the sink; keeps the message that says how the worker ended.
class Messages {
 public:
  explicit Messages(const std::function<void(const Json&)>& sink) : sink_(sink) {}
  std::string& buffer() { return buffer_; }
  void Take() {
    size_t begin = 0;
    for (size_t end; (end = buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const Json message = ParseJson(buffer_.substr(begin, end - begin), "a worker's message");
      if (Require<std::string>(message, "type", "a worker's message") == "end") {
        end_ = message;
      } else {
        sink_(message);
      }
    }
    buffer_.erase(0, begin);
    if (buffer_.size() > kLongestMessage) throw Error(ErrorKind::kInternal, "a worker's message never ends");
  }
  const std::optional<Json>& end() const { return end_; }

 private:
  const std::function<void(const Json&)>& sink_;
  std::string buffer_;
  std::optional<Json> end_;
};

void SendSpec(bp::pipe& input, const Json& spec) {
  const std::string text = spec.dump();
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(input.native_sink(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;  // it has ended already; its exit code says why
    done += static_cast<size_t>(count);
  }
  ::close(input.native_sink());
  input.assign_sink(-1);
}

std::string SignalName(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return "signal " + std::to_string(signal) + (name == nullptr ? "" : " (SIG" + std::string(name) + ")");
}

void Judge(const Process& process, const Messages& messages, WorkerOutcome& outcome) {
  outcome.peak_bytes = process.peak_bytes();
  if (WIFSIGNALED(process.status())) {
    const int signal = WTERMSIG(process.status());
    outcome.exit_code = -signal;
    if (outcome.reason.empty()) {
      outcome.reason = "the worker was ended by " + SignalName(signal);
      if (signal == SIGKILL) outcome.reason += "; hint: without a person behind it, memory ran out";
    }
    return;
  }
  outcome.exit_code = WEXITSTATUS(process.status());
  if (!messages.end()) {
    if (outcome.reason.empty()) {
      outcome.reason =
          "the worker ended with exit code " + std::to_string(outcome.exit_code) + " in the middle";
    }
    return;
  }
  const Json& end = *messages.end();
  outcome.status = PhaseStatusFrom(Require<std::string>(end, "status", "a worker's last message"));
  outcome.reason = Require<std::string>(end, "reason", "a worker's last message");
  // The system's figure begins before exec, with the driver's own memory; the worker knows better.
  if (end.contains("peak_bytes"))
    outcome.peak_bytes = Require<int64_t>(end, "peak_bytes", "a worker's last message");
}

}  // namespace

InterruptGuard::InterruptGuard() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, &before_);
  descriptor_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor_ < 0) throw SystemError("cannot watch for signals");
  std::signal(SIGPIPE, SIG_IGN);  // a worker that ends early is not the end of the driver
}

InterruptGuard::~InterruptGuard() {
  ::close(descriptor_);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool InterruptGuard::Interrupted() {
  signalfd_siginfo info{};
  if (::read(descriptor_, &info, sizeof info) == sizeof info && !interrupted_) {
    interrupted_ = true;
    reason_ = "interrupted by " + SignalName(static_cast<int>(info.ssi_signo));
    if (info.ssi_pid != 0) reason_ += " of process " + std::to_string(info.ssi_pid);
  }
  return interrupted_;
}

WorkerOutcome RunWorkerProcess(const std::string& phase, const Json& spec, double timeout,
                               InterruptGuard& guard, const std::function<void(const Json&)>& sink) {
  const auto start = Clock::now();
  const auto elapsed = [&] { return SecondsSince(start); };
  bp::pipe input, output, errors;
  Process process(phase, input, output, errors);
  ReadEnd messages_end(output), errors_end(errors);
  SendSpec(input, spec);
  Messages messages(sink);
  WorkerOutcome outcome;
  bool ended = false;
  const auto end_worker = [&](const std::string& reason) {
    if (ended) return;
    ended = true;
    outcome.reason = reason;
    process.Kill();
  };
  while (messages_end.descriptor >= 0 || errors_end.descriptor >= 0) {
    pollfd watched[] = {{messages_end.descriptor, POLLIN, 0},
                        {errors_end.descriptor, POLLIN, 0},
                        {ended ? -1 : guard.descriptor(), POLLIN, 0}};
    int wait = -1;
    if (timeout > 0 && !ended)
      wait = static_cast<int>(std::max(0.0, std::ceil((timeout - elapsed()) * 1000)));
    if (::poll(watched, 3, wait) < 0 && errno != EINTR) throw SystemError("poll failed");
    if (watched[0].revents != 0) {
      messages_end.Read(messages.buffer());
      if (!ended) messages.Take();
    }
    if (watched[1].revents != 0) errors_end.Read(outcome.log);
    if (outcome.log.size() > 2 * kKeptLog) outcome.log.erase(0, outcome.log.size() - kKeptLog);
    if (guard.Interrupted()) {
      outcome.interrupted = true;
      end_worker(guard.reason());
    }
    if (timeout > 0 && elapsed() >= timeout) {
      end_worker("timed out after " + Json(timeout).dump() + " s; hint: --timeout allows more");
    }
  }
  process.Wait();
  outcome.seconds = elapsed();
  if (outcome.log.size() > kKeptLog) outcome.log.erase(0, outcome.log.size() - kKeptLog);
  Judge(process, messages, outcome);
  return outcome;
}

}  // namespace tnb
