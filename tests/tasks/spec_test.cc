#include "tasks/spec.h"

#include <string>

#include "base/error.h"
#include "base/files.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;

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

TaskSpec Read(const std::string& text) {
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "task.json", text);
  return ReadTaskSpec(folder / "task.json");
}

// The task file with one part replaced must be refused with all the words given.
void CheckRefused(const std::string& from, const std::string& to, const std::vector<std::string>& words) {
  std::string text = kTask;
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  INFO(from << " -> " << to);
  try {
    Read(text);
    FAIL("accepted");
  } catch (const Error& error) {
    for (const std::string& word : words) {
      INFO(error.what());
      CHECK(std::string(error.what()).find(word) != std::string::npos);
    }
  }
}

}  // namespace

TEST_CASE("a task file is read") {
  const TaskSpec spec = Read(kTask);
  CHECK(spec.name == "capitals");
  CHECK(spec.form == TaskForm::kMultipleChoice);
  CHECK(spec.metrics == std::vector<std::string>{"acc", "acc_norm"});
  CHECK(spec.main_metric == "acc_norm");
  CHECK(spec.delimiter == " ");
  CHECK(spec.fewshot.count == 0);
  CHECK(spec.fewshot.exclude_evaluated);
  CHECK_FALSE(spec.protocol.contains("name"));
  CHECK_FALSE(spec.protocol.at("dataset").contains("file"));
}

TEST_CASE("errors in a task file name line and field") {
  CheckRefused("\"version\": \"1\"", "\"version\": 1", {"task.json:3", "'version'", "wrong type"});
  CheckRefused("\"name\": \"capitals\",", "", {"task.json:1", "'name'", "missing"});
  CheckRefused("\"capitals\"", "\"two words\"", {"task.json:2", "'name'"});
  CheckRefused("\"prompt\"", "\"promt\"", {"task.json:9", "'promt'", "did you mean 'prompt'?"});
  CheckRefused("multiple_choice", "multiple_choise",
               {"task.json:4", "'form'", "did you mean 'multiple_choice'?"});
  CheckRefused("\"file\": \"c.jsonl\"", "\"file\": []", {"task.json:5", "'dataset/file'"});
  CheckRefused("\"split\": \"test\"", "\"split\": \"test\", \"format\": \"jsnl\"",
               {"task.json:5", "did you mean 'jsonl'?"});
  CheckRefused("\"options\": \"choices\"", "\"options\": {\"from\": \"choices\", \"then\": [\"stripp\"]}",
               {"task.json:7", "'fields/options/then'", "did you mean 'strip'?"});
  CheckRefused("\"options\": \"choices\"", "\"options\": {\"from\": \"choices\", \"regex\": \"(\"}",
               {"task.json:7", "regular expression"});
  CheckRefused("\"options\": \"choices\"", "\"options\": {\"from\": \"c\", \"regex\": \"(a)\", \"group\": 2}",
               {"task.json:7", "no such group"});
  CheckRefused("\"options\": \"choices\"", "\"options\": {\"then\": \"strip\"}",
               {"task.json:7", "exactly one"});
  CheckRefused("\"options\": \"choices\"",
               "\"options\": {\"template\": \"{b}\"},\n\"b\": {\"template\": \"{options}\"}", {"circle"});
  CheckRefused("{question}", "{question", {"task.json:9", "open brace"});
  CheckRefused("{question}", "{question:>99}", {"task.json:9", "not a field name"});
  CheckRefused("\"acc\", \"acc_norm\"]", "\"acc\", \"rouge1\"]", {"task.json:12", "'metrics'", "rouge1"});
  CheckRefused("\"acc\", \"acc_norm\"]", "\"acc\", \"acc\"]", {"task.json:12", "twice"});
  CheckRefused("\"main\": \"acc_norm\"", "\"main\": \"acc_bytes\"", {"task.json:13", "'main'"});
  CheckRefused("\"gold\": \"gold\",", "", {"'gold'", "multiple_choice needs"});
  CheckRefused("\"gold\": \"gold\",", "\"gold\": \"gold\", \"stop\": [],", {"task.json:11", "'stop'"});
  CheckRefused("\"gold\": \"gold\",", "\"gold\": \"gold\", \"generation\": {},",
               {"task.json:11", "no effect"});
  CheckRefused("\"gold\": \"gold\",", "\"gold\": \"gold\", \"gold\": \"gold\",",
               {"task.json:11", "given twice"});
  CheckRefused("\"gold\": \"gold\",", "\"gold\": \"gold\", \"fewshot\": {\"count\": -1},",
               {"task.json:11", "'fewshot/count'", "out of range"});
  CheckRefused("\"gold\": \"gold\",", "\"gold\": \"gold\", \"fewshot\": {\"sampler\": \"last\"},",
               {"task.json:11", "'fewshot/sampler'"});
  CheckRefused("\"main\": \"acc_norm\"", "\"main\": \"acc_norm\",", {"task.json:14", "not valid JSON"});
}

TEST_CASE("generating tasks are checked for their own fields") {
  std::string text =
      R"json({"name": "g", "version": "1", "form": "generate", "dataset": {"file": "g.jsonl", "split": "t"},
    "prompt": "{q}", "target": "{a}", "generation": {"max_new_tokens": 4, "stop": ["\n"]},
    "filters": [{"name": "x", "regex": "(a)"}], "metrics": ["exact_match"]
})json";
  CHECK(Read(text).main_metric == "exact_match,x");
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    CHECK_THROWS_AS(Read(changed), Error);
  };
  refused("\"stop\": [\"\\n\"]", "\"stop\": [\"\"]");
  refused("\"max_new_tokens\": 4", "\"max_new_tokens\": 0");
  refused("\"name\": \"x\"", "\"name\": \"none\"");
  refused("\"target\": \"{a}\",", "");
  refused("\"target\": \"{a}\",", "\"target\": \"{a}\", \"references\": \"r\",");
  refused("\"prompt\": \"{q}\",", "");
  refused("\"form\": \"generate\"", "\"form\": \"summarize\"");
}

TEST_CASE("every shipped task file is valid and carries its own name") {
  const std::vector<std::string> names = ListTasks();
  CHECK(names.size() >= 14 + 2 * 57);
  for (const std::string& name : names) {
    INFO(name);
    const TaskSpec spec = LoadTaskSpec(name);
    CHECK(spec.name == name);
    CHECK_FALSE(spec.description.empty());
  }
}

TEST_CASE("an unknown task names the nearest; a path is taken as a file") {
  try {
    LoadTaskSpec("helaswag");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUsage);
    CHECK(std::string(error.what()).find("did you mean 'hellaswag'?") != std::string::npos);
  }
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "mine.json", kTask);
  CHECK(LoadTaskSpec((folder / "mine.json").string()).name == "capitals");
  CHECK_THROWS_AS(LoadTaskSpec((folder / "none.json").string()), Error);
}
