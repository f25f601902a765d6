#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "harness/command.h"
#include "harness/facts.h"

namespace tnb {
namespace {

int Fail(const std::string& message, int exit_code) {
  std::string line = message;
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  std::cerr << "tnbench: error: " << line << std::endl;
  return exit_code;
}

std::string CommandNames() {
  std::string names;
  for (const CommandEntry& command : Commands()) {
    if (!command.hidden) names += (names.empty() ? "" : ", ") + std::string(command.name);
  }
  return names;
}

// `help` and `help COMMAND` are `--help` and `COMMAND --help`.
std::vector<std::string> Arguments(int argc, char** argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (arguments.empty() || arguments[0] != "help") return arguments;
  arguments.erase(arguments.begin());
  arguments.resize(std::min<size_t>(arguments.size(), 1));
  arguments.push_back("--help");
  return arguments;
}

void CheckCommand(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    throw Error(ErrorKind::kUsage, {"no command", CommandNames(), "", "", "tnbench --help, or tnbench run"});
  }
  if (arguments[0].empty() || arguments[0][0] == '-') return;
  for (const CommandEntry& command : Commands()) {
    if (arguments[0] == command.name) return;
  }
  throw Error(ErrorKind::kUsage,
              {"unknown command", CommandNames(), "'" + arguments[0] + "'", "", "tnbench --help"});
}

int Run(int argc, char** argv) {
  std::vector<std::string> arguments = Arguments(argc, argv);
  CheckCommand(arguments);
  CLI::App app("Measures what tensor-network and quantization compression does to language models.",
               "tnbench");
  app.set_version_flag("--version", "tnbench " + Version() + " (" + ThisBuild().commit + ")");
  app.require_subcommand(1);
  app.footer("tnbench COMMAND --help shows a command's options and examples.");
  std::function<int()> chosen;
  std::string name;
  for (const CommandEntry& command : Commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    if (command.hidden) sub->group("");
    sub->footer("Examples:\n" + std::string(command.examples));
    OptionList options(*sub);
    const std::function<int()> run = command.declare(options);
    sub->callback([&chosen, &name, run, &command] {
      chosen = run;
      name = command.name;
    });
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  try {
    app.parse(arguments);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    const auto used = app.get_subcommands();
    const std::string command = used.empty() ? "" : used.front()->get_name() + " ";
    return Fail(std::string(error.what()) + "; hint: tnbench " + command + "--help", 2);
  }
  const int exit_code = chosen();
  if (!std::cout.flush()) throw Error(ErrorKind::kIo, "cannot write to standard output", "is the disk full?");
  return exit_code;
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const Error& error) {
    return Fail(error.what(), error.ExitCode());
  } catch (const std::bad_alloc&) {
    return Fail("out of memory", 1);
  } catch (const std::exception& error) {
    return Fail(error.what(), 1);
  }
}

std::vector<std::string> SplitList(const std::string& text, const std::string& option) {
  std::vector<std::string> parts;
  std::istringstream input(text);
  for (std::string part; std::getline(input, part, ',');) parts.push_back(part);
  if (!text.empty() && text.back() == ',') parts.push_back("");
  for (const std::string& part : parts) {
    if (part.empty())
      throw Error(ErrorKind::kUsage, {"empty name in a list", "a,b,c", "'" + text + "'", option, ""});
  }
  return parts;
}

bool ParseInteger(const std::string& text, int64_t& value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end;
}

int TerminalWidth() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

}  // namespace tnb
