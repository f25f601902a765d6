// What the program says to good and bad command lines, and how it exits.
#include <fstream>

#include "harness/command.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::IsOneLineError;
using testing::Outcome;
using testing::Program;

TEST_CASE("every command has help with examples that begin with its name") {
  const Program program;
  for (const CommandEntry& command : Commands()) {
    CAPTURE(command.name);
    const Outcome help = program.Ask({command.name, "--help"});
    CHECK(help.exit_code == 0);
    CHECK(help.errors.empty());
    CHECK_THAT(help.output, Contains("Examples:\n  tnbench " + std::string(command.name)));
    CHECK(program.Ask({"help", command.name}).output == help.output);
  }
  const Outcome all = program.Ask({"--help"});
  CHECK(all.exit_code == 0);
  for (const CommandEntry& command : Commands()) {
    CHECK((all.output.find(command.summary) != std::string::npos) == !command.hidden);
  }
  CHECK(program.Ask({"help"}).output == all.output);
}

TEST_CASE("the version names the commit") {
  const Outcome version = Program().Run({"--version"});
  CHECK(version.exit_code == 0);
  CHECK_THAT(version.output, Catch::Matches("tnbench [0-9.]+ \\([0-9a-z-]+\\)\\n"));
}

TEST_CASE("bad command lines are one line and exit code 2") {
  const Program program;
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "no command"},
      {{"rum"}, "unknown command"},
      {{"run", "--metod", "int8"}, "--metod"},
      {{"run", "--limit", "many"}, "many"},
      {{"run", "--limit", "0"}, "--limit"},
      {{"run", "--limit", "-3"}, "--limit"},
      {{"run", "--method", "int9"}, "int9"},
      {{"run", "--method", "int8:bits=7"}, "bits"},
      {{"run", "--method", ""}, "not a method"},
      {{"run", "--base", "int9"}, "int9"},
      {{"run", "--model", "smollm3"}, "smollm3"},
      {{"run", "--model", "a,,b"}, "empty name"},
      {{"run", "--tasks", "hellaswagg"}, "hellaswagg"},
      {{"run", "--tasks", "./task.json,./task.json"}, "twice"},
      {{"run", "--phases", "compress,quantity"}, "quantity"},
      {{"run", "--device", "tpu"}, "tpu"},
      {{"run", "--weights", "none"}, "--weights"},
      {{"run", "--timeout", "-1"}, "--timeout"},
      {{"list", "things"}, "things"},
      {{"list", "methods", "--check", "task.json"}, "--check"},
      {{"show"}, "show task NAME"},
      {{"show", "--task", "./task.json", "--doc", "12"}, "0 to 11"},
      {{"export", "1"}, "--items"},
      {{"report", "--format", "pdf"}, "pdf"},
      {{"report", "--runs", "1,x"}, "'x'"},
  };
  for (const auto& [arguments, expected] : cases) {
    CAPTURE(arguments);
    const Outcome outcome = program.Ask(arguments);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.output.empty());
    CHECK(IsOneLineError(outcome.errors));
    CHECK_THAT(outcome.errors, Contains(expected));
  }
  CHECK_FALSE(std::filesystem::exists(program / "tnbench.db"));  // nothing was begun
}

TEST_CASE("lists are made from what is registered, as text and as JSON") {
  const Program program;
  for (const char* what : {"methods", "models", "tasks", "datasets"}) {
    CAPTURE(what);
    const Outcome text = program.Ask({"list", what});
    CHECK(text.exit_code == 0);
    const Outcome outcome = program.Ask({"list", what, "--json"});
    REQUIRE(outcome.exit_code == 0);
    const Json list = ParseJson(outcome.output, "list");
    REQUIRE_FALSE(list.empty());
    for (const Json& entry : list) {
      CHECK_THAT(text.output, Contains(entry.value("name", entry.value("task", "absent"))));
    }
  }
}

TEST_CASE("task files are checked") {
  const Program program;
  CHECK(program.Ask({"list", "tasks", "--check", "task.json"}).exit_code == 0);
  Json task = ReadJsonFile(program / "task.json");
  task["forms"] = "rolling";
  std::ofstream(program / "bad.json") << task.dump(2);
  const Outcome outcome = program.Ask({"list", "tasks", "--check", "bad.json"});
  CHECK(outcome.exit_code != 0);
  CHECK(IsOneLineError(outcome.errors));
  CHECK_THAT(outcome.errors, Contains("bad.json:") && Contains("forms"));
}

TEST_CASE("a prompt is shown as the model sees it") {
  const Outcome outcome = Program().Ask({"show", "--task", "./task.json", "--doc", "2", "--json"});
  REQUIRE(outcome.exit_code == 0);
  const Json json = ParseJson(outcome.output, "prompt");
  CHECK(json["prompt"] == "Question: What is 2 and one more?\nAnswer:");
  CHECK(json["continuations"] == Json({" 3", " blue", " a small house"}));
}

}  // namespace
}  // namespace tnb
