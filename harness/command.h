// The command line: one file a command (command_*.cc) and one line in the list in commands.cc. A command
// declares its options on a CLI::App and returns what runs it; that returns the exit code:
// 0 fine, 1 a failed cell or an error of data or the system, 2 usage. Results go to standard output, progress
// and messages to standard error.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace tnb {

struct CommandEntry {
  const char* name;
  const char* summary;
  const char* examples;  // shown below the options, one a line
  bool hidden;
  std::function<int()> (*declare)(CLI::App& app);
};

const std::vector<CommandEntry>& Commands();

std::function<int()> DeclareRun(CLI::App& app);
std::function<int()> DeclareEval(CLI::App& app);
std::function<int()> DeclareReport(CLI::App& app);
std::function<int()> DeclareFetch(CLI::App& app);
std::function<int()> DeclareList(CLI::App& app);
std::function<int()> DeclareShow(CLI::App& app);
std::function<int()> DeclareExport(CLI::App& app);
std::function<int()> DeclareWorker(CLI::App& app);

// The whole program, for main.
int RunCommandLine(int argc, char** argv);

// "a,b,c" -> its parts; Error{kUsage} naming `option` when one is empty.
std::vector<std::string> SplitList(const std::string& text, const std::string& option);
// Columns of the terminal on standard output; 0 when it is none.
int TerminalWidth();

}  // namespace tnb
