// Tokenizers in GGUF metadata: the tiny golden vocabularies written as GGUF, defaults of absent keys,
// refusals.
#include <algorithm>
#include <functional>

#include "base/files.h"
#include "models/tokenizer.h"
#include "tests/models/formats/builders.h"
#include "tests/models/tokenizers/golden.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::ErrorOf;
using testing::GgufBuilder;
using testing::Golden;

std::unique_ptr<Tokenizer> Load(const GgufBuilder& builder) {
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "model.gguf", builder.Build());
  return LoadTokenizer({TokenizerSource::Kind::kGguf, folder / "model.gguf"});
}

struct Parts {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  std::vector<std::string> merges;
  std::vector<float> scores;  // by merge: the sooner the better
};

Parts PartsOf(const Json& json) {
  Parts parts;
  const auto put = [&](size_t id, const std::string& token, int32_t type) {
    parts.tokens.resize(std::max(parts.tokens.size(), id + 1));
    parts.types.resize(parts.tokens.size(), 5);
    parts.tokens[id] = token;
    parts.types[id] = type;
  };
  const bool bytes = json["model"]["byte_fallback"].get<bool>();
  for (const auto& [token, id] : json["model"]["vocab"].items()) {
    put(id, token, bytes && token.starts_with("<0x") && token.size() == 6 ? 6 : 1);
  }
  for (const Json& token : json["added_tokens"]) {
    const bool special = token["special"].get<bool>();
    put(token["id"], token["content"], !special ? 4 : token["content"] == "<unk>" ? 2 : 3);
  }
  parts.scores.resize(parts.tokens.size(), -1e6F);
  for (const Json& merge : json["model"]["merges"]) {
    const auto left = merge[0].get<std::string>();
    const auto right = merge[1].get<std::string>();
    float& score = parts.scores[json["model"]["vocab"][left + right].get<size_t>()];
    score = std::max(score, -static_cast<float>(parts.merges.size()));
    parts.merges.push_back(left + " " + right);
  }
  return parts;
}

GgufBuilder ByteLevel(const Parts& parts, const std::string& pre) {
  GgufBuilder builder;
  builder.Text("tokenizer.ggml.model", "gpt2").Text("tokenizer.ggml.pre", pre);
  builder.Texts("tokenizer.ggml.tokens", parts.tokens).Texts("tokenizer.ggml.merges", parts.merges);
  builder.Numbers("tokenizer.ggml.token_type", parts.types);
  return builder;
}

// Stripping around added tokens is not in GGUF: texts with <mask> are left out.
void CheckIds(const Tokenizer& tokenizer, const std::string& golden) {
  int compared = 0;
  for (const Json& one : Golden(golden)) {
    const auto text = one["text"].get<std::string>();
    if (text.find("<mask>") != std::string::npos) continue;
    CAPTURE(text);
    CHECK(tokenizer.Encode(text, false) == one["plain"].get<TokenIds>());
    CHECK(tokenizer.Encode(text, true) == one["special"].get<TokenIds>());
    ++compared;
  }
  CHECK(compared > 40);
}

TEST_CASE("GGUF, gpt2 with llama-bpe and qwen2: ids as from the tokenizer.json") {
  const Parts llama3 = PartsOf(Golden("tiny_llama3.json"));
  CheckIds(*Load(ByteLevel(llama3, "llama-bpe")), "ids_llama3.json");
  CheckIds(*Load(ByteLevel(PartsOf(Golden("tiny_qwen2.json")), "qwen2")), "ids_qwen2.json");
  CHECK(Load(ByteLevel(llama3, "gpt-2"))->ContentHash() != Load(ByteLevel(llama3, "smollm"))->ContentHash());
  // llama.cpp's "default" cuts numbers into threes from the left, smollm into digits.
  const Parts digits{{"1", "2", "3", "4", "34"}, {1, 1, 1, 1, 1}, {"3 4"}, {}};
  CHECK(Load(ByteLevel(digits, "gpt-2"))->Encode("1234") == TokenIds{0, 1, 4});
  CHECK(Load(ByteLevel(digits, "default"))->Encode("1234") == TokenIds{0, 1, 2, 3});
  CHECK(Load(ByteLevel(digits, "default"))->Encode("34") == TokenIds{4});
  CHECK(Load(ByteLevel(digits, "smollm"))->Encode("34") == TokenIds{2, 3});
}

TEST_CASE("GGUF, llama: ids as from the tokenizer.json, whose merges have become scores") {
  const Parts parts = PartsOf(Golden("tiny_spaces.json"));
  GgufBuilder builder;
  builder.Text("tokenizer.ggml.model", "llama").Texts("tokenizer.ggml.tokens", parts.tokens);
  builder.Numbers("tokenizer.ggml.scores", parts.scores).Numbers("tokenizer.ggml.token_type", parts.types);
  const auto tokenizer = Load(builder);
  CheckIds(*tokenizer, "ids_spaces.json");
  // llama.cpp's defaults for this kind.
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->adds_bos());
  const TokenIds with_space = tokenizer->Encode("a");
  builder.Bool("tokenizer.ggml.add_space_prefix", false).Bool("tokenizer.ggml.add_bos_token", false);
  const auto without = Load(builder);
  CHECK(without->Encode(" a") == with_space);
  CHECK(without->Encode("a") != with_space);
  CHECK(without->Decode(without->Encode(" a")) == " a");
  CHECK_FALSE(without->adds_bos());
  builder.Bool("tokenizer.ggml.remove_extra_whitespaces", true);
  CHECK_THROWS_AS(Load(builder), Error);
}

TEST_CASE("GGUF: BOS by default for llama-bpe only, and only when there is one") {
  const Parts parts = PartsOf(Golden("tiny_llama3.json"));
  const auto with_bos = [&](const char* pre) {
    return ByteLevel(parts, pre).Number("tokenizer.ggml.bos_token_id", uint32_t{400});
  };
  CHECK(Load(with_bos("llama-bpe"))->adds_bos());
  CHECK_FALSE(Load(with_bos("qwen2"))->adds_bos());
  CHECK(Load(with_bos("qwen2").Bool("tokenizer.ggml.add_bos_token", true))->adds_bos());
  CHECK_FALSE(Load(ByteLevel(parts, "llama-bpe"))->adds_bos());
  CHECK(Load(ByteLevel(parts, "llama-bpe"))->PrefixToken() == -1);
  const auto ends =
      Load(with_bos("qwen2").Number("tokenizer.ggml.eos_token_id", uint32_t{400}))->EndOfGeneration();
  CHECK(ends == TokenIds{400, 401, 403});  // eos, </s> and <|im_end|>
}

TEST_CASE("GGUF metadata that does not fit together is an error") {
  const Parts good = PartsOf(Golden("tiny_llama3.json"));
  const auto error = [&](ErrorKind kind, const std::function<void(Parts*)>& change,
                         const char* pre = "gpt-2") {
    Parts parts = good;
    change(&parts);
    return ErrorOf(kind, [&] { Load(ByteLevel(parts, pre)); });
  };
  using Catch::Contains;
  const auto nothing = [](Parts*) {};
  CHECK(error(ErrorKind::kData, nothing) == "no error");
  CHECK_THAT(error(ErrorKind::kUnsupported, nothing, "tekken"), Contains("tekken"));
  CHECK_THAT(error(ErrorKind::kData, [](Parts* parts) { parts->types.pop_back(); }), Contains("token_type"));
  CHECK_THAT(error(ErrorKind::kData, [](Parts* parts) { parts->types[3] = 7; }), Contains("token type"));
  CHECK_THAT(error(ErrorKind::kData, [](Parts* parts) { parts->merges[0] = "ab"; }), Contains("merge"));
  CHECK_THAT(error(ErrorKind::kData, [](Parts* parts) { parts->merges[0] = "a absent"; }),
             Contains("absent"));
  GgufBuilder far = ByteLevel(good, "gpt-2");
  far.Number("tokenizer.ggml.eos_token_id", uint32_t{1 << 20});
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { Load(far); }), Contains("EOS"));
  GgufBuilder silent;
  silent.Text("tokenizer.ggml.model", "gpt2").Texts("tokenizer.ggml.tokens", good.tokens);
  CHECK_THAT(ErrorOf(ErrorKind::kUnsupported, [&] { Load(silent); }), Contains("tokenizer.ggml.pre"));
  GgufBuilder bert;
  bert.Text("tokenizer.ggml.model", "bert");
  CHECK_THAT(ErrorOf(ErrorKind::kUnsupported, [&] { Load(bert); }), Contains("bert"));
  GgufBuilder scores;
  scores.Text("tokenizer.ggml.model", "llama").Texts("tokenizer.ggml.tokens", good.tokens);
  scores.Numbers("tokenizer.ggml.scores", std::vector<float>{0, 1});
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { Load(scores); }), Contains("scores"));
}

}  // namespace
}  // namespace tnb
