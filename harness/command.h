// The command line: one file a command (command_*.cc) and one line in the list in commands.cc. A command
// declares its options on a CLI::App and returns what runs it; that returns the exit code:
// 0 fine, 1 a failed cell, a regression or an error of data or the system, 2 usage, 3 not comparable. Results
// go to standard output, progress and messages to standard error.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "harness/cell.h"

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
std::function<int()> DeclareBench(CLI::App& app);
std::function<int()> DeclareReport(CLI::App& app);
std::function<int()> DeclareFetch(CLI::App& app);
std::function<int()> DeclareCompare(CLI::App& app);
std::function<int()> DeclareList(CLI::App& app);
std::function<int()> DeclareShow(CLI::App& app);
std::function<int()> DeclareExport(CLI::App& app);
std::function<int()> DeclareTrain(CLI::App& app);
std::function<int()> DeclareWorker(CLI::App& app);

std::function<int()> DeclareSweep(CLI::App& app);
std::function<int()> DeclareNightly(CLI::App& app);
std::function<int()> DeclareClaims(CLI::App& app);
std::function<int()> DeclareVerify(CLI::App& app);
std::function<int()> DeclareRerun(CLI::App& app);
std::function<int()> DeclareMerge(CLI::App& app);
std::function<int()> DeclareProfile(CLI::App& app);

// Declares the options of tnbench run for a command that passes them on; call it before other options. After
// parsing, `given` are those that were given, as arguments (all but --db and --json).
struct RunOptions {
  std::function<std::vector<std::string>()> given;
  std::function<std::string()> db;
  std::function<bool()> json;
};
RunOptions DeclareRunOptions(CLI::App& app);

// The options of tnbench run (without "run") as a request; of an option given twice the last one counts.
// `where` is named in errors (Error{kUsage}). `command` becomes the equivalent command line.
RunRequest ParseRunArguments(const std::vector<std::string>& arguments, const std::string& where);
// As a shell takes it: quoted only where it has to be.
std::string ShellQuoted(const std::string& text);
// This program's own command line as typed, for the record; quoted so that it can be typed again.
std::string CommandLine();
// The words of such a line. Error{kData} for an open quote.
std::vector<std::string> ShellWords(const std::string& line);

// The whole program, for main.
int RunCommandLine(int argc, char** argv);

// "a,b,c" -> its parts; Error{kUsage} naming `option` when one is empty.
std::vector<std::string> SplitList(const std::string& text, const std::string& option);
// Columns of the terminal on standard output; 0 when it is none.
int TerminalWidth();

}  // namespace tnb
