#include "tasks/run.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::ByteTokenizer;
using testing::FunctionModel;

namespace {

const char kChoiceTask[] = R"({"name": "c", "version": "1", "form": "multiple_choice",
  "dataset": {"file": "c.jsonl", "split": "test"}, "prompt": "Q: {q}\nA:", "choices": "options", "gold": "gold",
  "metrics": ["acc", "acc_norm"]})";
const char kChoiceData[] =
    "{\"q\": \"one\", \"options\": [\"a\", \"bb\", \"ccc\"], \"gold\": 2}\n"
    "{\"q\": \"two\", \"options\": [\"a\", \"bb\", \"ccc\", \"d\", \"e\"], \"gold\": 0}\n"
    "{\"q\": \"three\", \"options\": [\"same\", \"same\"], \"gold\": 1}\n"
    "{\"q\": \"four\", \"options\": [\"x\", \"y\"], \"gold\": 0}\n";
const char kTextTask[] = R"({"name": "g", "version": "1", "form": "generate",
  "dataset": {"file": "g.jsonl", "split": "test"}, "prompt": "{q}", "target": "{a}",
  "generation": {"max_new_tokens": 8}, "metrics": ["exact_match", "empty", "generated_tokens"]})";

struct Fixture {
  explicit Fixture(const std::string& task_file, const std::string& data, const std::string& data_name) {
    WriteFileAtomically(folder / "task.json", task_file);
    WriteFileAtomically(folder / data_name, data);
  }
  Task Load(TaskOptions options = {}) const {
    options.data_dir = folder.path();
    return Task(ReadTaskSpec(folder / "task.json"), options);
  }
  testing::TemporaryFolder folder;
};

std::vector<ItemResult> Run(const Task& task, LanguageModel& model, const RunOptions& options = {}) {
  std::map<size_t, ItemResult> results;
  RunTask(
      task, model, [&](const ItemResult& result) { results[result.doc] = result; }, options);
  std::vector<ItemResult> sorted;
  for (const auto& [doc, result] : results) sorted.push_back(result);
  return sorted;
}

double Value(const Task& task, const std::vector<ItemResult>& results, const std::string& metric) {
  std::vector<Scores> scores;
  for (const ItemResult& result : results) scores.push_back(result.scores);
  for (const TaskMetric& row : Aggregate(task.spec(), scores)) {
    if (row.name == metric) return row.value;
  }
  FAIL("no metric " << metric);
  return 0;
}

// A model that gives the right choices `right`, all others -5 a token.
FunctionModel Knowing(const Task& task, double right) {
  std::map<TokenIds, size_t> gold;
  for (const Item& item : task.BuildItems(ByteTokenizer(), 1 << 20))
    gold[item.scores[item.gold].tokens] = item.doc;
  return FunctionModel([gold, right](const ScoreRequest& request) {
    const double other = -5.0 * static_cast<double>(request.tokens.size());
    return ScoreResult{gold.count(request.tokens) ? right : other, gold.count(request.tokens) != 0};
  });
}

}  // namespace

TEST_CASE("an oracle is right, its opposite wrong, and a constant takes the first choice") {
  const Fixture fixture(kChoiceTask, kChoiceData, "c.jsonl");
  const Task task = fixture.Load();
  REQUIRE(task.size() == 4);
  FunctionModel oracle = Knowing(task, -0.001), opposite = Knowing(task, -1e6);
  FunctionModel constant([](const ScoreRequest&) { return ScoreResult{-1.0, false}; });
  // The two equal choices of the third item cannot be told apart: the first, wrong one wins.
  CHECK(Value(task, Run(task, oracle), "acc") == 0.75);
  CHECK(Value(task, Run(task, oracle), "acc_norm") == 0.75);
  CHECK(Value(task, Run(task, opposite), "acc") == 0.0);
  CHECK(Value(task, Run(task, constant), "acc") == 0.5);       // golds 2 0 1 0: class 0 has half of them
  CHECK(Value(task, Run(task, constant), "acc_norm") == 0.5);  // the longest choice: ccc, ccc, same, x
}

TEST_CASE("shared data: an oracle has 100 %, its opposite 0 %, a constant the share of class 0") {
  const auto data = testing::SharedData("arc_easy/test.jsonl");
  if (!data) return;
  for (const char* name : {"arc_easy", "boolq", "piqa", "winogrande", "openbookqa"}) {
    INFO(name);
    const Task task(LoadTaskSpec(name), {.data_dir = data->parent_path().parent_path(), .limit = 300});
    size_t class_zero = 0;
    for (const Item& item : task.BuildPrompts()) class_zero += item.gold == 0;
    FunctionModel oracle = Knowing(task, -0.001), opposite = Knowing(task, -1e6);
    FunctionModel constant([](const ScoreRequest&) { return ScoreResult{-1.0, false}; });
    CHECK(Value(task, Run(task, oracle), "acc") == 1.0);
    CHECK(Value(task, Run(task, opposite), "acc") == 0.0);
    CHECK(Value(task, Run(task, constant), "acc") == Approx(static_cast<double>(class_zero) / 300));
  }
}

TEST_CASE("results keep what was asked and answered, through JSON and back") {
  const Fixture fixture(kChoiceTask, kChoiceData, "c.jsonl");
  const Task task = fixture.Load();
  FunctionModel oracle = Knowing(task, -0.5);
  const std::vector<ItemResult> results = Run(task, oracle);
  REQUIRE(results.size() == 4);
  CHECK(results[0].prompt == "Q: one\nA:");
  CHECK(results[0].prompt_sha256 == Sha256Hex("Q: one\nA:"));
  CHECK(results[0].target == "ccc");
  CHECK(results[0].log_likelihoods == std::vector<double>{-5.0 * 11, -5.0 * 12, -0.5});
  CHECK(results[0].greedy == std::vector<bool>{false, false, true});
  CHECK(results[0].tokens == 2 + 3 + 4);
  CHECK(results[1].log_likelihoods.size() == 5);

  const Json json = ToJson("c", results[0]);
  for (const char* key :
       {"task", "doc", "prompt_sha256", "prompt", "loglikelihoods", "greedy", "text", "target", "scores"}) {
    CHECK(json.contains(key));
  }
  const ItemResult back = ItemResultFromJson(Json::parse(json.dump()), "items.jsonl:1");
  CHECK(ToJson("c", back) == json);
  CHECK_THROWS_AS(ItemResultFromJson({{"doc", 1}}, "items.jsonl:1"), Error);
}

TEST_CASE("documents that share a passage share a cluster, and the protocol does not know it") {
  Json task = Json::parse(kChoiceTask);
  task["cluster"] = "passage";
  const std::string data = R"({"q": "a", "options": ["x", "y"], "gold": 0, "passage": "P"})"
                           "\n"
                           R"({"q": "b", "options": ["x", "y"], "gold": 1, "passage": "Q"})"
                           "\n"
                           R"({"q": "c", "options": ["x", "y"], "gold": 0, "passage": "P"})"
                           "\n"
                           R"({"q": "d", "options": ["x", "y"], "gold": 0})"
                           "\n";
  const Fixture with(task.dump(), data, "c.jsonl"), without(kChoiceTask, data, "c.jsonl");
  const std::vector<Item> items = with.Load().BuildPrompts();
  CHECK(items[0].cluster == Sha256Hex("P").substr(0, 16));
  CHECK(items[2].cluster == items[0].cluster);
  CHECK(items[1].cluster != items[0].cluster);
  CHECK(items[3].cluster.empty());
  CHECK(with.Load().spec().protocol == without.Load().spec().protocol);
  FunctionModel model([](const ScoreRequest&) { return ScoreResult{-1.0, false}; });
  const ItemResult result = Run(with.Load(), model).at(0);
  CHECK(ItemResultFromJson(ToJson("c", result), "x").cluster == items.at(result.doc).cluster);
}

TEST_CASE("documents that are done are not asked again; progress counts them") {
  const Fixture fixture(kChoiceTask, kChoiceData, "c.jsonl");
  const Task task = fixture.Load();
  FunctionModel oracle = Knowing(task, -0.5);
  std::vector<std::pair<size_t, size_t>> progress;
  const auto results = Run(task, oracle, {.done = {0, 2}, .progress = [&](size_t n, size_t total) {
                                            progress.push_back({n, total});
                                          }});
  REQUIRE(results.size() == 2);
  CHECK(results[0].doc == 1);
  CHECK(results[1].doc == 3);
  CHECK(progress == std::vector<std::pair<size_t, size_t>>{{2, 4}, {3, 4}, {4, 4}});
}

TEST_CASE("a ruined model is an error with the document's place") {
  const Fixture fixture(kChoiceTask, kChoiceData, "c.jsonl");
  const Task task = fixture.Load();
  FunctionModel ruined([](const ScoreRequest&) { return ScoreResult{std::nan(""), false}; });
  try {
    Run(task, ruined);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("c.jsonl:4") != std::string::npos);
  }
}

TEST_CASE("generated texts are scored, stored and repaired") {
  const Fixture fixture(
      kTextTask,
      "{\"q\": \"1+1\", \"a\": \"2\"}\n{\"q\": \"2+2\", \"a\": \"4\"}\n{\"q\": \"z\", \"a\": \"\u00E9\"}\n",
      "g.jsonl");
  const Task task = fixture.Load();
  FunctionModel model(nullptr, [](const std::string& prompt) -> std::string {
    return prompt == "1+1" ? "2" : prompt == "2+2" ? "" : "\xC3";  // the last one is cut in a character
  });
  const auto results = Run(task, model);
  REQUIRE(results.size() == 3);
  CHECK(results[0].finished == "stop");
  CHECK(results[2].text == "\uFFFD");
  CHECK(ToJson("g", results[2]).at("loglikelihoods").is_null());
  CHECK_NOTHROW(ToJson("g", results[2]).dump());
  CHECK(Value(task, results, "exact_match") == Approx(1.0 / 3));
  CHECK(Value(task, results, "empty") == Approx(1.0 / 3));
  CHECK(Value(task, results, "generated_tokens") == Approx(2.0 / 3));
}

TEST_CASE("examples come before the prompt; their number can be overridden") {
  const Fixture fixture(kChoiceTask, kChoiceData, "c.jsonl");
  const Task task = fixture.Load({.limit = 1, .num_fewshot = 3});
  const std::string prompt = task.BuildPrompts()[0].prompt;
  CHECK(prompt.find("Q: two\nA: a\n\n") != std::string::npos);
  CHECK(prompt.find("Q: three\nA: same\n\n") != std::string::npos);
  CHECK(prompt.find("Q: one\nA: ccc") == std::string::npos);  // never itself
  CHECK(prompt.ends_with("\n\nQ: one\nA:"));
  CHECK_THROWS_AS(fixture.Load({.num_fewshot = -1}), Error);
  CHECK_THROWS_AS(fixture.Load({.limit = 0}), Error);
  CHECK_THROWS_AS(fixture.Load({.num_fewshot = 4}).BuildPrompts(), Error);  // four others do not exist
}

TEST_CASE("the protocol changes with everything that can change the numbers, and with nothing else") {
  const Fixture fixture(kChoiceTask, kChoiceData, "c.jsonl");
  const ByteTokenizer tokenizer;
  const Json base = fixture.Load().ProtocolJson(tokenizer, 128);
  CHECK(fixture.Load({.fewshot_seed = 5}).ProtocolJson(tokenizer, 128) == base);  // no examples, no seed
  CHECK(fixture.Load({.limit = 3}).ProtocolJson(tokenizer, 128) != base);
  CHECK(fixture.Load({.num_fewshot = 1}).ProtocolJson(tokenizer, 128) != base);
  CHECK(fixture.Load({.num_fewshot = 1, .fewshot_seed = 5}).ProtocolJson(tokenizer, 128) !=
        fixture.Load({.num_fewshot = 1}).ProtocolJson(tokenizer, 128));
  CHECK(fixture.Load().ProtocolJson(tokenizer, 64) != base);
  CHECK(fixture.Load().ProtocolJson(ByteTokenizer(true), 128) != base);

  std::string changed = kChoiceTask;
  changed.replace(changed.find("\"c\""), 3, "\"d\"");
  CHECK(Fixture(changed, kChoiceData, "c.jsonl").Load().ProtocolJson(tokenizer, 128) ==
        base);  // another name
  changed.replace(changed.find("Q: {q}"), 6, "{q}");
  CHECK(Fixture(changed, kChoiceData, "c.jsonl").Load().ProtocolJson(tokenizer, 128) != base);
  CHECK(Fixture(kChoiceTask, std::string(kChoiceData) + kChoiceData, "c.jsonl")
            .Load()
            .ProtocolJson(tokenizer, 128) != base);
}

TEST_CASE("bad documents are errors with file and line") {
  const auto fails = [](const std::string& row, const std::string& what) {
    const Fixture fixture(kChoiceTask, std::string(kChoiceData) + row + "\n", "c.jsonl");
    try {
      fixture.Load().BuildPrompts();
      FAIL("accepted " << row);
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(std::string(error.what()).find("c.jsonl:5") != std::string::npos);
      CHECK(std::string(error.what()).find(what) != std::string::npos);
    }
  };
  fails(R"({"q": "x", "options": ["a", "b"], "gold": 2})", "out of range");
  fails(R"({"q": "x", "options": ["a", "b"], "gold": -1})", "out of range");
  fails(R"({"q": "x", "options": ["a", ""], "gold": 0})", "empty");
  fails(R"({"q": "x", "options": ["a", ["b"]], "gold": 0})", "list of texts");
  fails(R"({"q": "x", "options": ["a", "b"]})", "'gold'");
  fails(R"({"options": ["a", "b"], "gold": 0})", "'q'");
}
