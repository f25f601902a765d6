// llama.cpp's own golden files (models/ggml-vocab-*.gguf.{inp,out}) and Hugging Face's ids for tiny
// vocabularies.
#include "tests/models/tokenizers/golden.h"

#include <sstream>

#include "base/files.h"
#include "models/tokenizer.h"
#include "models/tokenizers/pretokenizer.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::Golden;
using testing::GoldenPath;
using testing::SharedData;
using Kind = TokenizerSource::Kind;

struct Case {
  std::string text;
  TokenIds ids;
};

// Texts separated by a line with "__ggml_vocab_test__"; ids one text a line.
std::vector<Case> ReadCases(const std::filesystem::path& base) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = ReadFile(base.string() + ".inp");
  std::istringstream lines(ReadFile(base.string() + ".out"));
  std::vector<Case> cases;
  size_t begin = 0;
  for (std::string line; std::getline(lines, line);) {
    const size_t end = texts.find(separator, begin);
    Case one{texts.substr(begin, end == std::string::npos ? end : end - begin), {}};
    std::istringstream ids(line);
    for (TokenId id; ids >> id;) one.ids.push_back(id);
    cases.push_back(one);
    if (end == std::string::npos) break;
    begin = end + separator.size();
  }
  return cases;
}

void CheckCases(const Tokenizer& tokenizer, const std::vector<Case>& cases) {
  REQUIRE(cases.size() == 46);
  for (const Case& one : cases) {
    CAPTURE(one.text);
    int64_t dropped = 0;
    const TokenIds ids = tokenizer.Encode(one.text, false, &dropped);
    CHECK(ids == one.ids);
    CHECK(dropped == 0);
    CHECK(tokenizer.Decode(ids) == one.text);
  }
}

TEST_CASE("GPT-2's encoder.json and vocab.bpe give llama.cpp's golden ids") {
  const auto data = SharedData("tokenizers");
  if (!data) return;
  const auto tokenizer = LoadTokenizer({Kind::kHuggingFaceDirectory, *data / "gpt2"});
  CheckCases(*tokenizer, ReadCases(*data / "golden/ggml-vocab-gpt-2.gguf"));
  CHECK(tokenizer->vocabulary_size() == 50257);
  CHECK(tokenizer->eos() == 50256);
  CHECK(tokenizer->PrefixToken() == 50256);
  CHECK_FALSE(tokenizer->adds_bos());
  CHECK(tokenizer->Encode("a<|endoftext|>", true) == TokenIds{64, 50256});
  CHECK(tokenizer->Encode("a<|endoftext|>").size() > 2);
}

TEST_CASE("LLaMA-2's vocabulary gives llama.cpp's golden ids from every kind of file") {
  const auto data = SharedData("tokenizers");
  if (!data) return;
  const std::vector<Case> cases = ReadCases(*data / "golden/ggml-vocab-llama-spm.gguf");
  for (const TokenizerSource& source :
       {TokenizerSource{Kind::kGguf, *data / "golden/ggml-vocab-llama-spm.gguf"},
        TokenizerSource{Kind::kSentencePiece, *data / "llama2/tokenizer.model"},
        TokenizerSource{Kind::kLlama2c, *data / "llama2/tokenizer.bin"}}) {
    CAPTURE(source.path);
    const auto tokenizer = LoadTokenizer(source);
    CheckCases(*tokenizer, cases);
    CHECK(tokenizer->vocabulary_size() == 32000);
    CHECK(tokenizer->bos() == 1);
    CHECK(tokenizer->EndOfGeneration() == TokenIds{2});
    CHECK(tokenizer->adds_bos());
    CHECK(tokenizer->Piece(1) == "<s>");
    CHECK(tokenizer->Piece(13) == "\n");
    CHECK(tokenizer->Piece(15043) == " Hello");
    CHECK(tokenizer->Encode("<s>Hello</s>", true) == TokenIds{1, 15043, 2});
    CHECK(tokenizer->Encode("<s>Hello</s>").size() > 3);
    CHECK(tokenizer->Decode({1, 15043, 2}, true) == "<s> Hello</s>");
    CHECK(tokenizer->Decode({1, 15043, 2}) == "Hello");
  }
}

void CheckIds(const Tokenizer& tokenizer, const std::string& golden) {
  const Json cases = Golden(golden);
  REQUIRE(cases.size() > 40);
  for (const Json& one : cases) {
    const auto text = one["text"].get<std::string>();
    CAPTURE(text);
    CHECK(tokenizer.Encode(text, false) == one["plain"].get<TokenIds>());
    CHECK(tokenizer.Encode(text, true) == one["special"].get<TokenIds>());
  }
}

// A directory in which `golden` is the tokenizer.json.
void Install(const std::string& golden, const testing::TemporaryFolder& folder) {
  std::filesystem::copy_file(GoldenPath(golden), folder / "tokenizer.json");
}

TEST_CASE("tokenizer.json of LLaMA-3's kind: pre-tokenizer, whole words, BOS by template") {
  const testing::TemporaryFolder folder;
  Install("tiny_llama3.json", folder);
  const auto tokenizer = LoadTokenizer({Kind::kHuggingFaceDirectory, folder.path()});
  CheckIds(*tokenizer, "ids_llama3.json");
  CHECK(tokenizer->adds_bos());
  CHECK(tokenizer->Piece(tokenizer->bos()) == "<s>");
}

TEST_CASE("tokenizer.json of Qwen2's kind: pre-tokenizer, normalization form C, added tokens that strip") {
  const testing::TemporaryFolder folder;
  Install("tiny_qwen2.json", folder);
  const auto tokenizer = LoadTokenizer({Kind::kHuggingFaceDirectory, folder.path()});
  CheckIds(*tokenizer, "ids_qwen2.json");
  CHECK_FALSE(tokenizer->adds_bos());
}

TEST_CASE("tokenizer.json made from SentencePiece: marks for spaces, bytes for unknown characters") {
  const testing::TemporaryFolder folder;
  Install("tiny_spaces.json", folder);
  const auto tokenizer = LoadTokenizer({Kind::kHuggingFaceDirectory, folder.path()});
  CheckIds(*tokenizer, "ids_spaces.json");
  CHECK(tokenizer->adds_bos());
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  for (const Json& one : Golden("ids_spaces.json")) {
    const auto text = one["text"].get<std::string>();
    if (text.find("\u2581") == std::string::npos) CHECK(tokenizer->Decode(tokenizer->Encode(text)) == text);
  }
}

TEST_CASE("A real tokenizer.json of 32,000 tokens agrees with Hugging Face") {
  const auto data = SharedData("tokenizers/llama2/tokenizer.json");
  const auto text = SharedData("wikitext2/wiki.test.raw");
  if (!data || !text) return;
  const auto tokenizer = LoadTokenizer({Kind::kHuggingFaceDirectory, data->parent_path()});
  const std::string wiki = ReadFile(*text);
  const TokenIds ids = tokenizer->Encode(wiki);
  // tokenizers 0.22 on the same file and text.
  CHECK(ids.size() == 328879);
  CHECK(TokenIds(ids.begin(), ids.begin() + 10) ==
        TokenIds{259, 13, 327, 5606, 365, 3619, 360, 327, 28705, 13});
  CHECK(tokenizer->Decode(ids) == wiki);
}

TEST_CASE("Pre-tokenizers cut as Hugging Face's") {
  const Json golden = Golden("words.json");
  const std::pair<const char*, std::vector<std::string>> kinds[] = {{"gpt2", {kGpt2Regex}},
                                                                    {"smollm", {kDigitRegex, kGpt2Regex}},
                                                                    {"llama3", {kLlama3Regex}},
                                                                    {"qwen2", {kQwen2Regex}}};
  for (const auto& [name, regexes] : kinds) {
    const PreTokenizer pretokenizer(regexes, "test");
    for (size_t i = 0; i < golden["texts"].size(); ++i) {
      const auto text = golden["texts"][i].get<std::string>();
      CAPTURE(name, text);
      const std::vector<std::string_view> words = pretokenizer.Split(text);
      CHECK(std::vector<std::string>(words.begin(), words.end()) ==
            golden["words"][name][i].get<std::vector<std::string>>());
    }
  }
}

}  // namespace
}  // namespace tnb
