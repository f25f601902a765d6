// Tokenizers made here are read back by the loader: merges of a known example, and every text comes back.
#include "models/tokenizers/bpe_training.h"

#include "base/error.h"
#include "base/files.h"
#include "models/tokenizer.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

std::unique_ptr<Tokenizer> Load(const testing::TemporaryFolder& folder, const Json& json) {
  WriteFileAtomically(folder / "tokenizer.json", json.dump());
  return LoadTokenizer({TokenizerSource::Kind::kHuggingFaceDirectory, folder.path()});
}

}  // namespace

TEST_CASE("merges are those of the paper's example") {
  // Sennrich et al., section 3.2: low x5, lower x2, newest x6, widest x3.
  std::string text;
  for (const auto& [word, count] :
       {std::pair<const char*, int>{"low", 5}, {"lower", 2}, {"newest", 6}, {"widest", 3}}) {
    for (int i = 0; i < count; ++i) text += std::string(word) + "\n";
  }
  const Json json = TrainByteLevelTokenizer({text}, {.vocabulary = 17});
  // Eleven bytes (the line break included), and six merges: es 9, est 9, lo 7, low 7; of the pairs that occur
  // six times the one of the lowest bytes.
  CHECK(json.at("model").at("merges") == Json({"e s", "es t", "l o", "lo w", "e w", "n ew"}));
  CHECK(json.at("model").at("vocab").size() == 17);
  const testing::TemporaryFolder folder;
  const auto tokenizer = Load(folder, json);
  CHECK(tokenizer->vocabulary_size() == 17);
  const TokenIds ids = tokenizer->Encode("lowest\nnewer");
  std::vector<std::string> pieces;
  for (const TokenId id : ids) pieces.push_back(tokenizer->Piece(id));
  CHECK(pieces == std::vector<std::string>{"low", "est", "\n", "new", "e", "r"});
}

TEST_CASE("special tokens come first, digits stand alone and any text of the alphabet comes back") {
  const testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 50; ++i) text += std::string("Größe ") + std::to_string(i * 37) + " = \"naïve\"\t\n";
  const auto tokenizer =
      Load(folder, TrainByteLevelTokenizer({text, text}, {.vocabulary = 80, .special = {"<|endoftext|>"}}));
  CHECK(tokenizer->eos() == 0);
  CHECK(tokenizer->vocabulary_size() <= 80);
  CHECK(tokenizer->Decode(tokenizer->Encode(text)) == text);
  CHECK(tokenizer->Encode("1111").size() == 4);
  CHECK(tokenizer->Encode("Größe").size() < 4);
  const TokenIds special = tokenizer->Encode("<|endoftext|>", true);
  CHECK(special == TokenIds{0});
}

TEST_CASE("without a size of the vocabulary there are only bytes") {
  const testing::TemporaryFolder folder;
  const auto tokenizer = Load(folder, TrainByteLevelTokenizer({"abba cab"}, {}));
  CHECK(tokenizer->vocabulary_size() == 4);
  CHECK(tokenizer->Encode("abc").size() == 3);
  CHECK_THROWS_AS(TrainByteLevelTokenizer({}, {}), Error);
  CHECK_THROWS_AS(TrainByteLevelTokenizer({"abc"}, {.vocabulary = 2}), Error);
}

}  // namespace tnb
