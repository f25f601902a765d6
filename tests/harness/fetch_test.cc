// tnbench fetch against a local server that plays the hub, and tnbench show task.
#include <fstream>

#include "base/files.h"
#include "base/hash.h"
#include "harness/show_task.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"
#include "tests/support/hub_server.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

using Catch::Matchers::Contains;
using testing::Environment;
using testing::HubServer;
using testing::IsOneLineError;
using testing::Outcome;
using testing::Program;

struct Fixture {
  HubServer server;
  Program program;
  Environment direct{"no_proxy", "*"}, endpoint{"HF_ENDPOINT", server.url()},
      viewer{"HF_DATASETS_SERVER", server.url()}, token{"HF_TOKEN", ""}, offline{"HF_HUB_OFFLINE", ""},
      cache{"TNBENCH_CACHE", (program / "cache").string()};

  void PlanRows(const std::string& hub, const std::string& rest, const std::vector<Json>& rows) {
    Json page = {{"rows", Json::array()}, {"num_rows_total", rows.size()}};
    for (size_t i = 0; i < rows.size(); ++i) page["rows"].push_back({{"row_idx", i}, {"row", rows[i]}});
    server.Plan("/rows?dataset=" + hub + rest + "&offset=0&length=100", {{{"body", page.dump()}}});
  }
  // The program's tiny task, with a source.
  std::string SourcedTask(int64_t items) {
    Json task = ReadJsonFile(program / "task.json");
    task["dataset"]["file"] = "tiny/test.jsonl";
    task["source"] = {{"hub", "own/tiny"}, {"split", "test"}, {"file", "tiny/test.jsonl"}, {"items", items}};
    std::ofstream(program / "sourced.json") << task.dump(2);
    return "./sourced.json";
  }
  std::vector<Json> Rows(int count) const {
    std::vector<Json> rows;
    for (int i = 0; i < count; ++i)
      rows.push_back(
          {{"question", std::string("Q").append(std::to_string(i))}, {"choices", {"a", "b"}}, {"gold", 1}});
    return rows;
  }
};

TEST_CASE_METHOD(Fixture, "the data of a task is fetched once, and then found") {
  const std::string task = SourcedTask(3);
  PlanRows("own%2Ftiny", "&config=default&split=test", Rows(3));
  const Outcome missing = program.Run({"show", "task", task});
  CHECK(missing.exit_code == 1);
  CHECK_THAT(missing.errors, Contains("tnbench fetch tiny"));
  Outcome outcome = program.Run({"fetch", task});
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("tiny: 3 documents, fetched from own/tiny"));
  CHECK(fs::exists(program / "cache/data/tiny/test.jsonl"));
  CHECK_THAT(program.Run({"show", "task", task, "--doc", "2"}).output, Contains("Question│:│·│Q│2"));
  outcome = program.Run({"fetch", task, "--offline"});
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("there already"));
  CHECK(server.Log().size() == 1);
  outcome = program.Run({"fetch", task, "--data-dir", "here"});
  CHECK(outcome.exit_code == 0);
  CHECK(ReadFile(program / "here/tiny/test.jsonl") == ReadFile(program / "cache/data/tiny/test.jsonl"));
}

TEST_CASE_METHOD(Fixture, "what cannot be fetched is one line that says why") {
  const std::string task = SourcedTask(4);
  PlanRows("own%2Ftiny", "&config=default&split=test", Rows(3));
  const auto fails = [&](const std::vector<std::string>& arguments, int code, const std::string& words) {
    CAPTURE(arguments);
    const Outcome outcome = program.Ask(arguments);
    CHECK(outcome.exit_code == code);
    CHECK(IsOneLineError(outcome.errors));
    CHECK_THAT(outcome.errors, Contains(words));
  };
  fails({"fetch", task}, 1, "another number of rows");
  fails({"fetch", task, "--offline"}, 1, "offline");
  fails({"fetch", "hellaswagg"}, 2, "did you mean 'hellaswag'?");
  fails({"fetch", "sample-trivia"}, 2, "part of tnbench");
  fails({"fetch", "./task.json"}, 2, "--data-dir");
  fails({"fetch", "smollm2-135m", "--offline"}, 1, "offline");
  fails({"fetch", "own/none"}, 1, "no such");
  server.Plan("/api/models/meta-llama/Llama-2-7b-hf/revision/main?blobs=true", {{{"status", 401}}});
  fails({"fetch", "llama2-7b"}, 1, "/meta-llama/Llama-2-7b-hf, then set HF_TOKEN");
  CHECK_FALSE(fs::exists(program / "cache/data/tiny/test.jsonl"));
}

TEST_CASE_METHOD(Fixture, "a model's folder is fetched whole, verified, and can be used") {
  const std::string commit(40, 'a');
  const std::string root = std::string("/own/model/resolve/").append(commit).append("/");
  Json files = Json::array();
  for (const auto& entry : fs::directory_iterator(program / "model")) {
    const std::string name = entry.path().filename().string(), content = ReadFile(entry.path());
    files.push_back(
        {{"rfilename", name}, {"lfs", {{"size", content.size()}, {"sha256", Sha256Hex(content)}}}});
    server.Plan(root + name, {{{"file", entry.path().string()}}});
  }
  server.Plan("/api/models/own/model/revision/main?blobs=true",
              {{{"body", Json{{"sha", commit}, {"siblings", files}}.dump()}}});
  const Outcome outcome = program.Run({"fetch", "own/model"});
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 0);
  const fs::path folder = program / "cache/models/model";
  for (const auto& entry : fs::directory_iterator(program / "model")) {
    CHECK(Sha256File(folder / entry.path().filename()) == Sha256File(entry.path()));
  }
  CHECK(ReadJsonFile(folder / "fetched.json").at("commit") == commit);
  const size_t requests = server.Log().size();
  CHECK(program.Run({"fetch", "own/model"}).exit_code == 0);
  CHECK(server.Log().size() == requests + 1);  // only the list
}

TEST_CASE_METHOD(Fixture, "a prompt is shown with white space, tokens, choices and metrics") {
  const Outcome outcome = program.Run({"show", "task", "./task.json", "--doc", "3", "--model", "./model"});
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("tiny, document 3 of 12 (") && Contains("task.jsonl:4)") &&
                                 Contains("\u2502") && Contains("\u21B5\u2502\n") && Contains("\n* ") &&
                                 Contains("metrics: acc acc_norm; main: acc") && Contains("tokens of model"));
  const Outcome json =
      program.Run({"show", "task", "./task.json", "--doc", "3", "--model", "./model", "--json"});
  const Json shown = ParseJson(json.output, "shown");
  CHECK(shown.at("requests").size() == 3);
  CHECK(shown.at("gold") == 0);
  const Outcome shots = program.Run({"show", "task", "./task.json", "--num-fewshot", "2"});
  CHECK_THAT(shots.output, Contains("2 examples") && Contains("tokens of nano, context of 256"));
}

TEST_CASE("white space and bytes that cannot be printed become visible") {
  CHECK(VisibleText(" a\tb\n\x01\x7F") == "\u00B7a\u21E5b\u21B5\n\\x01\\x7F");
  CHECK(VisibleText("\u00E9\u20AC\U0001F600") == "\u00E9\u20AC\U0001F600");
  CHECK(VisibleText("\xE2\x82z\xFF") == "\\xE2\\x82z\\xFF");
  CHECK(VisibleText("\xF0\x9F\x98") == "\\xF0\\x9F\\x98");
}

TEST_CASE("the checker names every problem on a line and ends with 2") {
  const Program program;
  Json task = ReadJsonFile(program / "task.json");
  task["promt"] = task["prompt"];
  task["version"] = 1;
  std::ofstream(program / "bad.json") << task.dump(2);
  const Outcome outcome = program.Run({"list", "tasks", "--check", "bad.json"});
  CHECK(outcome.exit_code == 2);
  CHECK_THAT(outcome.errors, Contains("did you mean 'prompt'?") && Contains("'version'"));
  const Outcome good = program.Run({"list", "tasks", "--check", "task.json"});
  CHECK(good.exit_code == 0);
  CHECK_THAT(good.output, Contains("12 of 12 documents") && Contains("tnbench show task"));
}

}  // namespace
}  // namespace tnb
