#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "models/tokenizers/loaders.h"
#include "models/tokenizers/spm_bpe.h"

namespace tnb {
namespace {

// Reads little-endian values; every read is checked against the end of the file.
class Reader {
 public:
  Reader(const std::string& content, const std::string& where) : content_(content), where_(where) {}

  bool AtEnd() const { return position_ == content_.size(); }
  template <typename T>
  T Read() {
    T value;
    std::memcpy(&value, Bytes(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view Bytes(size_t size) {
    if (size > content_.size() - position_) {
      throw Error(ErrorKind::kData, {"the tokenizer file is truncated", fmt::format("{} more bytes", size),
                                     fmt::format("{}", content_.size() - position_),
                                     fmt::format("{}, byte {}", where_, position_), ""});
    }
    const std::string_view bytes = std::string_view(content_).substr(position_, size);
    position_ += size;
    return bytes;
  }

 private:
  const std::string& content_;
  const std::string& where_;
  size_t position_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> LoadLlama2cTokenizer(const std::filesystem::path& file) {
  const std::string where = file.string();
  const std::string content = ReadFile(file);
  Reader reader(content, where);
  const auto longest = reader.Read<uint32_t>();
  Vocabulary vocabulary;
  std::vector<float> scores;
  while (!reader.AtEnd()) {
    const auto id = static_cast<TokenId>(vocabulary.pieces.size());
    const auto score = reader.Read<float>();
    const auto length = reader.Read<uint32_t>();
    // Format's own check: no piece is longer than the header says. Markers such as "\n<s>\n" count too.
    if (!std::isfinite(score) || length > longest) {
      throw Error(ErrorKind::kData,
                  {"a piece of the tokenizer file is damaged",
                   fmt::format("a finite score and at most {} bytes", longest),
                   fmt::format("score {}, {} bytes", score, length), fmt::format("{}, piece {}", where, id),
                   "is it a llama2.c tokenizer .bin?"});
    }
    std::string piece(reader.Bytes(length));
    PieceKind kind = PieceKind::kNormal;
    const int byte = ByteOfPiece(piece);
    // run.c knows these ids: 0 <unk>, 1 BOS, 2 EOS; bytes follow where the model has them.
    if (id <= 2) {
      kind = id == 0 ? PieceKind::kUnknown : PieceKind::kControl;
      while (piece.starts_with('\n')) piece.erase(0, 1);
      while (piece.ends_with('\n')) piece.pop_back();
      vocabulary.added.push_back({id, false, false});
    } else if (byte >= 0) {
      kind = PieceKind::kByte;
      piece.assign(1, static_cast<char>(byte));
    }
    vocabulary.pieces.push_back(std::move(piece));
    vocabulary.kinds.push_back(kind);
    scores.push_back(score);
  }
  vocabulary.unknown = 0, vocabulary.bos = 1, vocabulary.eos = 2, vocabulary.adds_bos = true;
  vocabulary.Finish(where);
  return MakeSpmBpeTokenizer(std::move(vocabulary), scores, {});
}

}  // namespace tnb
