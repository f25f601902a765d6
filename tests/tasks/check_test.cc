#include "tasks/check.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "tasks/sources.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using Catch::Contains;

namespace {

const char kTask[] = R"({
  "name": "capitals",
  "version": "1",
  "form": "multiple_choice",
  "dataset": {"file": "c.jsonl", "split": "test"},
  "fields": {
    "options": "choices"
  },
  "prompt": "Q: {question}",
  "choices": "options",
  "gold": "gold",
  "metrics": ["acc", "acc_norm"],
  "main": "acc_norm"
})";

const char kData[] = R"({"question": "a", "choices": ["x", "y"], "gold": 0}
{"question": "b", "choices": ["x", "y"], "gold": 1}
{"question": "c", "choices": ["x", "y", "z"], "gold": 2}
)";

TaskCheck Check(const std::string& task, const std::string& data = kData) {
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "task.json", task);
  if (!data.empty()) WriteFileAtomically(folder / "c.jsonl", data);
  return CheckTaskFile(folder / "task.json", {});
}

std::string Changed(std::string text, const std::vector<std::pair<std::string, std::string>>& changes) {
  for (const auto& [from, to] : changes) {
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  }
  return text;
}

// Every problem must have been named, and nothing else.
void CheckProblems(const TaskCheck& check, const std::vector<std::vector<std::string>>& expected) {
  std::string all;
  for (const std::string& problem : check.problems) all += problem + "\n";
  INFO(all);
  CHECK(check.problems.size() == expected.size());
  CHECK(check.summary.empty());
  for (const auto& words : expected) {
    const bool found =
        std::any_of(check.problems.begin(), check.problems.end(), [&](const std::string& problem) {
          return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
            return problem.find(word) != std::string::npos;
          });
        });
    CAPTURE(words);
    CHECK(found);
  }
}

// The content of the code blocks of one language in a Markdown file.
std::vector<std::string> CodeBlocks(const std::string& text, const std::string& language) {
  std::vector<std::string> blocks;
  const std::string open = "\n```" + language + "\n";
  for (size_t at = 0; (at = text.find(open, at)) != std::string::npos;) {
    const size_t begin = at + open.size(), end = text.find("\n```\n", begin);
    blocks.push_back(text.substr(begin, end + 1 - begin));
    at = end;
  }
  return blocks;
}

}  // namespace

TEST_CASE("a good task file gets a summary") {
  const TaskCheck check = Check(kTask);
  CHECK(check.problems.empty());
  CHECK(check.notes.empty());
  CHECK_THAT(check.summary, Contains("'capitals'") && Contains("multiple_choice") &&
                                Contains("3 of 3 documents") && Contains("acc acc_norm; known by acc_norm"));
}

TEST_CASE("all problems of a task file are named at once") {
  CheckProblems(Check(Changed(kTask, {{"\"version\": \"1\"", "\"version\": 1"},
                                      {"\"fields\": {", "\"feilds\": {"},
                                      {"\"main\": \"acc_norm\"", "\"main\": \"acc_norms\""},
                                      {"\"gold\": \"gold\"", "\"gold\": \"gold\", \"stop\": []"},
                                      {"{question}", "{question"}})),
                {{"task.json:3", "'version'", "wrong type"},
                 {"task.json:6", "'feilds'", "did you mean 'fields'?"},
                 {"task.json:11", "'stop'"},
                 {"task.json:9", "open brace"}});
  CheckProblems(Check(Changed(kTask, {{"multiple_choice", "multiple_choise"}})),
                {{"task.json:4", "did you mean 'multiple_choice'?"}});
  CheckProblems(Check(Changed(kTask, {{"\"options\": \"choices\"",
                                       "\"options\": {\"from\": \"choices\", \"regex\": \"(\"},\n \"other\": "
                                       "{\"from\": \"x\", \"regex\": \"[\"}"}})),
                {{"task.json:7", "regular expression"}, {"task.json:8", "regular expression"}});
  CheckProblems(Check(Changed(kTask, {{"\"acc\", \"acc_norm\"]", "\"acc\", \"rouge1\"]"}})),
                {{"task.json:12", "rouge1", "multiple_choice"}});
  CheckProblems(Check(Changed(kTask, {{"\"gold\": \"gold\",", ""}})), {{"'gold'", "needs"}});
  CheckProblems(Check("{\"name\": \"x\",,}"), {{"task.json:1", "not valid JSON"}});
}

TEST_CASE("fields that the documents lack are named with the place in task and data") {
  CheckProblems(
      Check(Changed(kTask, {{"{question}", "{questoin}"}, {"\"gold\": \"gold\"", "\"gold\": \"label\""}})),
      {{"task.json:9", "c.jsonl:1", "'prompt'", "questoin", "did you mean 'question'?"},
       {"task.json:11", "c.jsonl:1", "'gold'", "label"}});
  // Only in a later document.
  CheckProblems(Check(kTask, std::string(kData) + "{\"question\": \"d\", \"gold\": 0}\n"),
                {{"task.json:10", "c.jsonl:4", "options"}});
}

TEST_CASE("single documents are checked, all of them, and equal faults are counted") {
  std::string data = kData;
  for (int i = 0; i < 30; ++i) data += "{\"question\": \"q\", \"choices\": [\"x\", \"y\"], \"gold\": 1}\n";
  CheckProblems(Check(kTask, data + "{\"question\": \"q\", \"choices\": [\"x\", \"y\"], \"gold\": 2}\n"),
                {{"c.jsonl:34", "out of range", "0 to 1", "found 2"}});
  const std::string bad = "{\"question\": \"q\", \"choices\": [\"\", \"y\"], \"gold\": 1}\n";
  CheckProblems(Check(kTask, data + bad + bad + bad),
                {{"c.jsonl:34", "choice 0 is empty", "and 2 more documents"}});
  CheckProblems(Check(kTask, data + "{\"question\":\n"), {{"c.jsonl:34", "not valid JSON"}});
  CheckProblems(Check(Changed(kTask, {{"\"main\"", "\"fewshot\": {\"count\": 3}, \"main\""}})),
                {{"too few documents"}});
}

TEST_CASE("missing data is a problem, unless the task says where to fetch it") {
  CheckProblems(Check(kTask, ""), {{"no data", "c.jsonl", "--data-dir"}});
  const std::string source =
      "\"source\": {\"hub\": \"own/set\", \"split\": \"test\", \"file\": \"c.jsonl\"}, ";
  const TaskCheck check = Check(Changed(kTask, {{"\"main\"", source + "\"main\""}}), "");
  CHECK(check.problems.empty());
  REQUIRE(check.notes.size() == 1);
  CHECK_THAT(check.notes[0], Contains("tnbench fetch capitals"));
}

TEST_CASE("a right choice that never changes is worth a note") {
  const TaskCheck check = Check(kTask,
                                "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"gold\": 1}\n"
                                "{\"question\": \"b\", \"choices\": [\"x\", \"y\"], \"gold\": 1}\n");
  CHECK(check.problems.empty());
  REQUIRE(check.notes.size() == 1);
  CHECK_THAT(check.notes[0], Contains("number 1 in every document"));
}

TEST_CASE("sources are checked and have no part in the protocol") {
  const auto with = [](const std::string& source) {
    return Check(Changed(kTask, {{"\"main\"", "\"source\": " + source + ", \"main\""}}));
  };
  CHECK(with(R"({"hub": "a/b", "split": "test", "file": "c.jsonl", "items": 3})").problems.empty());
  CheckProblems(with(R"({"hub": "a/b", "split": "test", "file": "d.jsonl"})"),
                {{"'source/file'", "d.jsonl"}});
  CheckProblems(with(R"([{"hub": "a/b", "file": "c.jsonl"}])"), {{"'source/0'", "either a split or a path"}});
  CheckProblems(with(R"({"hub": "a/b", "path": "x", "config": "y", "file": "c.jsonl"})"),
                {{"'source/config'"}});
  CheckProblems(with(R"({"hub": "a/b", "splitt": "x", "split": "x", "file": "c.jsonl"})"),
                {{"'source/splitt'", "did you mean 'split'?"}});
  const std::string path = "a folder/t.json";
  const std::string source =
      "\"source\": {\"hub\": \"own/set\", \"split\": \"test\", \"file\": \"c.jsonl\"}, ";
  const TaskSpec plain = ReadTaskSpec(LocatedJson(kTask, path));
  const TaskSpec sourced =
      ReadTaskSpec(LocatedJson(Changed(kTask, {{"\"main\"", source + "\"main\""}}), path));
  CHECK(plain.protocol == sourced.protocol);
  REQUIRE(sourced.sources.size() == 1);
  CHECK(sourced.sources[0].hub == "own/set");
}

TEST_CASE("every shipped task without data of its own says where to fetch it") {
  for (const std::string& name : ListTasks()) {
    CAPTURE(name);
    CHECK((name.starts_with("sample-") || name.starts_with("world-") || !LoadTaskSpec(name).sources.empty()));
  }
}

TEST_CASE("all tasks of a family are checked") {
  const std::string family = Changed(
      kTask,
      {{"\"name\": \"capitals\"",
        "\"name\": \"f\", \"family\": {\"task\": \"f_<member>\", \"groups\": {\"g\": [\"c\", \"d\"]}}"},
       {"c.jsonl", "<member>.jsonl"}});
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "task.json", family);
  WriteFileAtomically(folder / "c.jsonl", kData);
  WriteFileAtomically(folder / "d.jsonl",
                      "{\"question\": \"a\", \"choices\": [\"x\", \"y\"], \"gold\": 7}\n");
  CheckProblems(CheckTaskFile(folder / "task.json", {}), {{"d.jsonl:1", "out of range"}});
  WriteFileAtomically(folder / "d.jsonl", kData);
  const TaskCheck check = CheckTaskFile(folder / "task.json", {});
  CHECK(check.problems.empty());
  CHECK_THAT(check.summary, Contains("'f_c'") && Contains("1 more task"));
}

TEST_CASE("the example of docs/tasks.md is a good task") {
  const std::string page = ReadFile(std::string(TNBENCH_SOURCE_DIR) + "/docs/tasks.md");
  const auto tasks = CodeBlocks(page, "json"), tables = CodeBlocks(page, "csv");
  REQUIRE(tasks.size() == 1);
  REQUIRE(tables.size() == 1);
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "capitals.json", tasks[0]);
  WriteFileAtomically(folder / "capitals.csv", tables[0]);
  const TaskCheck check = CheckTaskFile(folder / "capitals.json", {});
  CHECK(check.problems.empty());
  CHECK(check.notes.empty());
  const Task task(LoadTaskSpec((folder / "capitals.json").string()), {.num_fewshot = 0});
  const std::vector<Item> items = task.BuildPrompts();
  REQUIRE(items.size() == 4);
  CHECK(items[3].prompt == "Question: What is the capital of Congo, Republic of the?\nAnswer:");
  CHECK(items[3].target == "Brazzaville");
}
