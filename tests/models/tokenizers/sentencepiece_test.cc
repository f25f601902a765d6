// llama2.c's files and SentencePiece's, against each other and against slow plain code.
#include <algorithm>
#include <cstring>
#include <sstream>

#include "base/files.h"
#include "models/tokenizer.h"
#include "models/tokenizers/spm_bpe.h"
#include "models/tokenizers/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Kind = TokenizerSource::Kind;

struct ScoredPiece {
  std::string text;
  float score;
};

void Append(const void* value, size_t size, std::string* bytes) {
  bytes->append(static_cast<const char*>(value), size);
}

std::string Llama2cFile(const std::vector<ScoredPiece>& pieces) {
  uint32_t longest = 0;
  for (const ScoredPiece& piece : pieces)
    longest = std::max(longest, static_cast<uint32_t>(piece.text.size()));
  std::string bytes;
  Append(&longest, 4, &bytes);
  for (const ScoredPiece& piece : pieces) {
    const auto size = static_cast<uint32_t>(piece.text.size());
    Append(&piece.score, 4, &bytes);
    Append(&size, 4, &bytes);
    bytes += piece.text;
  }
  return bytes;
}

std::vector<ScoredPiece> ReadLlama2cFile(const std::filesystem::path& path) {
  const std::string bytes = ReadFile(path);
  std::vector<ScoredPiece> pieces;
  for (size_t i = 4; i < bytes.size();) {
    float score;
    uint32_t size;
    std::memcpy(&score, &bytes[i], 4);
    std::memcpy(&size, &bytes[i + 4], 4);
    pieces.push_back({bytes.substr(i + 8, size), score});
    i += 8 + size;
  }
  return pieces;
}

// encode() of llama2.c's run.c: join the neighbors whose piece has the best score, until there are none.
TokenIds SlowEncode(const std::vector<ScoredPiece>& pieces, const std::string& text) {
  const auto find = [&](const std::string& spelling) {
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i].text == spelling) return static_cast<TokenId>(i);
    }
    return TokenId{-1};
  };
  TokenIds ids;
  ids.push_back(find(" "));
  for (const char c : text) ids.push_back(find(std::string(1, c)));
  for (;;) {
    float best_score = -1e10F;
    TokenId best = -1;
    size_t where = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const TokenId joined = find(pieces[ids[i]].text + pieces[ids[i + 1]].text);
      if (joined < 0 || pieces[joined].score <= best_score) continue;
      best_score = pieces[joined].score, best = joined, where = i;
    }
    if (best < 0) return ids;
    ids[where] = best;
    ids.erase(ids.begin() + static_cast<int64_t>(where) + 1);
  }
}

TEST_CASE("llama2.c's tok512.bin: ids of run.c's algorithm") {
  const auto path = testing::SharedData("models/stories260K/tok512.bin");
  if (!path) return;
  const auto tokenizer = LoadTokenizer({Kind::kLlama2c, *path});
  CHECK(tokenizer->vocabulary_size() == 512);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->EndOfGeneration() == TokenIds{2});
  const std::vector<ScoredPiece> pieces = ReadLlama2cFile(*path);
  for (const char* text : {"Once upon a time, there was a little girl named Lily.", "a", " two  spaces ",
                           "She said, \"I like it!\" and ran home to her mom and dad."}) {
    const TokenIds ids = tokenizer->Encode(text);
    CHECK(ids == SlowEncode(pieces, text));
    CHECK(tokenizer->Decode(ids) == text);
  }
  CHECK(tokenizer->Encode("").empty());
  // A character without a piece is spelled by its bytes: <0x00> is 3.
  const TokenIds bytes = tokenizer->Encode("a\xE4\xB8\x80");
  REQUIRE(bytes.size() > 3);
  CHECK(TokenIds(bytes.end() - 3, bytes.end()) == TokenIds{3 + 0xE4, 3 + 0xB8, 3 + 0x80});
}

TEST_CASE("A vocabulary with scores merges as SentencePiece does with the same model") {
  const auto folder = testing::SharedData("tokenizers/tinystories4096");
  const auto stories = testing::SharedData("calibration/tiny.utf8");
  if (!folder || !stories) return;
  const auto library = LoadTokenizer({Kind::kSentencePiece, *folder / "tokenizer_4096.model"});
  CHECK(library->vocabulary_size() == 4096);
  // The same pieces and scores as a llama2.c file.
  std::vector<ScoredPiece> pieces;
  std::istringstream lines(ReadFile(*folder / "tokenizer_4096.vocab"));
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.rfind('\t');
    pieces.push_back({WithPlainSpaces(line.substr(0, tab)), std::stof(line.substr(tab + 1))});
  }
  REQUIRE(pieces.size() == 4096);
  const testing::TemporaryFolder temporary;
  WriteFileAtomically(temporary / "tokenizer.bin", Llama2cFile(pieces));
  const auto own = LoadTokenizer({Kind::kLlama2c, temporary / "tokenizer.bin"});
  std::istringstream text(ReadFile(*stories));
  int compared = 0;
  for (std::string line; compared < 500 && std::getline(text, line);) {
    // The model also normalizes (NFKC, single spaces), which a file of scores cannot say.
    const bool plain = std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c < 127; });
    if (!plain || line.empty() || line.front() == ' ' || line.back() == ' ' ||
        line.find("  ") != std::string::npos) {
      continue;
    }
    CAPTURE(line);
    const TokenIds ids = library->Encode(line);
    CHECK(own->Encode(line) == ids);
    CHECK(library->Decode(ids) == line);
    ++compared;
  }
  CHECK(compared == 500);
}

TEST_CASE("A SentencePiece model of single characters: unknown characters are counted") {
  const auto path = testing::SharedData("models/babyllama105/tok105.model");
  if (!path) return;
  const auto tokenizer = LoadTokenizer({Kind::kSentencePiece, *path});
  CHECK(tokenizer->vocabulary_size() == 105);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  int64_t dropped = 0;
  const TokenIds ids = tokenizer->Encode("Once upon", false, &dropped);
  CHECK(ids.size() == 10);  // with the space before
  CHECK(dropped == 0);
  CHECK(tokenizer->Decode(ids) == "Once upon");
  const TokenIds unknown = tokenizer->Encode("a\xE4\xB8\x80\xE4\xB8\x80z", false, &dropped);
  CHECK(std::count(unknown.begin(), unknown.end(), 0) == 1);
  CHECK(dropped == 6);
  CHECK(tokenizer->Decode(unknown) == "az");
}

TEST_CASE("Pieces without bytes: unknown characters become one <unk> and are counted") {
  const testing::TemporaryFolder folder;
  WriteFileAtomically(
      folder / "t.bin",
      Llama2cFile({{"<unk>", 0}, {"\n<s>\n", 0}, {"\n</s>\n", 0}, {" ", -3}, {"a", -2}, {" a", -1}}));
  const auto tokenizer = LoadTokenizer({Kind::kLlama2c, folder / "t.bin"});
  int64_t dropped = 0;
  CHECK(tokenizer->Encode("axya", false, &dropped) == TokenIds{5, 0, 4});
  CHECK(dropped == 2);
  CHECK(tokenizer->Encode("<s>a</s>", true) == TokenIds{1, 5, 2});
}

TEST_CASE("Damaged tokenizer files are errors") {
  const testing::TemporaryFolder folder;
  const std::string good = Llama2cFile({{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {" a", -1}});
  const auto load = [&](const std::string& content, Kind kind) {
    WriteFileAtomically(folder / "t.bin", content);
    return LoadTokenizer({kind, folder / "t.bin"});
  };
  CHECK(load(good, Kind::kLlama2c)->vocabulary_size() == 4);
  for (size_t size = 0; size < good.size(); ++size) {
    const bool between_pieces = size == 4 + 13 + 11 + 12;  // a shorter vocabulary, but a whole one
    if (between_pieces) continue;
    CAPTURE(size);
    CHECK_THROWS_AS(load(good.substr(0, size), Kind::kLlama2c), Error);
  }
  std::string huge = good;
  huge[8] = huge[9] = huge[10] = huge[11] = '\xFF';  // the first piece's length
  CHECK_THROWS_AS(load(huge, Kind::kLlama2c), Error);
  std::string nan = good;
  nan[4] = nan[5] = nan[6] = nan[7] = '\xFF';  // its score
  CHECK_THROWS_AS(load(nan, Kind::kLlama2c), Error);
  CHECK_THROWS_AS(load(good, Kind::kSentencePiece), Error);
  CHECK_THROWS_AS(load("", Kind::kSentencePiece), Error);
  CHECK_THROWS_AS(LoadTokenizer({Kind::kLlama2c, folder / "absent"}), Error);
  CHECK_THROWS_AS(LoadTokenizer({}), Error);
}

TEST_CASE("Byte pieces are recognized exactly") {
  CHECK(ByteOfPiece("<0x00>") == 0);
  CHECK(ByteOfPiece("<0xFF>") == 255);
  for (const char* other : {"<0xff>", "<0x0>", "<0xGG>", "0x00", "", "<0x000>"})
    CHECK(ByteOfPiece(other) == -1);
}

}  // namespace
}  // namespace tnb
