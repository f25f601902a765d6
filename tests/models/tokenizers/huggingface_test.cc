// The files of a Hugging Face directory: which one counts, what the small ones change, what is refused.
#include <algorithm>

#include "base/files.h"
#include "models/tokenizer.h"
#include "tests/models/tokenizers/golden.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::Golden;
using testing::TemporaryFolder;

std::unique_ptr<Tokenizer> Load(const TemporaryFolder& folder) {
  return LoadTokenizer({TokenizerSource::Kind::kHuggingFaceDirectory, folder.path()});
}

void Write(const TemporaryFolder& folder, const std::string& name, const Json& content) {
  WriteFileAtomically(folder / name, content.dump());
}

TEST_CASE("BOS, EOS and the ends of a generation come from the files beside the tokenizer") {
  const TemporaryFolder folder;
  Json tokenizer = Golden("tiny_qwen2.json");
  Write(folder, "tokenizer.json", tokenizer);
  const auto id = [&](const std::string& spelling) {
    for (const Json& token : tokenizer["added_tokens"]) {
      if (token["content"] == spelling) return token["id"].get<TokenId>();
    }
    return TokenId{-1};
  };
  const auto sorted = [](TokenIds ids) {
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  CHECK(Load(folder)->eos() == id("</s>"));
  CHECK(Load(folder)->EndOfGeneration() == sorted({id("</s>"), id("<|im_end|>")}));
  const std::string plain_hash = Load(folder)->ContentHash();
  CHECK(Load(folder)->ContentHash() == plain_hash);

  Write(folder, "generation_config.json",
        {{"eos_token_id", {id("<|im_start|>"), id("</s>")}}, {"bos_token_id", 5}});
  CHECK(Load(folder)->bos() == 5);
  CHECK(Load(folder)->eos() == id("<|im_start|>"));
  CHECK(Load(folder)->EndOfGeneration() == sorted({id("<|im_start|>"), id("<|im_end|>"), id("</s>")}));
  CHECK(Load(folder)->ContentHash() != plain_hash);

  Write(folder, "tokenizer_config.json",
        {{"bos_token", "<s>"}, {"eos_token", {{"content", "<|im_end|>"}}}, {"add_bos_token", true}});
  CHECK(Load(folder)->bos() == id("<s>"));
  CHECK(Load(folder)->eos() == id("<|im_end|>"));
  CHECK(Load(folder)->adds_bos());

  Write(folder, "tokenizer_config.json",
        {{"bos_token", nullptr}, {"eos_token", "</s>"}, {"add_bos_token", false}});
  CHECK_FALSE(Load(folder)->adds_bos());
  Write(folder, "tokenizer_config.json", {{"bos_token", "<absent>"}});
  CHECK_THROWS_WITH(Load(folder), Catch::Contains("<absent>"));
  Write(folder, "tokenizer_config.json", Json::object());
  Write(folder, "generation_config.json", {{"eos_token_id", 100000}});
  CHECK_THROWS_AS(Load(folder), Error);
}

TEST_CASE("add_bos_token overrides the template") {
  const TemporaryFolder folder;
  Write(folder, "tokenizer.json", Golden("tiny_llama3.json"));
  CHECK(Load(folder)->adds_bos());
  Write(folder, "tokenizer_config.json", {{"add_bos_token", false}});
  CHECK_FALSE(Load(folder)->adds_bos());
}

TEST_CASE("Merges as pairs and as strings are the same tokenizer") {
  const TemporaryFolder folder;
  Json json = Golden("tiny_llama3.json");
  Write(folder, "tokenizer.json", json);
  const std::string hash = Load(folder)->ContentHash();
  REQUIRE(json["model"]["merges"][0].is_array());
  for (Json& merge : json["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  Write(folder, "tokenizer.json", json);
  CHECK(Load(folder)->ContentHash() == hash);
  json["model"]["merges"].erase(0);
  Write(folder, "tokenizer.json", json);
  CHECK(Load(folder)->ContentHash() != hash);
}

TEST_CASE("Metaspace puts its space first only where none is, and only where its scheme says") {
  const TemporaryFolder folder;
  Json json = Golden("tiny_spaces.json");
  json["normalizer"] = nullptr;
  const auto encode = [&](const char* scheme, const char* text) {
    json["pre_tokenizer"] = {
        {"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", scheme}, {"split", false}};
    Write(folder, "tokenizer.json", json);
    return Load(folder)->Encode(text, true);
  };
  CHECK(encode("always", "a") == encode("never", " a"));
  CHECK(encode("always", " a") == encode("never", " a"));
  CHECK(encode("always", "a<s>a") == encode("never", " a<s> a"));
  CHECK(encode("first", "a<s>a") == encode("never", " a<s>a"));
  CHECK(encode("first", "<s>a") == encode("never", "<s>a"));
}

TEST_CASE("A tokenizer.json that would be misread is refused") {
  const TemporaryFolder folder;
  const auto refused = [&](const char* pointer, const Json& value) {
    Json json = Golden("tiny_llama3.json");
    json[Json::json_pointer(pointer)] = value;
    Write(folder, "tokenizer.json", json);
    try {
      Load(folder);
    } catch (const Error& error) {
      return std::string(error.what()).find(folder.path().string()) != std::string::npos
                 ? error.kind()
                 : ErrorKind::kInternal;
    }
    return ErrorKind::kInternal;
  };
  CHECK(refused("/model/type", "Unigram") == ErrorKind::kUnsupported);
  CHECK(refused("/model/dropout", 0.1) == ErrorKind::kUnsupported);
  CHECK(refused("/model/continuing_subword_prefix", "##") == ErrorKind::kUnsupported);
  CHECK(refused("/normalizer", {{"type", "Lowercase"}}) == ErrorKind::kUnsupported);
  CHECK(refused("/pre_tokenizer", {{"type", "Whitespace"}}) == ErrorKind::kUnsupported);
  CHECK(refused("/pre_tokenizer", nullptr) == ErrorKind::kUnsupported);
  CHECK(refused("/pre_tokenizer/pretokenizers/0/behavior", "Removed") == ErrorKind::kUnsupported);
  CHECK(refused("/pre_tokenizer/pretokenizers/0/pattern/Regex", "(") == ErrorKind::kUnsupported);
  CHECK(refused("/pre_tokenizer/pretokenizers/1/add_prefix_space", true) == ErrorKind::kUnsupported);
  CHECK(refused("/added_tokens/0/single_word", true) == ErrorKind::kUnsupported);
  CHECK(refused("/model/vocab", {1, 2}) == ErrorKind::kData);
  CHECK(refused("/model/vocab/a", -1) == ErrorKind::kData);
  CHECK(refused("/model/vocab/a", 1LL << 40) == ErrorKind::kData);
  CHECK(refused("/model/vocab/a", "x") == ErrorKind::kData);
  CHECK(refused("/model/merges/0", {"a", "absent"}) == ErrorKind::kData);
  CHECK(refused("/model/merges/0", "no-space") == ErrorKind::kData);
  CHECK(refused("/model/merges/0", 7) == ErrorKind::kData);
  CHECK(refused("/post_processor", {{"type", "TemplateProcessing"},
                                    {"single", {{{"SpecialToken", {{"id", "<s>"}}}}}}}) == ErrorKind::kData);
}

TEST_CASE("A directory without a tokenizer, or with one that is no JSON, is an error") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(Load(folder), Catch::Contains("tokenizer.json"));
  WriteFileAtomically(folder / "vocab.json", R"({"a": 0, "b": 0})");
  WriteFileAtomically(folder / "merges.txt", "#version: 0.2\n");
  CHECK_THROWS_AS(Load(folder), Error);
  WriteFileAtomically(folder / "vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  WriteFileAtomically(folder / "merges.txt", "#version: 0.2\r\na b\r\n");
  CHECK(Load(folder)->Encode("abba") == TokenIds{2, 1, 0});
  WriteFileAtomically(folder / "tokenizer.json", "{");
  CHECK_THROWS_AS(Load(folder), Error);
}

}  // namespace
}  // namespace tnb
