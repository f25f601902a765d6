#include "tasks/windows.h"

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "models/tokenizer.h"
#include "tasks/run.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::ByteTokenizer;
using testing::FunctionModel;

namespace {

TaskSpec WindowSpec(const std::string& protocol, int64_t length) {
  TaskSpec spec;
  spec.form = TaskForm::kRolling;
  spec.window = TextWindow{protocol, length, std::string()};
  return spec;
}

// Every token has log-likelihood -(its id), so that sums tell which tokens were scored.
ScoreResult SumOfIds(const ScoreRequest& request) {
  ScoreResult result{0, false};
  for (size_t i = static_cast<size_t>(request.first_scored); i < request.tokens.size(); ++i) {
    const double value = -request.tokens[i];
    result.log_likelihood += value;
    result.squares += value * value;
  }
  return result;
}

}  // namespace

TEST_CASE("gptq: separate windows, the rest dropped, all tokens but the first scored") {
  const auto items = WindowItems(WindowSpec("gptq", 4), ByteTokenizer(), "abcdefghij", 4, {}, "t");
  REQUIRE(items.size() == 2);
  CHECK(items[0].scores[0].tokens == TokenIds{'a' + 1, 'b' + 1, 'c' + 1, 'd' + 1});
  CHECK(items[1].scores[0].tokens == TokenIds{'e' + 1, 'f' + 1, 'g' + 1, 'h' + 1});
  CHECK(items[1].scores[0].first_scored == 1);
  CHECK(items[1].doc == 1);
  CHECK(items[0].prompt_sha256 != items[1].prompt_sha256);
  CHECK(WindowItems(WindowSpec("gptq", 4), ByteTokenizer(), "abcdefghij", 4, 1, "t").size() == 1);
}

TEST_CASE("gptq: one BOS for the whole text, where the tokenizer adds one") {
  const auto items = WindowItems(WindowSpec("gptq", 4), ByteTokenizer(true), "abcdefg", 4, {}, "t");
  REQUIRE(items.size() == 2);
  CHECK(items[0].scores[0].tokens == TokenIds{0, 'a' + 1, 'b' + 1, 'c' + 1});
  CHECK(items[1].scores[0].tokens == TokenIds{'d' + 1, 'e' + 1, 'f' + 1, 'g' + 1});
}

TEST_CASE("llamacpp: the second half, BOS in place of the first token of every window") {
  const auto plain = WindowItems(WindowSpec("llamacpp", 6), ByteTokenizer(), "abcdefghijkl", 8, {}, "t");
  REQUIRE(plain.size() == 2);
  CHECK(plain[1].scores[0].tokens[0] == 'g' + 1);
  CHECK(plain[1].scores[0].first_scored == 4);  // n_ctx - n_ctx / 2 - 1 = 2 tokens are scored
  const auto bos = WindowItems(WindowSpec("llamacpp", 6), ByteTokenizer(true), "abcdefghijkl", 8, {}, "t");
  CHECK(bos[0].scores[0].tokens == TokenIds{0, 'a' + 1, 'b' + 1, 'c' + 1, 'd' + 1, 'e' + 1});
  CHECK(bos[1].scores[0].tokens == TokenIds{0, 'g' + 1, 'h' + 1, 'i' + 1, 'j' + 1, 'k' + 1});
}

TEST_CASE("windows that cannot be: too long for the context, text too short") {
  CHECK_THROWS_WITH(WindowItems(WindowSpec("gptq", 8), ByteTokenizer(), "abcdefghij", 4, {}, "t"),
                    Catch::Contains("ppl.gptq-4:FILE"));
  CHECK_THROWS_AS(WindowItems(WindowSpec("gptq", 8), ByteTokenizer(), "abc", 8, {}, "t"), Error);
  // llama-perplexity wants two windows of text.
  CHECK_THROWS_AS(WindowItems(WindowSpec("llamacpp", 4), ByteTokenizer(), "abcdefg", 8, {}, "t"), Error);
}

TEST_CASE("a text file has a perplexity by each protocol, with the standard error of that protocol") {
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "some text.txt", "abcdefghijklmnop");
  const std::string file = (folder / "some text.txt").string();
  FunctionModel model(SumOfIds, nullptr, 64);
  const auto measure = [&](const std::string& name) {
    const Task task(LoadTaskSpec(name), {});
    std::vector<Scores> scores;
    RunTask(task, model, [&](const ItemResult& result) { scores.push_back(result.scores); });
    return std::pair(Aggregate(task.spec(), scores), scores.size());
  };

  const auto [gptq, windows] = measure("ppl.gptq-8:" + file);
  CHECK(windows == 2);
  REQUIRE(gptq.size() == 1);
  CHECK(gptq[0].name == "ppl.gptq");
  CHECK(gptq[0].n == 2);
  const double first = ('b' + 'h' + 2) / 2.0, second = ('j' + 'p' + 2) / 2.0;  // means of the windows
  CHECK(gptq[0].value == Approx(std::exp((first + second) / 2)));
  // Two means of equally many tokens: the standard error of their mean is half their difference.
  CHECK(gptq[0].se.value() == Approx((second - first) / 2 * gptq[0].value));

  const auto [llama, halves] = measure("ppl.llamacpp-8:" + file);
  CHECK(halves == 2);
  CHECK(llama[0].name == "ppl.llamacpp");
  std::vector<double> ids;  // of f g h and n o p
  for (const char c : {'f', 'g', 'h', 'n', 'o', 'p'}) ids.push_back(c + 1);
  double mean = 0, squares = 0;
  for (const double id : ids) mean += id / 6;
  for (const double id : ids) squares += (id - mean) * (id - mean) / 6;
  CHECK(llama[0].value == Approx(std::exp(mean)));
  CHECK(llama[0].se.value() == Approx(std::sqrt(squares / 5) * std::exp(mean)));

  const auto [lmeval, texts] = measure("ppl.lmeval:" + file);
  CHECK(texts == 1);
  CHECK(lmeval[0].name == "ppl.lmeval");

  CHECK(LoadTaskSpec("ppl.gptq:" + file).window->length == 2048);
  CHECK(LoadTaskSpec("ppl.llamacpp:" + file).window->length == 512);
  CHECK(LoadTaskSpec("ppl.gptq:" + file).name == "ppl.gptq:some_text.txt");
  for (const std::string bad : {"ppl.gptq:", "ppl.other:x", "ppl.gptq-:x", "ppl.gptq-0:x", "ppl.gptq-1e3:x",
                                "ppl.lmeval-512:x", "ppl.gptq-99999999999:x"}) {
    INFO(bad);
    CHECK_THROWS_AS(LoadTaskSpec(bad), Error);
  }
}

TEST_CASE("pitfall 8: perplexities of different protocols cannot meet") {
  // Other names, so no table has them in one column; other protocol hashes, so nothing compares them; and a
  // task file cannot give one protocol's number the name of another.
  std::set<std::string> names, hashes;
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "t.txt", "abcdefghijklmnop");
  const std::string file = (folder / "t.txt").string();
  for (const char* form : {"ppl.gptq-8:", "ppl.gptq-4:", "ppl.llamacpp-8:", "ppl.lmeval:"}) {
    const Task task(LoadTaskSpec(form + file), {});
    names.insert(task.spec().main_metric);
    hashes.insert(Sha256Hex(task.ProtocolJson(ByteTokenizer(), 64).dump()));
  }
  CHECK(names == std::set<std::string>{"ppl.gptq", "ppl.llamacpp", "ppl.lmeval"});
  CHECK(hashes.size() == 4);  // the two lengths of gptq differ as well
  const std::string task = R"({"name": "x", "version": "1", "form": "rolling", "target": "{text}",
    "dataset": {"file": "t.txt", "split": "test"}, "window": {"protocol": "gptq", "length": 8}, "metrics": [")";
  WriteFileAtomically(folder / "good.json", task + "ppl.gptq\"]}");
  CHECK_NOTHROW(ReadTaskSpec(folder / "good.json"));
  for (const std::string wrong : {"ppl.llamacpp", "ppl.lmeval", "bits_per_byte"}) {
    WriteFileAtomically(folder / "bad.json", task + wrong + "\"]}");
    CHECK_THROWS_WITH(ReadTaskSpec(folder / "bad.json"), Catch::Contains("another perplexity protocol"));
  }
}

TEST_CASE("shared data: WikiText-2 has as many Llama-2 tokens as the original programs say") {
  const auto data = testing::SharedData("wikitext2/wiki.test.raw");
  const auto llama = testing::SharedData("tokenizers/llama2/tokenizer.model");
  if (!data || !llama) return;
  const auto tokenizer = LoadTokenizer({TokenizerSource::Kind::kSentencePiece, *llama});
  const std::filesystem::path folder = data->parent_path().parent_path();
  // GPTQ and its successors warn of "341469 > 4096" tokens for LLaMA's vocabulary, of which 166 windows of
  // 2048 remain; llama-perplexity says "655 chunks".
  const Task gptq(LoadTaskSpec("wikitext2_gptq"), {.data_dir = folder});
  CHECK(gptq.BuildItems(*tokenizer, 2048).size() == 166);
  const Task llamacpp(LoadTaskSpec("wikitext2_llamacpp"), {.data_dir = folder});
  CHECK(llamacpp.BuildItems(*tokenizer, 2048).size() == 655);
  const Task raw(LoadTaskSpec("wikitext2_gptq1024_raw"), {.data_dir = folder, .limit = 5});
  CHECK(raw.BuildItems(*tokenizer, 2048).size() == 5);
  CHECK(tokenizer->Encode(gptq.BuildPrompts().at(0).prompt).size() + 1 == 341469);
}
