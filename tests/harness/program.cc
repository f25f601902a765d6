#include "tests/harness/program.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "base/files.h"
#include "harness/command.h"
#include "tests/models/formats/builders.h"
#include "tests/models/tokenizers/golden.h"
#include "tests/support/catch.h"

namespace tnb::testing {
namespace {

ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocabulary_size = 406;  // of the golden tokenizer
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.block_count = 2;
  config.head_count = 4;
  config.kv_head_count = 2;
  config.head_size = 8;
  config.context_length = 256;
  config.tied_head = true;
  return config;
}

void WriteModel(const std::filesystem::path& folder) {
  const ModelConfig config = SmallConfig();
  std::map<std::string, std::vector<float>> weights = TinyWeights(config);
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 0.2F);
  for (auto& [name, values] : weights) {
    const bool is_norm = name.find("norm") != std::string::npos;
    for (float& value : values) value = is_norm ? 1.0F : normal(random);
  }
  std::filesystem::create_directories(folder);
  WriteHuggingFace(folder, config, weights, 1);
  std::filesystem::copy_file(GoldenPath("tiny_qwen2.json"), folder / "tokenizer.json");
}

void WriteTask(const std::filesystem::path& folder, int items) {
  std::string lines;
  for (int i = 0; i < items; ++i) {
    const Json item = {{"question", "What is " + std::to_string(i) + " and one more?"},
                       {"choices", {std::to_string(i + 1), "blue", "a small house"}},
                       {"gold", i % 3}};
    lines += item.dump() + "\n";
  }
  WriteText(folder / "task.jsonl", lines);
  const Json task = {{"name", "tiny"},
                     {"version", "1.0"},
                     {"description", "Sums that a random model cannot do."},
                     {"form", "multiple_choice"},
                     {"dataset", {{"file", "task.jsonl"}, {"split", "test"}}},
                     {"prompt", "Question: {question}\nAnswer:"},
                     {"choices", "choices"},
                     {"gold", "gold"},
                     {"metrics", {"acc", "acc_norm"}},
                     {"main", "acc"}};
  WriteText(folder / "task.json", task.dump(2));
}

// A command line of tnbench as main and exec take it.
class CommandWords {
 public:
  explicit CommandWords(const std::vector<std::string>& arguments) : words_{TNBENCH_PROGRAM} {
    words_.insert(words_.end(), arguments.begin(), arguments.end());
    for (std::string& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
  }
  char** pointers() { return pointers_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

// In a new process: works in the folder from now on, and writes to its output.txt and errors.txt.
bool EnterFolder(const std::filesystem::path& folder) {
  if (::chdir(folder.c_str()) != 0) return false;
  const int output = ::open("output.txt", O_CREAT | O_TRUNC | O_WRONLY, 0644);
  const int errors = ::open("errors.txt", O_CREAT | O_TRUNC | O_WRONLY, 0644);
  return ::dup2(output, STDOUT_FILENO) >= 0 && ::dup2(errors, STDERR_FILENO) >= 0;
}

// Child processes of `parent` whose command line is "... worker PHASE".
pid_t FindWorker(pid_t parent, const std::string& phase) {
  pid_t found = -1;
  DIR* processes = ::opendir("/proc");
  while (const dirent* entry = ::readdir(processes)) {
    const pid_t id = std::atoi(entry->d_name);
    if (id <= 0) continue;
    const std::string folder = "/proc/" + std::to_string(id);
    std::ifstream status(folder + "/stat");
    std::string line;
    std::getline(status, line);
    std::istringstream rest(line.substr(std::min(line.size(), line.rfind(')') + 1)));
    char state = 0;
    pid_t its_parent = 0;
    rest >> state >> its_parent;
    if (its_parent != parent) continue;
    std::ifstream command(folder + "/cmdline", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(command), std::istreambuf_iterator<char>()};
    if (text.find(std::string("worker\0", 7) + phase) != std::string::npos) found = id;
  }
  ::closedir(processes);
  return found;
}

}  // namespace

Program::Program(int items) {
  WriteModel(folder_ / "model");
  WriteTask(folder_.path(), items);
}

std::vector<std::string> Program::MeasureArguments(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = {"run",         "--model",   "./model",    "--tasks",
                                  "./task.json", "--db",      "results.db", "--artefacts",
                                  "artefacts",   "--threads", "1"};
  if (std::find(arguments.begin(), arguments.end(), "--repetitions") == arguments.end()) {
    all.insert(all.end(), {"--repetitions", "2"});
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

Outcome Program::Measure(const std::vector<std::string>& arguments, const Limits& limits) const {
  return Run(MeasureArguments(arguments), limits);
}

Outcome Program::Run(const std::vector<std::string>& arguments, const Limits& limits) const {
  return Wait(Start(arguments, limits));
}

Outcome Program::Ask(const std::vector<std::string>& arguments) const {
  std::cout.flush();  // what is buffered would be written twice
  const pid_t process = ::fork();
  if (process != 0) return Wait(process);
  if (!EnterFolder(folder())) ::_exit(127);
  CommandWords words(arguments);
  const int exit_code = RunCommandLine(static_cast<int>(arguments.size()) + 1, words.pointers());
  std::cout.flush();
  ::_exit(exit_code);
}

pid_t Program::Start(const std::vector<std::string>& arguments, const Limits& limits) const {
  const pid_t process = ::fork();
  if (process != 0) return process;
  ::setpgid(0, 0);  // a signal to the test does not meet it twice
  bool good = EnterFolder(folder());
  if (limits.file_bytes > 0) {
    const rlimit limit = {static_cast<rlim_t>(limits.file_bytes), static_cast<rlim_t>(limits.file_bytes)};
    good = good && ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
    ::signal(SIGXFSZ, SIG_IGN);  // a write beyond fails, as on a full disk
  }
  CommandWords words(arguments);
  if (good) ::execv(TNBENCH_PROGRAM, words.pointers());
  ::_exit(127);
}

Outcome Program::Wait(pid_t process) const {
  int status = 0;
  ::waitpid(process, &status, 0);
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  outcome.output = ReadFile(folder_ / "output.txt");
  outcome.errors = ReadFile(folder_ / "errors.txt");
  return outcome;
}

pid_t Program::WaitForWorker(pid_t driver, const std::string& phase) const {
  for (int i = 0; i < 6000; ++i) {
    if (const pid_t worker = FindWorker(driver, phase); worker > 0) return worker;
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(driver), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == driver) {
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return -1;
}

std::string Sentences(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "There are " + std::to_string(i * 7919) + " small houses here. ";
  return text;
}

PhaseRow PhaseOf(const Store& store, int64_t run, const std::string& name) {
  for (const PhaseRow& phase : store.Phases(run)) {
    if (phase.name == name) return phase;
  }
  FAIL("run " << run << " has no phase " << name);
  return {};
}

bool IsOneLineError(const std::string& errors) {
  return errors.rfind("tnbench: error: ", 0) == 0 && errors.find('\n') == errors.size() - 1;
}

}  // namespace tnb::testing
