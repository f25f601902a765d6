// Prompts, scores and metrics against lm-evaluation-harness itself: lm_eval_golden.json was written by
// make_golden.py from its own task files and functions.
#include <filesystem>
#include <map>
#include <set>

#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "datasets/utf8.h"
#include "tasks/family.h"
#include "tasks/requests.h"
#include "tasks/run.h"
#include "tasks/transforms.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
namespace fs = std::filesystem;

namespace {

const Json& Golden() {
  static const Json golden = ReadJsonFile(fs::path(TNBENCH_SOURCE_DIR) / "tests/tasks/lm_eval_golden.json");
  return golden;
}

// The pseudo-random number of make_golden.py.
uint64_t Draw(const std::string& text) { return std::stoull(Sha256Hex(text).substr(0, 8), nullptr, 16); }

// The generated text of make_golden.py.
std::string Answer(const std::string& task, const Item& item) {
  const std::string& gold = item.target;
  if (task == "triviaqa") {
    const std::string last = LowerPython(item.references.back());
    const std::vector<std::string> texts = {" " + gold, "  (" + last + ")", gold + " x", "",
                                            "\n" + gold + "!\t"};
    return texts[Draw(item.prompt) % 5];
  }
  const std::string number = task == "gsm8k" ? gold.substr(gold.rfind("#### ") + 5) : gold;
  const std::string right = task == "gsm8k" ? " " + gold : " So. The answer is " + gold + ".";
  const std::string two =
      task == "gsm8k" ? " #### " + number + " and\n#### 7" : " The answer is " + gold + ", not 7";
  const std::string last = task == "gsm8k" ? " The answer is " + number : " " + gold;
  const std::vector<std::string> texts = {right, " It is $" + number + ".00, so " + number + ".", two,
                                          " I do not know.", last};
  return texts[Draw(item.prompt) % 5];
}

std::string AllTexts(const std::vector<Item>& items) {
  std::string all;
  for (const Item& item : items) {
    if (item.contexts.empty()) all += item.prompt + '\0';
    for (size_t i = 0; i < item.contexts.size(); ++i) {
      all += item.contexts[i] + '\0' + item.continuations[i] + '\0';
    }
  }
  return all;
}

// A model whose numbers are those of make_golden.py.
testing::FunctionModel DrawingModel(const std::string& task, const std::vector<Item>& items) {
  std::map<std::string, std::string> answers;
  for (const Item& item : items) {
    if (!item.references.empty()) answers[item.prompt] = Answer(task, item);
  }
  return testing::FunctionModel(
      [](const ScoreRequest& request) {
        const uint64_t number = Draw(testing::ByteTokenizer().Decode(request.tokens));
        return ScoreResult{-static_cast<double>(number % 1000003) / 1000.0, number % 7 == 0};
      },
      [answers](const std::string& prompt) { return answers.at(prompt); });
}

std::vector<TaskMetric> MetricsOf(const Task& task) {
  testing::FunctionModel model = DrawingModel(task.spec().name, task.BuildPrompts());
  std::vector<Scores> scores;
  RunTask(task, model, [&](const ItemResult& result) { scores.push_back(result.scores); });
  return Aggregate(task.spec(), scores);
}

void CheckMetrics(const std::vector<TaskMetric>& metrics, const Json& golden) {
  std::set<std::string> seen;
  for (const TaskMetric& metric : metrics) {
    std::string key = metric.filter == "none" ? metric.name : metric.name + "," + metric.filter;
    INFO(key);
    if (key == "ppl.lmeval_token") continue;  // the harness has no such metric
    // Its own names for these.
    if (key == "ppl.lmeval") key = "word_perplexity";
    if (key == "ppl.lmeval_byte") key = "byte_perplexity";
    if (key == "mc2") key = "acc";
    seen.insert(key);
    const Json& expected = golden.at(key);
    CHECK(metric.value == Approx(expected.at("value").get<double>()).epsilon(1e-12));
    if (expected.contains("n")) CHECK(metric.n == expected.at("n").get<int64_t>());
    if (expected.contains("se"))
      CHECK(metric.se.value() == Approx(expected.at("se").get<double>()).epsilon(1e-12));
  }
  CHECK(seen.size() == golden.size());
}

// Where the documents of a golden row lie: the shared data, or `folder` after they are written there.
std::filesystem::path DataOf(const Json& golden, const fs::path& shared, const fs::path& folder) {
  if (!golden.contains("rows")) return shared;
  std::string text;
  for (const Json& row : golden.at("rows")) text += row.dump() + "\n";
  const fs::path file = folder / golden.at("file").get<std::string>();
  fs::create_directories(file.parent_path());
  WriteFileAtomically(file, text);
  return folder;
}

}  // namespace

TEST_CASE("prompts, scores and metrics are those of lm-evaluation-harness") {
  const auto shared = testing::SharedData("hellaswag/val_1000.jsonl");
  if (!shared) return;
  testing::TemporaryFolder folder;
  for (const Json& golden : Golden().at("tasks")) {
    const std::string name = golden.at("task");
    const int64_t shots = golden.at("num_fewshot");
    INFO(name << " " << shots << "-shot");
    TaskOptions options{.data_dir = DataOf(golden, shared->parent_path().parent_path(), folder.path()),
                        .limit = golden.at("documents").get<int64_t>()};
    // The golden examples come from the evaluated documents where there is no file of others at hand.
    TaskSpec spec = LoadTaskSpec(name);
    if (!name.starts_with("gsm8k")) spec.fewshot_files = spec.files;
    if (spec.form != TaskForm::kRolling) options.num_fewshot = shots;
    const Task task(spec, options);
    CHECK(Sha256Hex(AllTexts(task.BuildPrompts())) == golden.at("sha256").get<std::string>());
    CheckMetrics(MetricsOf(task), golden.at("metrics"));
  }
}

TEST_CASE("families: prompts, and pitfall 13: group metrics are weighted by size, with the pooled error") {
  const auto shared = testing::SharedData("mmlu/test/anatomy_test.csv");
  if (!shared) return;
  const fs::path data = shared->parent_path().parent_path().parent_path();
  for (const Json& golden : Golden().at("families")) {
    const std::string name = golden.at("family");
    const TaskSelection selection = SelectTasks({name});
    CHECK(selection.tasks.size() == 57);
    std::map<std::string, std::vector<TaskMetric>> metrics;
    std::map<std::string, std::string> texts;  // in the harness's order
    for (const std::string& member : selection.tasks) {
      const Task task(LoadTaskSpec(member), {.data_dir = data,
                                             .limit = golden.at("limit").get<int64_t>(),
                                             .num_fewshot = golden.at("num_fewshot").get<int64_t>()});
      texts[member] = AllTexts(task.BuildPrompts());
      metrics[member] = MetricsOf(task);
    }
    std::string all;
    for (const auto& [member, text] : texts) all += text;
    CHECK(Sha256Hex(all) == golden.at("sha256").get<std::string>());
    CHECK(selection.groups.size() == golden.at("groups").size());
    for (const TaskGroup& group : selection.groups) {
      INFO(group.name);
      const Json& expected = golden.at("groups").at(group.name);
      std::vector<std::vector<TaskMetric>> members;
      for (const std::string& task : group.tasks) members.push_back(metrics.at(task));
      CHECK(members.size() == expected.at("acc").at("tasks").get<size_t>());
      CheckMetrics(AggregateGroup(members), expected);
    }
  }
}

TEST_CASE("text functions, filters and exact match are those of lm-evaluation-harness") {
  const TaskSpec gsm8k = LoadTaskSpec("gsm8k");
  const std::vector<std::string> golds = {"#### 12", "so\n#### 1,000", "#### 5",
                                          "#### 3",  "#### 42",        "#### 1,234.5"};
  for (const Json& row : Golden().at("texts")) {
    const std::string text = row.at("text");
    INFO(row.at("text").dump());
    for (const char* name : {"hellaswag", "wikitext", "capitalize", "strip"}) {
      CHECK(FindTransform(name)->apply(text) == row.at(name).get<std::string>());
    }
    CHECK(SplitWordCount(text) == row.at("words").get<size_t>());
    for (const AnswerFilter& filter : gsm8k.filters) {
      CHECK(ApplyFilter(filter, text) == row.at("filters").at(filter.name).get<std::string>());
      for (size_t i = 0; i < golds.size(); ++i) {
        INFO(filter.name << " " << golds[i]);
        CHECK(ScoreText(gsm8k, text, {golds[i]}).at("exact_match," + filter.name) ==
              row.at("exact").at(filter.name).at(i).get<double>());
      }
    }
  }
}

TEST_CASE("rolling windows are those of lm-evaluation-harness") {
  for (const Json& row : Golden().at("windows")) {
    TokenIds tokens;
    for (int i = 0; i < row.at("count").get<int>(); ++i) tokens.push_back(100 + i);
    const std::vector<ScoreRequest> windows = RollingWindows(tokens, 0, row.at("length").get<int64_t>());
    INFO(row.dump());
    REQUIRE(windows.size() == row.at("windows").size());
    for (size_t i = 0; i < windows.size(); ++i) {
      CHECK(windows[i].tokens == row.at("windows").at(i).at("tokens").get<TokenIds>());
      CHECK(windows[i].first_scored == row.at("windows").at(i).at("first_scored").get<int64_t>());
    }
  }
  CHECK(RollingWindows({}, 0, 4).empty());
}

TEST_CASE("the published vector of the WikiText detokenizer") {
  const std::string page =
      " = Robert Boulter = \n \n Robert Boulter is an English film , television and theatre actor . He had a "
      "guest @-@ "
      "starring role on the television series The Bill in 2000 ; it ran 1 @,@ 234.5 @.@ 6 ( see [ note ] ) "
      "\" quoted "
      "text \" and it 's ' so '\n";
  CHECK(FindTransform("wikitext")->apply(page) ==
        " = Robert Boulter =\n\nRobert Boulter is an English film, television and theatre actor. He had a "
        "guest-starring role on the television series The Bill in 2000; it ran 1,234.5.6 (see [note]) "
        "\"quoted text\" "
        "and it's' so '\n");
  CHECK(SplitWordCount(page) == 57);
  CHECK(page.size() == 243);
}
