// The small world: its tasks are what the generator writes, and nothing that it gives to train on is in them.
#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/home.h"
#include "datasets/reader.h"
#include "tasks/task.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

const std::vector<std::string> kTasks = {"facts", "arithmetic", "summaries", "reading", "endings"};

std::vector<Item> Items(const std::string& name) {
  return Task(LoadTaskSpec("world-" + name), {}).BuildPrompts();
}

std::string Script() { return (HomeFolder() / "datasets/world/generate.py").string(); }

bool HasPython() {
  if (std::system("python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null") == 0)
    return true;
  WARN("SKIPPED: no python3 of version 3.9 or later");
  return false;
}

// What the generator draws to train on.
std::vector<Json> Documents(int count) {
  const testing::TemporaryFolder folder;
  const std::string file = (folder / "documents.jsonl").string();
  const std::string command = "python3 -B '" + Script() + "' train --documents " + std::to_string(count) +
                              " --seed 7 > '" + file + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  return ReadDataset(file).documents;
}

}  // namespace

TEST_CASE("the tasks of the small world are what its generator writes") {
  if (!HasPython()) return;
  const std::string command = "python3 -B '" + Script() + "' tasks --check";
  CHECK(std::system(command.c_str()) == 0);
}

TEST_CASE("no item of the small world is trained on, and the prompts are of one form") {
  if (!HasPython()) return;
  std::set<std::string> trained;
  std::map<std::string, int> shapes;
  for (const Json& document : Documents(6000)) {
    const std::string prompt = document.value("prompt", document.value("text", ""));
    trained.insert(prompt);
    ++shapes[prompt.ends_with("Summary:") ? "summary" : prompt.ends_with("Answer:") ? "answer" : "other"];
  }
  CHECK(shapes["summary"] > 600);
  CHECK(shapes["answer"] > 3000);
  CHECK(shapes["other"] > 800);
  for (const std::string& name : kTasks) {
    CAPTURE(name);
    const std::vector<Item> items = Items(name);
    CHECK(items.size() == (name == "endings" ? 60 : 200));
    std::set<std::string> asked;
    for (const Item& item : items) {
      CHECK(asked.insert(item.prompt).second);
      CHECK(trained.count(item.prompt) == 0);
    }
  }
}

TEST_CASE("the small world's facts are asked for in ways that are not trained, of which all words are") {
  if (!HasPython()) return;
  std::set<std::string> words;
  const std::regex word("[A-Za-z]+");
  const auto each_word = [&](const std::string& text, const auto& take) {
    for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i) take(i->str());
  };
  for (const Json& document : Documents(12000)) {
    for (const auto& [key, text] : document.items())
      each_word(text.get<std::string>(), [&](const std::string& w) { words.insert(w); });
  }
  for (const Item& item : Items("facts")) {
    CAPTURE(item.prompt);
    each_word(item.prompt, [&](const std::string& w) { CHECK(words.count(w) == 1); });
    CHECK(std::set<std::string>(item.choices.begin(), item.choices.end()).size() == 4);
  }
}

TEST_CASE("the small world's answers are right") {
  const std::regex sum("(\\d+) ([-+*]) (\\d+) = (\\d+)\\.");
  for (const Item& item : Items("arithmetic")) {
    CAPTURE(item.prompt, item.target);
    std::string last;
    for (std::sregex_iterator i(item.target.begin(), item.target.end(), sum), end; i != end; ++i) {
      const int a = std::stoi((*i)[1]), b = std::stoi((*i)[3]), result = std::stoi((*i)[4]);
      if (!last.empty()) CHECK((*i)[1].str() == last);
      CHECK(result == ((*i)[2] == "+" ? a + b : (*i)[2] == "-" ? a - b : a * b));
      last = (*i)[4];
    }
    CHECK(item.target.ends_with("The answer is " + last + "."));
  }
  int yes = 0;
  for (const Item& item : Items("reading")) {
    const size_t question = item.prompt.find("Does ") + 5;
    const std::string asked = item.prompt.substr(question, item.prompt.find('?') - question);
    std::string told = asked;
    told.replace(told.find(" have "), 6, " has ");
    CHECK((item.prompt.substr(0, question).find(told + ".") != std::string::npos) == (item.gold == 1));
    yes += item.gold == 1 ? 1 : 0;
  }
  CHECK(yes > 70);
  CHECK(yes < 130);
}

}  // namespace tnb
