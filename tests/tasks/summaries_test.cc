// Summarization: the named protocols, ROUGE's intervals, and what must not pass as a score.
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "tasks/bootstrap.h"
#include "tasks/run.h"
#include "tasks/transforms.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::FunctionModel;

TEST_CASE("bootstrap intervals are seeded, centered and of the expected width") {
  std::vector<double> a, b;
  for (int i = 0; i < 400; ++i) {
    a.push_back(i % 2);
    b.push_back(5.0);
  }
  const auto first = BootstrapMeans({a, b}), again = BootstrapMeans({a, b});
  CHECK(first == again);
  CHECK(first != BootstrapMeans({a, b}, kBootstrapResamples, 7));
  // The mean of 400 fair coins deviates by 0.025; 1.96 of these, with the error of 10,000 draws (1 %).
  CHECK(first[0].first == Approx(0.451).margin(0.003));
  CHECK(first[0].second == Approx(0.549).margin(0.003));
  CHECK(first[1] == std::pair(5.0, 5.0));
  CHECK_THROWS_AS(BootstrapMeans({{1.0}}), Error);
  CHECK_THROWS_AS(BootstrapMeans({{1.0, 2.0}, {1.0}}), Error);
}

TEST_CASE("ROUGE rows carry their bootstrap interval") {
  TaskSpec spec;
  spec.form = TaskForm::kSummarize;
  spec.metrics = {"rouge1", "rougeLsum", "empty"};
  spec.main_metric = "rouge1";
  std::vector<Scores> items;
  for (int i = 0; i < 50; ++i) items.push_back({{"rouge1", i / 50.0}, {"rougeLsum", 0.5}, {"empty", 0}});
  const auto rows = Aggregate(spec, items);
  REQUIRE(rows[0].lo);
  CHECK(*rows[0].lo < rows[0].value);
  CHECK(*rows[0].hi > rows[0].value);
  CHECK(*rows[0].hi - *rows[0].lo == Approx(2 * 1.96 * *rows[0].se).epsilon(0.05));
  CHECK(*rows[1].lo == 0.5);
  CHECK_FALSE(rows[2].lo);
  CHECK_FALSE(Aggregate(spec, {items[0]})[0].lo);
}

TEST_CASE("pitfall 7: a summary that was not scored is an error, not a 0") {
  TaskSpec spec;
  spec.form = TaskForm::kSummarize;
  spec.metrics = {"rougeLsum"};
  CHECK_THROWS_AS(Aggregate(spec, {{{"rouge1", 0.5}}}), Error);
  CHECK_THROWS_AS(Aggregate(spec, {{{"rougeLsum", 0.5}}, {{"rougeLsum", std::nan("")}}}), Error);
  // Neither is one without references.
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "d.jsonl", "{\"t\": \"text\", \"refs\": []}\n");
  WriteFileAtomically(folder / "t.json", R"({"name": "t", "version": "1", "form": "summarize",
    "dataset": {"file": "d.jsonl", "split": "test"}, "prompt": "{t}", "references": "refs",
    "generation": {"max_new_tokens": 8}, "metrics": ["rouge1"]})");
  const Task task(LoadTaskSpec((folder / "t.json").string()), {.data_dir = folder.path()});
  CHECK_THROWS_WITH(task.BuildPrompts(), Catch::Contains("not a list of texts"));
}

TEST_CASE("pitfall 18: empty summaries and lengths are counted") {
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "d.jsonl",
                      "{\"t\": \"a\", \"s\": \"one two\"}\n{\"t\": \"b\", \"s\": \"one\"}\n");
  WriteFileAtomically(folder / "t.json", R"({"name": "t", "version": "1", "form": "summarize",
    "dataset": {"file": "d.jsonl", "split": "test"}, "prompt": "{t}", "target": "{s}",
    "generation": {"max_new_tokens": 8}, "metrics": ["rouge1", "empty", "generated_tokens"]})");
  const Task task(LoadTaskSpec((folder / "t.json").string()), {.data_dir = folder.path()});
  FunctionModel model(nullptr, [](const std::string& prompt) { return prompt == "a" ? " \n" : "one"; });
  std::vector<Scores> scores;
  RunTask(task, model, [&](const ItemResult& result) { scores.push_back(result.scores); });
  const auto rows = Aggregate(task.spec(), scores);
  CHECK(rows[0].value == 0.5);
  CHECK(rows[1].value == 0.5);  // white space is no summary
  CHECK(rows[2].value == 2.5);  // tokens: 2 and 3 bytes
}

TEST_CASE("sentences go on lines of their own") {
  const auto apply = FindTransform("sentence_lines")->apply;
  CHECK(apply("One here. Two there! Three? Yes.") == "One here.\nTwo there!\nThree?\nYes.");
  CHECK(apply("Mr. Smith and J. Doe met at 3.30 p.m. on Monday. \"It rained.\" They left.") ==
        "Mr. Smith and J. Doe met at 3.30 p.m. on Monday.\n\"It rained.\"\nThey left.");
  CHECK(apply("no end") == "no end");
  CHECK(apply("") == "");
}

TEST_CASE("shared data: the protocols of summarization ask what their programs ask") {
  const auto data = testing::SharedData("cnn_dailymail/test_198.jsonl");
  if (!data) return;
  const auto first = [&](const std::string& name) {
    const Task task(LoadTaskSpec(name), {.data_dir = data->parent_path().parent_path(), .limit = 1});
    return std::pair(task.BuildItems(testing::ByteTokenizer(), 1 << 20).at(0), task.spec());
  };
  const std::string article = "Paul Merson has restarted his row";
  const auto ends = [](const std::string& text, const std::string& end) {
    INFO(text.substr(text.size() - std::min<size_t>(text.size(), 200)));
    CHECK(text.ends_with(end));
  };
  {
    const auto [item, spec] = first("cnn_dailymail_lmeval");
    CHECK(item.prompt.starts_with("Summarize the following article:\n\n" + article));
    ends(item.prompt, "\n\nSummary:");
    CHECK(item.generation->stop == std::vector<std::string>{"\n\n"});
    CHECK_FALSE(item.generation->skip_leading_space);  // the harness's empty answers are reproduced
  }
  CHECK(first("cnn_dailymail").first.generation->skip_leading_space);
  {
    const auto [item, spec] = first("cnn_dailymail_mlperf_llama3");
    CHECK(
        item.prompt.starts_with("Summarize the following news article in 128 tokens. Please output the "
                                "summary only, without any other text.\n\nArticle:\n" +
                                article));
    ends(item.prompt, "\n\nSummary:");
    CHECK(item.generation->min_new_tokens == 1);
    CHECK(item.generation->max_new_tokens == 128);
    CHECK(item.generation->stop.empty());
    CHECK(spec.split == "test");  // validation.jsonl is not there
  }
  {
    const auto [item, spec] = first("cnn_dailymail_mlperf_gptj");
    CHECK(item.generation->beams == 4);
    CHECK(item.generation->min_new_tokens == 30);
    ends(item.prompt, "\n\n### Response:");
  }
  {
    const auto [item, spec] = first("cnn_dailymail_lighteval");
    CHECK(item.prompt.starts_with("Article: " + article));
    ends(item.prompt, "\n\nTL;DR:");
  }
  {
    const auto [item, spec] = first("cnn_dailymail_helm");
    CHECK(item.prompt.starts_with("###\nArticle: " + article));
    ends(item.prompt, "\n\nSummarize the above article in 3 sentences.");
  }
  const auto [item, spec] = first("xsum_helm");
  ends(item.prompt, "\n\nSummarize the above article in 1 sentence.");
}
