// Prompts, scores and metrics against lm-evaluation-harness itself: lm_eval_golden.json was written by
// make_golden.py from its own task files and functions.
#include <filesystem>
#include <map>
#include <set>

#include "base/hash.h"
#include "base/json.h"
#include "datasets/utf8.h"
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

std::string Answer(const std::string& prompt, const std::string& gold) {
  const std::string number = gold.substr(gold.rfind("#### ") + 5);
  const std::vector<std::string> texts = {" " + gold, " It is $" + number + ".00, so " + number + ".",
                                          " #### " + number + " and\n#### 7", " I do not know.",
                                          " The answer is " + number};
  return texts[Draw(prompt) % 5];
}

// The data folder with the evaluated files as examples too, as make_golden.py takes them.
void LinkWithExamples(const fs::path& shared, const fs::path& folder) {
  const std::map<std::string, std::string> train = {{"hellaswag", "val_1000.jsonl"},
                                                    {"boolq", "val.jsonl"},
                                                    {"arc_easy", "test.jsonl"},
                                                    {"winogrande", "val.jsonl"},
                                                    {"openbookqa", "test.jsonl"}};
  for (const auto& entry : fs::directory_iterator(shared)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory()) continue;
    fs::create_directory(folder / name);
    for (const auto& file : fs::directory_iterator(entry.path())) {
      fs::create_symlink(file.path(), folder / name / file.path().filename());
    }
    const auto found = train.find(name);
    if (found != train.end())
      fs::create_symlink(shared / name / found->second, folder / name / "train.jsonl");
  }
}

}  // namespace

TEST_CASE("prompts, scores and metrics are those of lm-evaluation-harness") {
  const auto shared = testing::SharedData("hellaswag/val_1000.jsonl");
  if (!shared) return;
  testing::TemporaryFolder folder;
  LinkWithExamples(shared->parent_path().parent_path(), folder.path());

  for (const Json& golden : Golden().at("tasks")) {
    const std::string name = golden.at("task");
    const int64_t shots = golden.at("num_fewshot");
    INFO(name << " " << shots << "-shot");
    TaskOptions options{.data_dir = folder.path(), .limit = golden.at("documents").get<int64_t>()};
    // The golden examples of PIQA come from its evaluated documents, which is what a file without "file"
    // does.
    TaskSpec spec = LoadTaskSpec(name);
    if (name == "piqa") spec.fewshot_files.clear();
    if (spec.form != TaskForm::kRolling) options.num_fewshot = shots;
    const Task task(spec, options);

    std::string all;
    std::map<std::string, std::string> gold;
    for (const Item& item : task.BuildPrompts()) {
      if (item.contexts.empty()) all += item.prompt + '\0';
      for (size_t i = 0; i < item.contexts.size(); ++i) {
        all += item.contexts[i] + '\0' + item.continuations[i] + '\0';
      }
      gold[item.prompt] = item.target;
    }
    CHECK(Sha256Hex(all) == golden.at("sha256").get<std::string>());

    const testing::ByteTokenizer tokenizer;
    testing::FunctionModel model(
        [&](const ScoreRequest& request) {
          const uint64_t number = Draw(tokenizer.Decode(request.tokens));
          return ScoreResult{-static_cast<double>(number % 1000003) / 1000.0, number % 7 == 0};
        },
        [&](const std::string& prompt) { return Answer(prompt, gold.at(prompt)); });
    std::vector<Scores> scores;
    RunTask(task, model, [&](const ItemResult& result) { scores.push_back(result.scores); });
    std::set<std::string> seen;
    for (const TaskMetric& metric : Aggregate(task.spec(), scores)) {
      const std::string key = metric.filter == "none" ? metric.name : metric.name + "," + metric.filter;
      INFO(key);
      if (key == "token_perplexity") continue;  // the harness has no such metric
      seen.insert(key);
      const Json& expected = golden.at("metrics").at(key);
      CHECK(metric.value == Approx(expected.at("value").get<double>()).epsilon(1e-12));
      if (expected.contains("se"))
        CHECK(metric.se.value() == Approx(expected.at("se").get<double>()).epsilon(1e-12));
    }
    CHECK(seen.size() == golden.at("metrics").size());
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
