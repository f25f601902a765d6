// The command line: one file a command (command_*.cc) and one line in the list in commands.cc. A command
// declares its options in an OptionList and returns what runs it; that returns the exit code:
// 0 fine, 1 a failed cell, a regression or an error of data or the system, 2 usage, 3 not comparable. Results
// go to standard output, progress and messages to standard error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/cell.h"
#include "harness/options.h"

namespace tnb {

struct CommandEntry {
  const char* name;
  const char* summary;
  const char* examples;  // shown below the options, one a line
  bool hidden;
  std::function<int()> (*declare)(OptionList& command);
};

const std::vector<CommandEntry>& Commands();

std::function<int()> DeclareRun(OptionList& command);
std::function<int()> DeclareEval(OptionList& command);
std::function<int()> DeclareBench(OptionList& command);
std::function<int()> DeclareReport(OptionList& command);
std::function<int()> DeclareFetch(OptionList& command);
std::function<int()> DeclareCompare(OptionList& command);
std::function<int()> DeclareList(OptionList& command);
std::function<int()> DeclareShow(OptionList& command);
std::function<int()> DeclareExport(OptionList& command);
std::function<int()> DeclareTrain(OptionList& command);
std::function<int()> DeclareWorker(OptionList& command);

std::function<int()> DeclareSweep(OptionList& command);
std::function<int()> DeclareNightly(OptionList& command);
std::function<int()> DeclareClaims(OptionList& command);
std::function<int()> DeclareVerify(OptionList& command);
std::function<int()> DeclareRerun(OptionList& command);
std::function<int()> DeclareMerge(OptionList& command);
std::function<int()> DeclareProfile(OptionList& command);

// Declares the options of tnbench run for a command that passes them on; call it before other options. After
// parsing, `given` are those that were given, as arguments (all but --db and --json).
struct RunOptions {
  std::function<std::vector<std::string>()> given;
  std::function<std::string()> db;
  std::function<bool()> json;
};
RunOptions DeclareRunOptions(OptionList& command);

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
// A decimal integer and nothing else; false when `text` is none.
bool ParseInteger(const std::string& text, int64_t& value);
// Columns of the terminal on standard output; 0 when it is none.
int TerminalWidth();

}  // namespace tnb
