#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/home.h"
#include "tasks/rouge.h"
#include "tasks/run.h"
#include "tasks/task.h"
#include "tests/support/catch.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::ByteTokenizer;
using testing::FunctionModel;

namespace {

Task LoadSample(const std::string& name) { return Task(LoadTaskSpec("sample-" + name), {}); }

const std::vector<std::string> kChoiceTasks = {"continuation", "reading", "trivia"};

}  // namespace

TEST_CASE("The sample data is what its generator writes") {
  if (std::system("python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null") != 0) {
    WARN("SKIPPED: no python3 of version 3.11 or later");
    return;
  }
  const auto script = HomeFolder() / "datasets" / "sample" / "generate.py";
  CHECK(std::system(("python3 -B '" + script.string() + "' --check").c_str()) == 0);
}

TEST_CASE("Sample choices: a model that ignores the question is at chance, exactly") {
  for (const std::string& name : kChoiceTasks) {
    CAPTURE(name);
    const std::vector<Item> items = LoadSample(name).BuildPrompts();
    CHECK(items.size() >= 190);
    const size_t choices = name == "reading" ? 2 : 4;
    std::set<std::string> asked;
    std::map<std::set<std::string>, std::multiset<std::string>> right;  // offered texts -> right answers
    for (const Item& item : items) {
      CAPTURE(item.prompt);
      CHECK(asked.insert(item.prompt).second);
      CHECK(item.prompt.size() <= 240);
      const std::set<std::string> offered(item.choices.begin(), item.choices.end());
      REQUIRE(offered.size() == choices);
      right[offered].insert(item.choices.at(item.gold));
    }
    // Within the items that offer the same texts, each text is right equally often.
    for (const auto& [offered, answers] : right) {
      for (const std::string& text : offered) CHECK(answers.count(text) * choices == answers.size());
    }
  }
}

TEST_CASE("Sample choices: the position of the right answer says nothing") {
  for (const std::string& name : kChoiceTasks) {
    CAPTURE(name);
    const std::vector<Item> items = LoadSample(name).BuildPrompts();
    std::map<size_t, size_t> positions;
    for (const Item& item : items) ++positions[item.gold];
    const double fair = static_cast<double>(items.size()) / static_cast<double>(items[0].choices.size());
    for (const auto& [position, count] : positions)
      CHECK(static_cast<double>(count) == Approx(fair).epsilon(0.3));
  }
}

TEST_CASE("Sample prompts") {
  const Item reading = LoadSample("reading").BuildPrompts()[0];
  CHECK(std::regex_match(reading.prompt, std::regex("[^\n]+\\.\nQuestion: [^\n]+\\?\nAnswer:")));
  const Item trivia = LoadSample("trivia").BuildPrompts()[0];
  CHECK(std::regex_match(trivia.prompt, std::regex("Question: [^\n]+\\?\nAnswer:")));
  CHECK(trivia.continuations.at(1) == " " + trivia.choices.at(1));
  const Item sum = LoadSample("arithmetic").BuildPrompts()[0];
  CHECK(std::regex_match(sum.prompt,
                         std::regex("(Question: [^\n]+\\?\nAnswer: [0-9]+ [-+*] [0-9]+ = [0-9]+\n){3}"
                                    "Question: [^\n]+\\?\nAnswer:")));
}

TEST_CASE("Sample arithmetic: sums are right, their numbers are in the question, none is an example") {
  const std::vector<Item> items = LoadSample("arithmetic").BuildPrompts();
  CHECK(items.size() == 200);
  for (const Item& item : items) {
    CAPTURE(item.prompt);
    std::smatch sum;
    REQUIRE(std::regex_match(item.target, sum, std::regex("([0-9]+) ([-+*]) ([0-9]+) = ([0-9]+)")));
    const int m = std::stoi(sum[1]), n = std::stoi(sum[3]);
    const int result = sum[2] == "+" ? m + n : sum[2] == "-" ? m - n : m * n;
    CHECK(result == std::stoi(sum[4]));
    CHECK(result > 0);
    const size_t last = item.prompt.rfind("Question:");
    const std::string question =
        item.prompt.substr(last, item.prompt.size() - last - std::string("\nAnswer:").size());
    CHECK(question.find(fmt::format(" {} ", m)) != std::string::npos);
    CHECK(question.find(fmt::format(" {}", n)) != std::string::npos);
    CHECK(item.prompt.substr(0, last).find(question) == std::string::npos);
  }
}

TEST_CASE("Sample arithmetic: the number after the equals sign counts, and only that") {
  const Task task = LoadSample("arithmetic");
  const std::vector<Item> items = task.BuildPrompts();
  const auto share_right = [&](const std::function<std::string(const Item&)>& answer) {
    std::map<std::string, std::string> texts;
    for (const Item& item : items) texts[item.prompt] = answer(item);
    FunctionModel model([](const ScoreRequest&) { return ScoreResult{}; },
                        [&](const std::string& prompt) { return texts.at(prompt); });
    std::vector<Scores> scores(items.size());
    RunTask(task, model, [&](const ItemResult& result) { scores[result.doc] = result.scores; });
    return Aggregate(task.spec(), scores).at(0).value;
  };
  const auto result = [](const Item& item) { return item.target.substr(item.target.find("= ") + 2); };
  CHECK(share_right([](const Item& item) { return fmt::format(" {}", item.target); }) == 1.0);
  CHECK(share_right([&](const Item& item) { return fmt::format(" x ={} y", result(item)); }) == 1.0);
  CHECK(share_right([](const Item& item) { return fmt::format(" {}0", item.target); }) == 0.0);
  CHECK(share_right(result) == 0.0);
  CHECK(share_right([](const Item&) { return ""; }) == 0.0);
}

TEST_CASE("Sample summaries: short articles, and a summary that tells them apart") {
  const Task task = LoadSample("summaries");
  const std::vector<Item> items = task.BuildPrompts();
  CHECK(items.size() == 60);
  std::set<std::string> summaries;
  double sum_of_others = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    CAPTURE(item.target);
    CHECK(summaries.insert(item.target).second);
    const std::string article = item.prompt.substr(item.prompt.rfind("Article: "));
    const std::regex space("\\s+");
    const auto words = std::distance(std::sregex_token_iterator(article.begin(), article.end(), space, -1),
                                     std::sregex_token_iterator());
    CHECK(words >= 80);
    CHECK(words <= 150);
    CHECK(Rouge(article, item.target).rouge1.precision > 0.6);  // it speaks of this article
    sum_of_others += Rouge(items[(i + 1) % items.size()].target, item.target).rougeL.f1;
  }
  CHECK(sum_of_others / 60 < 0.3);
}
