#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/formats/gguf.h"
#include "models/tokenizers/byte_level.h"
#include "models/tokenizers/loaders.h"
#include "models/tokenizers/spm_bpe.h"

namespace tnb {
namespace {

constexpr char kPrefix[] = "tokenizer.ggml.";

std::string Key(const std::string& name) { return kPrefix + name; }

// token_type as written by llama.cpp's converter (gguf-py TokenType).
PieceKind KindOfType(int64_t type, const std::string& where) {
  switch (type) {
    case 1:
      return PieceKind::kNormal;
    case 2:
      return PieceKind::kUnknown;
    case 3:
      return PieceKind::kControl;
    case 4:
      return PieceKind::kUserDefined;
    case 5:
      return PieceKind::kUnused;
    case 6:
      return PieceKind::kByte;
    default:
      throw Error(ErrorKind::kData, {"unknown token type", "1 to 6", std::to_string(type), where, ""});
  }
}

// The pre-tokenizers of llama.cpp's src/llama-vocab.cpp that the supported models name.
ByteLevelOptions OptionsOf(const GgufFile& file, const std::string& where) {
  if (!file.Has(Key("pre"))) {
    throw Error(ErrorKind::kUnsupported,
                {"the file does not say how text is cut into words", "", "no " + Key("pre"), where,
                 "convert the model again, or use its tokenizer.json"});
  }
  const std::string pre = file.GetString(Key("pre"));
  if (pre == "gpt-2") return {{kGpt2Regex}, false, false};
  if (pre == "default") {
    return {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Regex, R"(\p{N}+)", "[0-9][0-9][0-9]"}, false, false};
  }
  if (pre == "smollm") return {{kDigitRegex, kGpt2Regex}, false, false};
  if (pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3") return {{kLlama3Regex}, true, false};
  if (pre == "qwen2") return {{kQwen2Regex}, false, true};
  throw Error(ErrorKind::kUnsupported, {"unknown pre-tokenizer", "default, gpt-2, smollm, llama-bpe or qwen2",
                                        pre, where + ", " + Key("pre"), "use the model's tokenizer.json"});
}

// Vocabulary with pieces as the file spells them.
Vocabulary ReadVocabulary(const GgufFile& file, const std::string& where) {
  Vocabulary vocabulary;
  vocabulary.pieces = file.GetStrings(Key("tokens"));
  vocabulary.kinds.assign(vocabulary.pieces.size(), PieceKind::kNormal);
  if (file.Has(Key("token_type"))) {
    const std::vector<int64_t> types = file.GetInts(Key("token_type"));
    if (types.size() != vocabulary.pieces.size()) {
      throw Error(ErrorKind::kData,
                  {"token_type and tokens differ in length", std::to_string(vocabulary.pieces.size()),
                   std::to_string(types.size()), where, ""});
    }
    for (size_t i = 0; i < types.size(); ++i) vocabulary.kinds[i] = KindOfType(types[i], where);
  }
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const PieceKind kind = vocabulary.kinds[i];
    if (kind == PieceKind::kControl || kind == PieceKind::kUnknown || kind == PieceKind::kUserDefined) {
      vocabulary.added.push_back({static_cast<TokenId>(i), false, false});
    }
  }
  return vocabulary;
}

void ReadSpecialIds(const GgufFile& file, Vocabulary* vocabulary, TokenId bos, TokenId eos, TokenId unknown,
                    bool adds_bos, const std::string& where) {
  const auto id = [&](const char* name, TokenId fallback) {
    const int64_t value = file.GetInt(Key(name), fallback);
    // Some converters write 2^32 - 1 for "none".
    return value < 0 || value == 0xFFFFFFFF ? TokenId{-1}
                                            : static_cast<TokenId>(std::min<int64_t>(value, INT32_MAX));
  };
  vocabulary->bos = id("bos_token_id", bos);
  vocabulary->eos = id("eos_token_id", eos);
  vocabulary->unknown = id("unknown_token_id", unknown);
  vocabulary->adds_bos = file.GetBool(Key("add_bos_token"), adds_bos) && vocabulary->bos >= 0;
  for (const char* name : {"eot_token_id", "eom_token_id"}) {
    if (file.Has(Key(name))) vocabulary->end_of_generation.push_back(id(name, -1));
  }
  vocabulary->Finish(where);
}

std::unique_ptr<Tokenizer> LoadSpm(const GgufFile& file, const std::string& where) {
  if (file.GetBool(Key("remove_extra_whitespaces"), false) || file.Has(Key("precompiled_charsmap"))) {
    throw Error(ErrorKind::kUnsupported,
                {"the tokenizer normalizes its text", "", "", where, "use the model's tokenizer.model"});
  }
  Vocabulary vocabulary = ReadVocabulary(file, where);
  std::vector<float> scores;
  for (const double score : file.GetFloats(Key("scores"))) {
    if (std::isnan(score))
      throw Error(ErrorKind::kData, {"a token's score is not a number", "", "", where, ""});
    scores.push_back(static_cast<float>(score));
  }
  if (scores.size() != vocabulary.pieces.size()) {
    throw Error(ErrorKind::kData,
                {"scores and tokens differ in length", std::to_string(vocabulary.pieces.size()),
                 std::to_string(scores.size()), where, ""});
  }
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    std::string& piece = vocabulary.pieces[i];
    if (vocabulary.kinds[i] == PieceKind::kByte) {
      const int byte = ByteOfPiece(piece);
      if (byte < 0)
        throw Error(ErrorKind::kData, {"a byte token is not spelled <0xNN>", "", piece, where, ""});
      piece.assign(1, static_cast<char>(byte));
    } else {
      piece = WithPlainSpaces(piece);
    }
  }
  ReadSpecialIds(file, &vocabulary, 1, 2, 0, true, where);
  SpmBpeOptions options;
  if (!file.GetBool(Key("add_space_prefix"), true)) options.prefix = SpmBpeOptions::Prefix::kNever;
  return MakeSpmBpeTokenizer(std::move(vocabulary), scores, options);
}

std::unique_ptr<Tokenizer> LoadByteLevel(const GgufFile& file, const std::string& where) {
  const ByteLevelOptions options = OptionsOf(file, where);
  Vocabulary vocabulary = ReadVocabulary(file, where);
  MergeReader merges(vocabulary.pieces, where);
  for (const std::string& merge : file.GetStrings(Key("merges"))) merges.Add(merge);
  const std::vector<MergeRule> rules = merges.Take();
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    if (vocabulary.kinds[i] == PieceKind::kNormal)
      vocabulary.pieces[i] = FromByteAlphabet(vocabulary.pieces[i]);
  }
  // llama.cpp adds BOS by default only for LLaMA-3's kind of byte-level BPE.
  ReadSpecialIds(file, &vocabulary, -1, -1, -1, options.ignore_merges, where);
  // Bytes without a symbol are dropped in this kind of model, whatever token is called unknown.
  vocabulary.unknown = -1;
  return MakeByteLevelTokenizer(std::move(vocabulary), rules, options, where);
}

}  // namespace

std::unique_ptr<Tokenizer> LoadGgufTokenizer(const std::filesystem::path& path) {
  const GgufFile file(path);
  const std::string where = path.string();
  const std::string model = file.GetString(Key("model"));
  if (model == "llama") return LoadSpm(file, where);
  if (model == "gpt2") return LoadByteLevel(file, where);
  throw Error(ErrorKind::kUnsupported, {"unknown kind of tokenizer", "llama or gpt2", model,
                                        where + ", " + Key("model"), "use the model's tokenizer.json"});
}

}  // namespace tnb
