// SmolLM2's tokenizer from GGUF metadata against Hugging Face's tokenizers on the same vocabulary and merges.
#include <ctime>
#include <set>

#include "base/files.h"
#include "models/tokenizer.h"
#include "tests/models/tokenizers/golden.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

std::unique_ptr<Tokenizer> Load() {
  const auto path = testing::SmolLM2();
  return path ? LoadTokenizer({TokenizerSource::Kind::kGguf, *path}) : nullptr;
}

TEST_CASE("SmolLM2: ids of difficult texts", "[smollm2]") {
  const auto tokenizer = Load();
  if (tokenizer == nullptr) return;
  for (const Json& one : testing::Golden("ids_smollm2.json")) {
    const auto text = one["text"].get<std::string>();
    CAPTURE(text);
    CHECK(tokenizer->Encode(text, false) == one["plain"].get<TokenIds>());
    CHECK(tokenizer->Encode(text, true) == one["special"].get<TokenIds>());
  }
}

TEST_CASE("SmolLM2: special tokens", "[smollm2]") {
  const auto tokenizer = Load();
  if (tokenizer == nullptr) return;
  CHECK(tokenizer->vocabulary_size() == 49152);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->PrefixToken() == 1);
  CHECK_FALSE(tokenizer->adds_bos());
  CHECK(tokenizer->EndOfGeneration() == TokenIds{2});
  CHECK(tokenizer->Piece(1) == "<|im_start|>");
  const TokenIds chat = tokenizer->Encode("<|im_start|>user\nHi<|im_end|>", true);
  CHECK(chat.front() == 1);
  CHECK(chat.back() == 2);
  CHECK(tokenizer->Decode(chat) == "user\nHi");
  CHECK(tokenizer->Decode(chat, true) == "<|im_start|>user\nHi<|im_end|>");
  CHECK(tokenizer->Decode(tokenizer->Encode("<|im_start|>")) == "<|im_start|>");
  CHECK_THROWS_AS(tokenizer->Piece(49152), Error);
  CHECK_THROWS_AS(tokenizer->Decode({-1}), Error);
}

TEST_CASE("SmolLM2: the 21 bytes without a token are dropped and counted", "[smollm2]") {
  const auto tokenizer = Load();
  if (tokenizer == nullptr) return;
  int missing = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text{'a', static_cast<char>(byte), 'b'};
    int64_t dropped = 0;
    const std::string back = tokenizer->Decode(tokenizer->Encode(text, false, &dropped));
    CHECK(dropped <= 1);
    CHECK(back == (dropped == 1 ? "ab" : text));
    missing += static_cast<int>(dropped);
  }
  CHECK(missing == 21);
}

TEST_CASE("SmolLM2: the test text of WikiText-2", "[smollm2]") {
  const auto tokenizer = Load();
  const auto path = testing::SharedData("wikitext2/wiki.test.raw");
  if (tokenizer == nullptr || !path) return;
  const std::string text = ReadFile(*path);
  const std::clock_t begin = std::clock();
  const TokenIds ids = tokenizer->Encode(text);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  CHECK(ids.size() == 303415);
  CHECK(TokenIds(ids.begin(), ids.begin() + 6) == TokenIds{3717, 446, 6356, 389, 9226, 352});
  CHECK(tokenizer->Decode(ids) == text);
  // 0.1 s of processor time where this was written; a quadratic step anywhere takes minutes.
  CHECK(seconds < 5);
}

}  // namespace
}  // namespace tnb
