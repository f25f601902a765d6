// Runs the real tnbench in a folder of its own, on a tiny model with random weights and a tiny task.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "records/store.h"
#include "tests/support/support.h"

namespace tnb::testing {

struct Outcome {
  int exit_code = 0;  // negative: ended by that signal
  std::string output, errors;
};

// Limits of the process, for tests of what happens when the system refuses.
struct Limits {
  int64_t file_bytes = 0;  // largest file that may be written; 0: no limit
};

class Program {
 public:
  // Writes model/ (Hugging Face, context 256) and task.json with data of `items` questions.
  explicit Program(int items = 12);

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

  // tnbench ARGUMENTS in the folder; waits for its end.
  Outcome Run(const std::vector<std::string>& arguments, const Limits& limits = {}) const;
  // The same for a command line that computes nothing and starts no worker: in a copy of this process, which
  // spares loading LibTorch again.
  Outcome Ask(const std::vector<std::string>& arguments) const;
  // tnbench run with the tiny model, task, database and artefact folder, plus `arguments`.
  Outcome Measure(const std::vector<std::string>& arguments, const Limits& limits = {}) const;
  std::vector<std::string> MeasureArguments(const std::vector<std::string>& arguments) const;

  // The same without waiting: the process id, and how it ended.
  pid_t Start(const std::vector<std::string>& arguments, const Limits& limits = {}) const;
  Outcome Wait(pid_t process) const;
  // The worker that runs `phase` for `driver`, as soon as there is one; -1 when the driver ends before.
  pid_t WaitForWorker(pid_t driver, const std::string& phase) const;

  Store Database() const { return Store::OpenReadOnly(folder_ / "results.db"); }

 private:
  TemporaryFolder folder_;
};

// A text of so many sentences, no two alike, to calibrate or train on.
std::string Sentences(int count);
// The phase of this name; fails the test when there is none.
PhaseRow PhaseOf(const Store& store, int64_t run, const std::string& name);
// "ok" only when `errors` is one line that begins with "tnbench: error: ".
bool IsOneLineError(const std::string& errors);

}  // namespace tnb::testing
