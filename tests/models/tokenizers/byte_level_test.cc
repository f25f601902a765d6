// Any bytes survive byte-level BPE; merging is what the definition says; damaged UTF-8 is told from valid.
#include "models/tokenizers/byte_level.h"

#include <algorithm>
#include <map>
#include <random>

#include "models/tokenizer.h"
#include "models/tokenizers/merges.h"
#include "models/tokenizers/utf8.h"
#include "tests/models/tokenizers/golden.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

std::string RandomBytes(std::mt19937* random, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>((*random)() & 0xFF);
  return bytes;
}

std::string RandomUtf8(std::mt19937* random, size_t size) {
  constexpr int32_t kLimits[] = {0x80, 0x300, 0x3000, 0x10FFFF};  // short characters as often as long ones
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    const auto code = static_cast<int32_t>((*random)() % kLimits[(*random)() % 4]);
    AppendUtf8(code >= 0xD800 && code <= 0xDFFF ? ' ' : code, &text);
  }
  return text;
}

std::unique_ptr<Tokenizer> LoadTiny(const std::string& golden) {
  const testing::TemporaryFolder folder;
  std::filesystem::copy_file(testing::GoldenPath(golden), folder / "tokenizer.json");
  return LoadTokenizer({TokenizerSource::Kind::kHuggingFaceDirectory, folder.path()});
}

TEST_CASE("Random bytes and random UTF-8 survive byte-level BPE") {
  const auto tokenizer = LoadTiny("tiny_llama3.json");
  std::mt19937 random(20240607);
  for (int round = 0; round < 2000; ++round) {
    const size_t size = random() % 60;
    const std::string text = round % 2 == 0 ? RandomBytes(&random, size) : RandomUtf8(&random, size);
    int64_t dropped = 0;
    const TokenIds ids = tokenizer->Encode(text, false, &dropped);
    REQUIRE(tokenizer->Decode(ids) == text);
    REQUIRE(dropped == 0);
    REQUIRE(std::all_of(ids.begin(), ids.end(),
                        [&](TokenId id) { return id >= 0 && id < tokenizer->vocabulary_size(); }));
  }
}

TEST_CASE("Random bytes survive BPE made from SentencePiece, by byte tokens") {
  const auto tokenizer = LoadTiny("tiny_spaces.json");
  std::mt19937 random(77);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = RandomBytes(&random, random() % 60);
    REQUIRE(tokenizer->Decode(tokenizer->Encode(text)) == text);
  }
}

TEST_CASE("Words a megabyte long are merged, not refused") {
  const auto tokenizer = LoadTiny("tiny_llama3.json");
  for (const char* unit : {"a", " ", "\n", "!", "\xFF", "\xE4\xB8\x80"}) {
    std::string text;
    while (text.size() < 1000000) text += unit;
    CHECK(tokenizer->Decode(tokenizer->Encode(text + "x")) == text + "x");
  }
}

TEST_CASE("UTF-8 is decoded strictly") {
  const auto decode = [](std::string_view text) {
    const Utf8Char character = DecodeUtf8(text, 0);
    return std::pair(character.code, character.length);
  };
  using Result = std::pair<int32_t, size_t>;
  CHECK(decode("A") == Result{0x41, 1});
  CHECK(decode("\xC3\xA9") == Result{0xE9, 2});
  CHECK(decode("\xE2\x82\xAC") == Result{0x20AC, 3});
  CHECK(decode("\xF4\x8F\xBF\xBF") == Result{0x10FFFF, 4});
  // Continuation alone, overlong, surrogate, above the end, cut off, wrong continuation, never valid.
  for (const std::string_view bad : {"\x80", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                     "\xE2\x82", "\xE2\x28\xA1", "\xFF"}) {
    CHECK(decode(bad) == Result{-1, 1});
  }
}

TEST_CASE("Bytes that are not UTF-8 are words of their own") {
  const PreTokenizer pretokenizer({kGpt2Regex}, "test");
  const std::string text = "ab\xFF\xFE c\xE2\x82 d";
  const std::vector<std::string_view> words = pretokenizer.Split(text);
  CHECK(words == std::vector<std::string_view>{"ab", "\xFF", "\xFE", " c", "\xE2", "\x82", " d"});
}

TEST_CASE("A pre-tokenizer that does not compile is an error that names it") {
  CHECK_THROWS_WITH(PreTokenizer({"(unclosed"}, "file.json"), Catch::Contains("file.json"));
}

// The definition, in O(n^2).
TokenIds SlowMerge(const std::map<std::pair<TokenId, TokenId>, MergeRule>& rules, TokenIds symbols) {
  for (;;) {
    const MergeRule* best = nullptr;
    size_t where = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto rule = rules.find({symbols[i], symbols[i + 1]});
      if (rule == rules.end() || (best != nullptr && rule->second.rank >= best->rank)) continue;
      best = &rule->second, where = i;
    }
    if (best == nullptr) return symbols;
    symbols[where] = best->result;
    symbols.erase(symbols.begin() + static_cast<int64_t>(where) + 1);
  }
}

TEST_CASE("Merging agrees with its definition, equal ranks included") {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    std::vector<MergeRule> rules;
    std::map<std::pair<TokenId, TokenId>, MergeRule> by_pair;
    for (TokenId id = 4; id < 30; ++id) {
      const MergeRule rule{static_cast<TokenId>(random() % id), static_cast<TokenId>(random() % id), id,
                           static_cast<int32_t>(random() % 12)};
      if (by_pair.emplace(std::pair(rule.left, rule.right), rule).second) rules.push_back(rule);
    }
    const MergeTable table(rules);
    Merger merger(table);
    for (int word = 0; word < 10; ++word) {
      TokenIds symbols(random() % 40);
      for (TokenId& symbol : symbols)
        symbol = static_cast<TokenId>(random() % 5) - (random() % 9 == 0 ? 5 : 0);
      const TokenIds expected = SlowMerge(by_pair, symbols);
      merger.Merge(&symbols);
      REQUIRE(symbols == expected);
    }
  }
}

}  // namespace
}  // namespace tnb
