// Pitfalls of other harnesses, each a test whose name begins with its number. Elsewhere: 10 in
// tests/harness/run_test.cc, 13 in family_test.cc and golden_test.cc.
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "datasets/fewshot.h"
#include "datasets/utf8.h"
#include "tasks/requests.h"
#include "tasks/run.h"
#include "tasks/transforms.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::ByteTokenizer;
using testing::FunctionModel;
using Texts = std::vector<std::string>;

namespace {

std::vector<Json> Numbered(size_t count) {
  std::vector<Json> documents;
  for (size_t i = 0; i < count; ++i) documents.push_back({{"n", i}});
  return documents;
}

// The items of a task over documents written for it.
std::vector<Item> ItemsOf(TaskSpec spec, const std::string& file, const Texts& rows,
                          TaskOptions options = {}) {
  testing::TemporaryFolder folder;
  std::filesystem::create_directories((folder / file).parent_path());
  std::string text;
  for (const std::string& row : rows) text += row + "\n";
  WriteFileAtomically(folder / file, text);
  options.data_dir = folder.path();
  return Task(std::move(spec), options).BuildPrompts();
}

std::vector<Item> ItemsOf(const std::string& task, const std::string& file, const Texts& rows) {
  return ItemsOf(LoadTaskSpec(task), file, rows);
}

Texts CopaRows(size_t count) {
  Texts rows;
  for (size_t i = 0; i < count; ++i) {
    rows.push_back(Json{
        {"premise", "It was day " + std::to_string(i) + "."},
        {"question", "cause"},
        {"choice1", "The sun rose."},
        {"choice2", "The sun set."},
        {"label", 0}}.dump());
  }
  return rows;
}

}  // namespace

TEST_CASE("pitfall 1: examples are CPython's draws, one more when the evaluated document may be among them") {
  const std::vector<Json> pool = Numbered(1000);
  const Json other = {{"n", "none"}};
  // Python 3.11: r = random.Random(1234); r.sample(range(1000), 6) twice.
  FewshotSampler excluding({.count = 5, .exclude_evaluated = true}, pool);
  CHECK(excluding.Draw(0, pool[451]) == std::vector<size_t>{989, 796, 119, 7, 92});
  CHECK(excluding.Draw(1, other) == std::vector<size_t>{932, 965, 961, 826, 596});
}

TEST_CASE("pitfall 1: with --fewshot-compat document, shots depend on nothing but the document's number") {
  TaskSpec spec = LoadTaskSpec("copa");
  spec.fewshot_files.clear();
  const auto prompts = [&](const std::string& compat, std::optional<int64_t> limit) {
    Texts texts;
    for (const Item& item : ItemsOf(spec, "copa/validation.jsonl", CopaRows(30),
                                    {.limit = limit, .num_fewshot = 3, .fewshot_compat = compat})) {
      texts.push_back(item.prompt);
    }
    return texts;
  };
  const Texts all = prompts("document", std::nullopt), few = prompts("document", 7);
  CHECK(Texts(all.begin(), all.begin() + 7) == few);
  CHECK(all != prompts("lm-eval", std::nullopt));
  // Any subset in any order (a shard, a resumed run) draws the same: the sampler is asked for document 20
  // alone.
  std::vector<Json> pool;
  for (const std::string& row : CopaRows(30)) pool.push_back(Json::parse(row));
  FewshotSampler in_order({.count = 3, .exclude_evaluated = true, .compat = "document"}, pool);
  std::vector<size_t> expected;
  for (size_t i = 0; i <= 20; ++i) expected = in_order.Draw(i, pool[i]);
  FewshotSampler alone({.count = 3, .exclude_evaluated = true, .compat = "document"}, pool);
  CHECK(alone.Draw(20, pool[20]) == expected);
  FewshotSampler lm_eval({.count = 3, .exclude_evaluated = true}, pool);
  CHECK(lm_eval.Draw(20, pool[20]) != expected);
  CHECK_THROWS_AS(prompts("lm_eval", 1), Error);
}

TEST_CASE(
    "pitfall 2: acc_norm counts code points, neither bytes nor tokens; of equal choices the first wins") {
  // Two characters (four bytes, as many tokens here) against three (three bytes): per character -3 and -2.5.
  const Texts choices = {"\u00E9\u00E9", "abc"};
  const Scores scores = ScoreChoices({-6.0, -7.5}, choices, 1);
  CHECK(scores.at("acc") == 0.0);
  CHECK(scores.at("acc_norm") == 1.0);
  CHECK(scores.at("acc_bytes") == 0.0);  // -1.5 against -2.5 a byte
  CHECK(ScoreChoices({-2.0, -2.0, -2.0}, {"same", "same", "same"}, 0).at("acc_norm") == 1.0);
  CHECK(ScoreChoices({-2.0, -2.0, -2.0}, {"same", "same", "same"}, 2).at("acc") == 0.0);
}

TEST_CASE(
    "pitfall 3: spaces at the end of a context, empty and over-long contexts, the last rolling window") {
  const ByteTokenizer tokenizer;
  const auto bytes = [&](const std::string& text) { return tokenizer.Encode(text, false, nullptr); };
  CHECK(EncodePair(tokenizer, "Answer: ", "x") == std::make_pair(bytes("Answer:"), bytes(" x")));
  CHECK(EncodePair(tokenizer, "", " x") == std::make_pair(TokenIds{0}, bytes(" x")));
  Item item;
  item.contexts = {"0123456789"};
  item.continuations = {" x"};
  AddRequests(LoadTaskSpec("piqa"), tokenizer, 6, "d:1", item);
  CHECK(item.scores[0].tokens == bytes("56789 x"));  // the beginning is lost, not the end
  CHECK(item.truncated_tokens == 5);
  const auto windows = RollingWindows({10, 11, 12, 13, 14, 15}, 0, 4);
  REQUIRE(windows.size() == 2);
  CHECK(windows[0].tokens == TokenIds{0, 10, 11, 12, 13});
  CHECK(windows[1].tokens == TokenIds{11, 12, 13, 14, 15});  // context that was scored before
  CHECK(windows[1].first_scored == 3);
}

TEST_CASE("pitfall 4: words are those of the original page, empty ones at its ends included") {
  // len(re.split(r"\s+", " = A = \n b , c \n")) is 8: "", =, A, =, b, ",", c, "".
  CHECK(SplitWordCount(" = A = \n b , c \n") == 8);
  testing::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "wikitext2");
  WriteFileAtomically(folder / "wikitext2/wiki.test.raw", " = A = \n b , c \n");
  const std::vector<Item> items = Task(LoadTaskSpec("wikitext2"), {.data_dir = folder.path()}).BuildPrompts();
  REQUIRE(items.size() == 1);
  CHECK(items[0].target == " = A =\nb, c\n");  // what is scored is detokenized, what is counted is not
  CHECK(items[0].words == 8);
  CHECK(items[0].bytes == 16);
}

TEST_CASE("pitfall 5: triviaqa's two question marks, hellaswag's capitalize, copa's two spaces") {
  CHECK(ItemsOf("triviaqa", "triviaqa/validation.jsonl",
                {R"({"question": "Who?", "answer": {"aliases": ["Me"], "value": "Me"}})"})[0]
            .prompt == "Question: Who??\nAnswer:");
  CHECK(
      ItemsOf(
          "hellaswag", "hellaswag/validation.jsonl",
          {R"({"activity_label": "L", "ctx_a": "A.", "ctx_b": "the TV Set", "endings": ["x", "y"], "label": 0})"})
          [0]
              .prompt == "L: A. The tv set");
  const Item copa = ItemsOf("copa", "copa/validation.jsonl", CopaRows(1))[0];
  CHECK(copa.prompt == "It was day 0 because");
  CHECK(copa.continuations == Texts{"  the sun rose.", "  the sun set."});
}

TEST_CASE("pitfall 6: gsm8k: [invalid], matches with groups, order of what is removed") {
  const TaskSpec spec = LoadTaskSpec("gsm8k");
  const auto filtered = [&](const std::string& text) {
    return Texts{ApplyFilter(spec.filters.at(0), text), ApplyFilter(spec.filters.at(1), text)};
  };
  CHECK(filtered("no number") == Texts{"[invalid]", "[invalid]"});
  CHECK(filtered("so #### 1,200. Then 7") == Texts{"1,200.", "7"});
  CHECK(filtered("costs $15.50") == Texts{"[invalid]", "$15.50"});
  // Commas go before the final period does, so 1,200. is 1200.
  const Scores scores = ScoreText(spec, "#### 1,200.", {"Solution.\n#### 1200"});
  CHECK(scores.at("exact_match,strict-match") == 1.0);
  CHECK(ScoreText(spec, "nothing", {"#### [invalid]"}).at("exact_match,strict-match") ==
        1.0);  // as the harness
}

TEST_CASE("pitfall 8: other prompts, shots, windows or tokenizers are other protocols") {
  testing::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "copa");
  std::string text;
  for (const std::string& row : CopaRows(9)) text += row + "\n";
  WriteFileAtomically(folder / "copa/validation.jsonl", text);
  WriteFileAtomically(folder / "copa/train.jsonl", text);
  const auto protocol = [&](TaskOptions options, int64_t window, bool bos = false) {
    options.data_dir = folder.path();
    const Json json = Task(LoadTaskSpec("copa"), options).ProtocolJson(ByteTokenizer(bos), window);
    return Sha256Hex(json.dump());
  };
  const std::string base = protocol({.num_fewshot = 2}, 512);
  CHECK(protocol({.num_fewshot = 2}, 512) == base);
  CHECK(protocol({.num_fewshot = 1}, 512) != base);
  CHECK(protocol({.num_fewshot = 2, .fewshot_compat = "document"}, 512) != base);
  CHECK(protocol({.num_fewshot = 2, .fewshot_seed = 7}, 512) != base);
  CHECK(protocol({.limit = 3, .num_fewshot = 2}, 512) != base);
  CHECK(protocol({.num_fewshot = 2}, 2048) != base);
  CHECK(protocol({.num_fewshot = 2}, 512, true) != base);
}
