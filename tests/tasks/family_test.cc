#include "tasks/family.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "tasks/run.h"
#include "tasks/task.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;

namespace {

const char kFamily[] = R"({
  "name": "seas",
  "family": {"task": "seas_<member>", "groups": {"warm": ["red_sea", "coral"], "cold": ["baltic"]}},
  "version": "1",
  "form": "multiple_choice",
  "dataset": {"file": "<member>.jsonl", "split": "test"},
  "preamble": "About <member text>.\n\n",
  "prompt": "{q}",
  "choices": ["A", "B"],
  "gold": "gold",
  "metrics": ["acc"]
})";

using Names = std::vector<std::string>;

std::string Refused(const std::string& from, const std::string& to) {
  testing::TemporaryFolder folder;
  std::string text = kFamily;
  text.replace(text.find(from), from.size(), to);
  WriteFileAtomically(folder / "seas.json", text);
  try {
    ReadTaskSpec(folder / "seas.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TaskMetric Metric(double value, double se, int64_t n) {
  return {
      .name = "acc", .filter = "none", .value = value, .se = se, .n = n, .unit = "fraction", .main = true};
}

std::string UsageError(const Names& names) {
  try {
    SelectTasks(names);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a family file holds one task a member") {
  testing::TemporaryFolder folder;
  const std::string path = (folder / "seas.json").string();
  WriteFileAtomically(path, kFamily);
  WriteFileAtomically(folder / "red_sea.jsonl", "{\"q\": \"Where?\", \"gold\": 1}\n");
  const TaskSpec spec = ReadTaskSpec(path, "red_sea");
  CHECK(spec.name == "seas_red_sea");
  CHECK_FALSE(spec.protocol.contains("family"));
  CHECK(Task(spec, {.data_dir = folder.path()}).BuildPrompts()[0].prompt == "About red sea.\n\nWhere?");
  CHECK(spec.protocol != ReadTaskSpec(path, "coral").protocol);
  CHECK_THROWS_AS(ReadTaskSpec(path, "blue"), Error);

  const TaskSelection selection = SelectTasks({path});
  CHECK(selection.tasks == Names{path + "#baltic", path + "#red_sea", path + "#coral"});
  REQUIRE(selection.groups.size() == 3);
  CHECK(selection.groups[0].name == "seas");
  CHECK(selection.groups[2].tasks == Names{"seas_red_sea", "seas_coral"});
  CHECK(LoadTaskSpec(path + "#coral").name == "seas_coral");
}

TEST_CASE("errors in a family name line and field") {
  using Catch::Matchers::Contains;
  CHECK_THAT(Refused("\"seas_<member>\"", "\"seas\""), Contains("seas.json:3") && Contains("same name"));
  CHECK_THAT(Refused("\"coral\"", "\"red_sea\""), Contains("seas.json:3") && Contains("twice"));
  CHECK_THAT(Refused("\"coral\"", "\"../x\""), Contains("seas.json:3") && Contains("not usable"));
  CHECK_THAT(Refused("[\"baltic\"]", "[]"), Contains("without members"));
  CHECK_THAT(Refused("[\"baltic\"]", "[\"warm\"]"), Contains("a task and a group"));
  CHECK_THAT(Refused("\"groups\": {", "\"group\": {"), Contains("seas.json:3") && Contains("did you mean"));
}

TEST_CASE("groups are chosen by name, each task once") {
  const TaskSelection all = SelectTasks({"mmlu_stem", "boolq", "mmlu_anatomy"});
  CHECK(all.tasks.size() == 20);
  CHECK(std::count(all.tasks.begin(), all.tasks.end(), "mmlu_anatomy") == 1);
  REQUIRE(all.groups.size() == 1);  // a part comes alone
  CHECK(all.groups[0].name == "mmlu_stem");
  CHECK(SelectTasks({"mmlu"}).groups.size() == 5);  // the whole with its parts
  CHECK(SelectTasks({"boolq"}).groups.empty());
  using Catch::Matchers::Contains;
  CHECK_THAT(UsageError({"boolq", "boolq"}), Contains("given twice"));
  CHECK_THAT(UsageError({"mmlu_anatomi"}), Contains("did you mean 'mmlu_anatomy'?"));
  CHECK_THAT(UsageError({"mmlu_stemm"}), Contains("did you mean 'mmlu_stem'?"));
  CHECK_THROWS_AS(LoadTaskSpec("mmlu"), Error);  // a group is no task
}

TEST_CASE("wildcards stand for all tasks and groups that match") {
  CHECK(ExpandTaskNames({"boolq", "hella*"}) == Names{"boolq", "hellaswag"});
  CHECK(ExpandTaskNames({"arc_*", "boolq"}) == Names{"arc_challenge", "arc_easy", "boolq"});
  CHECK(ExpandTaskNames({"truthfulqa_mc[12]"}) == Names{"truthfulqa_mc1", "truthfulqa_mc2"});
  CHECK(ExpandTaskNames({"arc_eas?"}) == Names{"arc_easy"});
  // Named already, before or after: once, where it is named.
  CHECK(ExpandTaskNames({"arc_*", "arc_challenge"}) == Names{"arc_easy", "arc_challenge"});
  CHECK(ExpandTaskNames({"arc_*", "*_easy"}) == Names{"arc_challenge", "arc_easy"});
  // A group stands for its tasks, and the whole for its parts.
  CHECK(ExpandTaskNames({"mmlu*"}) == Names{"mmlu", "mmlu_continuation"});
  CHECK(ExpandTaskNames({"mmlu_ste*"}) == Names{"mmlu_stem"});
  CHECK(ExpandTaskNames({"mmlu_anato*"}) == Names{"mmlu_anatomy", "mmlu_anatomy_continuation"});
  CHECK(SelectTasks({"mmlu_ste*", "mmlu_anatomy"}).tasks.size() == 19);
  // Files are the shell's business.
  CHECK(ExpandTaskNames({"./my*.json", "ppl.gptq:a*.txt"}) == Names{"./my*.json", "ppl.gptq:a*.txt"});
  CHECK(ExpandTaskNames({}).empty());
  using Catch::Matchers::Contains;
  CHECK_THAT(UsageError({"helaswag*"}), Contains("no task matches 'helaswag*'") && Contains("'hellaswag'?"));
  CHECK_THAT(UsageError({"zzzzzzzzzz*"}), Contains("tnbench list tasks"));
  CHECK_THAT(UsageError({"[*"}), Contains("no task matches"));
}

TEST_CASE("pitfall 13: a group's mean is over items, its error pooled") {
  // By hand: (10 * 0.5 + 30 * 0.9) / 40; sqrt((9 * 0.1^2 * 10 + 29 * 0.05^2 * 30) / 38 / 40).
  const auto rows = AggregateGroup({{Metric(0.5, 0.1, 10)}, {Metric(0.9, 0.05, 30)}});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].value == Approx(0.8));
  CHECK(rows[0].se.value() == Approx(std::sqrt(3.075 / 38 / 40)));
  CHECK(rows[0].n == 40);
  CHECK(rows[0].main);
  TaskMetric single = Metric(1.0, 0, 1);
  single.se.reset();
  CHECK_FALSE(AggregateGroup({{Metric(0.5, 0.1, 10)}, {single}})[0].se);
  TaskMetric perplexity = Metric(3.0, 0.1, 10);
  perplexity.name = "perplexity";
  CHECK(AggregateGroup({{perplexity}, {perplexity}}).empty());  // no mean
  CHECK(AggregateGroup({{Metric(0.5, 0.1, 10)}, {perplexity}}).empty());
}

TEST_CASE("shared data: a subject's examples are shared by all its requests, which come in one call") {
  // What the engine computes is the tree of all fed tokens; here its size is counted.
  const auto shared = testing::SharedData("mmlu/test/anatomy_test.csv");
  if (!shared) return;
  const Task task(
      LoadTaskSpec("mmlu_anatomy"),
      {.data_dir = shared->parent_path().parent_path().parent_path(), .limit = 50, .num_fewshot = 5});
  class Counter : public testing::FunctionModel {
   public:
    Counter() : FunctionModel([](const ScoreRequest&) { return ScoreResult{-1, false}; }) {}
    void Score(const std::vector<ScoreRequest>& requests, const ScoreSink& sink) override {
      ++calls;
      std::vector<TokenIds> fed;
      for (const ScoreRequest& request : requests)
        fed.emplace_back(request.tokens.begin(), request.tokens.end() - 1);
      std::sort(fed.begin(), fed.end());
      for (size_t i = 0; i < fed.size(); ++i) {
        const auto parted =
            i == 0 ? fed[i].begin()
                   : std::mismatch(fed[i].begin(), fed[i].end(), fed[i - 1].begin(), fed[i - 1].end()).first;
        computed += static_cast<size_t>(fed[i].end() - parted);
        asked += fed[i].size();
      }
      FunctionModel::Score(requests, sink);
    }
    size_t calls = 0, computed = 0, asked = 0;
  } model;
  RunTask(task, model, [](const ItemResult&) {});
  CHECK(model.calls == 1);
  const std::vector<Item> items = task.BuildPrompts();
  size_t questions = 0;
  for (const Item& item : items) questions += item.prompt.size() - item.prompt.rfind("\n\n") - 2;
  const size_t examples = items[0].prompt.rfind("\n\n") + 2;
  // Once the examples, once each question with its four answers' common space.
  CHECK(model.computed <= examples + questions + items.size());
  CHECK(model.asked >= 4 * items.size() * examples);
}

TEST_CASE("a group's protocol changes with that of any of its tasks") {
  const Json a = GroupProtocol("g", {{"x", "1"}, {"y", "2"}});
  CHECK(a == GroupProtocol("g", {{"y", "2"}, {"x", "1"}}));
  CHECK(a != GroupProtocol("g", {{"x", "1"}, {"y", "3"}}));
  CHECK(a != GroupProtocol("g", {{"x", "1"}}));
}
