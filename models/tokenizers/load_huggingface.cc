#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "models/tokenizers/byte_level.h"
#include "models/tokenizers/loaders.h"
#include "models/tokenizers/sentencepiece_tokenizer.h"
#include "models/tokenizers/spm_bpe.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

constexpr TokenId kLargestId = 1 << 24;  // far above every vocabulary; a larger one is damage

[[noreturn]] void Unsupported(const std::string& what, const std::string& found, const std::string& where) {
  throw Error(ErrorKind::kUnsupported, {what + " is not supported", "", found.substr(0, 160), where,
                                        "byte-level BPE, and BPE made from SentencePiece, are"});
}

Json ReadIfThere(const fs::path& path) { return fs::exists(path) ? ReadJsonFile(path) : Json::object(); }

// What the three small files beside the tokenizer say.
struct SideFiles {
  std::string where;
  std::string bos, eos;  // spellings, "" when not said
  TokenId bos_id = -1, eos_id = -1;
  std::vector<TokenId> end_of_generation;
  Json add_bos_token;  // true, false or null

  explicit SideFiles(const fs::path& directory) : where(directory.string()) {
    const Json tokenizer = ReadIfThere(directory / "tokenizer_config.json");
    bos = Spelling(tokenizer, "bos_token");
    eos = Spelling(tokenizer, "eos_token");
    if (tokenizer.contains("add_bos_token")) add_bos_token = tokenizer["add_bos_token"];
    // The generation settings win over the model's.
    for (const char* name : {"config.json", "generation_config.json"}) {
      const Json json = ReadIfThere(directory / name);
      const std::vector<TokenId> bos_ids = Ids(json, "bos_token_id");
      const std::vector<TokenId> eos_ids = Ids(json, "eos_token_id");
      if (!bos_ids.empty()) bos_id = bos_ids[0];
      if (!eos_ids.empty()) eos_id = eos_ids[0], end_of_generation = eos_ids;
    }
  }

  // bos_token is a string, an object with the field content, or null.
  std::string Spelling(const Json& json, const char* key) const {
    if (!json.contains(key) || json[key].is_null()) return "";
    return json[key].is_object() ? Require<std::string>(json[key], "content", where)
                                 : Require<std::string>(json, key, where);
  }

  // eos_token_id is a number, a list of numbers, or null.
  std::vector<TokenId> Ids(const Json& json, const char* key) const {
    if (!json.contains(key) || json[key].is_null()) return {};
    return json[key].is_array() ? Require<std::vector<TokenId>>(json, key, where)
                                : std::vector<TokenId>{Require<TokenId>(json, key, where)};
  }

  // `template_bos`: the token that the file itself puts before a text, -1 for none.
  void Apply(TokenId template_bos, Vocabulary* vocabulary) const {
    const auto choose = [&](const std::string& spelling, TokenId id, TokenId otherwise, const char* name) {
      if (!spelling.empty()) {
        const TokenId found = vocabulary->FindSpecial(spelling);
        if (found < 0) {
          throw Error(ErrorKind::kData, {fmt::format("tokenizer_config.json names an unknown {} token", name),
                                         "", spelling, where, ""});
        }
        return found;
      }
      return id >= 0 ? id : otherwise;
    };
    const auto first_of = [&](std::initializer_list<const char*> names) {
      for (const char* name : names) {
        if (const TokenId id = vocabulary->FindSpecial(name); id >= 0) return id;
      }
      return TokenId{-1};
    };
    vocabulary->bos = choose(bos, bos_id, template_bos >= 0 ? template_bos : first_of({"<s>"}), "BOS");
    vocabulary->eos = choose(eos, eos_id, first_of({"</s>", "<|endoftext|>"}), "EOS");
    vocabulary->adds_bos = template_bos >= 0 && template_bos == vocabulary->bos;
    if (add_bos_token.is_boolean()) vocabulary->adds_bos = add_bos_token.get<bool>() && vocabulary->bos >= 0;
    vocabulary->end_of_generation.insert(vocabulary->end_of_generation.end(), end_of_generation.begin(),
                                         end_of_generation.end());
    vocabulary->Finish(where);
  }
};

// One tokenizer.json being read.
class TokenizerJson {
 public:
  explicit TokenizerJson(const fs::path& path) : where_(path.string()), json_(ReadJsonFile(path)) {
    const Json& model = Part(json_, "model");
    const std::string type = Optional<std::string>(model, "type", "BPE", where_);
    if (type != "BPE") Unsupported("tokenizer model " + type, type, where_);
    for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!Optional<std::string>(model, field, "", where_).empty())
        Unsupported(field, model[field].dump(), where_);
    }
    if (Optional<double>(model, "dropout", 0.0, where_) != 0.0)
      Unsupported("dropout", model["dropout"].dump(), where_);
    byte_.ignore_merges = Optional<bool>(model, "ignore_merges", false, where_);
    ReadNormalizer(Part(json_, "normalizer"));
    ReadPreTokenizer(Part(json_, "pre_tokenizer"));
    if (byte_level_ == spaces_) {
      Unsupported("a tokenizer that is neither byte-level nor made from SentencePiece",
                  Part(json_, "pre_tokenizer").dump(), where_);
    }
    if (byte_.nfc && spaces_) Unsupported("NFC with SentencePiece's spaces", "", where_);
  }

  std::unique_ptr<Tokenizer> Make(const SideFiles& side) {
    const Json& model = Part(json_, "model");
    Vocabulary vocabulary = ReadVocabulary(model);
    const std::vector<MergeRule> rules = ReadMerges(model, vocabulary.pieces);
    const bool fallback = Optional<bool>(model, "byte_fallback", false, where_);
    for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
      std::string& piece = vocabulary.pieces[i];
      if (vocabulary.kinds[i] != PieceKind::kNormal) continue;
      const int byte = fallback && spaces_ ? ByteOfPiece(piece) : -1;
      if (byte >= 0) {
        piece.assign(1, static_cast<char>(byte));
        vocabulary.kinds[i] = PieceKind::kByte;
      } else {
        piece = spaces_ ? WithPlainSpaces(piece) : FromByteAlphabet(piece);
      }
    }
    if (const std::string unknown = Optional<std::string>(model, "unk_token", "", where_); !unknown.empty()) {
      vocabulary.unknown = vocabulary.FindSpecial(unknown);
    }
    side.Apply(TemplateBos(), &vocabulary);
    if (spaces_) return MakeSpmBpeTokenizer(std::move(vocabulary), rules, spm_);
    return MakeByteLevelTokenizer(std::move(vocabulary), rules, byte_, where_);
  }

 private:
  static const Json& Part(const Json& json, const char* key) {
    static const Json kNull;
    return json.is_object() && json.contains(key) ? json[key] : kNull;
  }
  std::string Type(const Json& part) const { return Require<std::string>(part, "type", where_); }

  void ReadNormalizer(const Json& part) {
    if (part.is_null()) return;
    const std::string type = Type(part);
    if (type == "Sequence") {
      for (const Json& step : Require<Json>(part, "normalizers", where_)) ReadNormalizer(step);
    } else if (type == "NFC") {
      byte_.nfc = true;
    } else if (type == "Prepend" && part.value("prepend", "") == "▁") {
      spm_.prefix = SpmBpeOptions::Prefix::kAlways;
    } else if (type == "Replace" && part.value("content", "") == "▁" &&
               Part(part, "pattern") == Json{{"String", " "}}) {
      // Spaces become marks: the sign of a vocabulary made from SentencePiece.
      spaces_ = true;
    } else {
      Unsupported("normalizer " + type, part.dump(), where_);
    }
  }

  void ReadPreTokenizer(const Json& part) {
    if (part.is_null()) return;
    const std::string type = Type(part);
    if (type == "Sequence") {
      for (const Json& step : Require<Json>(part, "pretokenizers", where_)) ReadPreTokenizer(step);
    } else if (type == "ByteLevel") {
      if (Optional<bool>(part, "add_prefix_space", true, where_))
        Unsupported("add_prefix_space", part.dump(), where_);
      if (Optional<bool>(part, "use_regex", true, where_)) byte_.regexes.push_back(kGpt2Regex);
      byte_level_ = true;
    } else if (type == "Digits") {
      const bool single = Optional<bool>(part, "individual_digits", false, where_);
      byte_.regexes.push_back(single ? kDigitRegex : "\\p{N}+");
    } else if (type == "Split" && Part(part, "pattern").contains("Regex")) {
      if (Require<std::string>(part, "behavior", where_) != "Isolated" ||
          Optional<bool>(part, "invert", false, where_)) {
        Unsupported("this Split", part.dump(), where_);
      }
      byte_.regexes.push_back(Require<std::string>(part["pattern"], "Regex", where_));
    } else if (type == "Metaspace") {
      ReadMetaspace(part);
    } else {
      Unsupported("pre-tokenizer " + type, part.dump(), where_);
    }
  }

  void ReadMetaspace(const Json& part) {
    if (Optional<bool>(part, "split", true, where_) || part.value("replacement", "") != "▁") {
      Unsupported("this Metaspace", part.dump(), where_);
    }
    const bool adds =
        Optional<bool>(part, "add_prefix_space", true, where_);  // the older spelling of "always"
    const std::string scheme =
        Optional<std::string>(part, "prepend_scheme", adds ? "always" : "never", where_);
    if (scheme != "always" && scheme != "first" && scheme != "never")
      Unsupported("this Metaspace", part.dump(), where_);
    spm_.prefix = scheme == "always"  ? SpmBpeOptions::Prefix::kAlways
                  : scheme == "first" ? SpmBpeOptions::Prefix::kStart
                                      : SpmBpeOptions::Prefix::kNever;
    spm_.prefix_unless_space = true;
    spaces_ = true;
  }

  // The pieces as the file spells them.
  Vocabulary ReadVocabulary(const Json& model) const {
    Vocabulary vocabulary;
    const auto put = [&](const Json& id_json, const std::string& piece, PieceKind kind) {
      const int64_t id = id_json.is_number_integer() ? id_json.get<int64_t>() : -1;
      if (id < 0 || id >= kLargestId) {
        throw Error(ErrorKind::kData, {"a token's id is not sensible", fmt::format("0..{}", kLargestId - 1),
                                       id_json.dump(), where_ + ", token " + piece, ""});
      }
      if (static_cast<size_t>(id) >= vocabulary.pieces.size()) {
        vocabulary.pieces.resize(id + 1);
        vocabulary.kinds.resize(id + 1, PieceKind::kUnused);
      }
      vocabulary.pieces[id] = piece;
      vocabulary.kinds[id] = kind;
      return static_cast<TokenId>(id);
    };
    const Json& vocab = Part(model, "vocab");
    if (!vocab.is_object()) throw Error(ErrorKind::kData, {"model.vocab is missing", "", "", where_, ""});
    for (const auto& [piece, id] : vocab.items()) put(id, piece, PieceKind::kNormal);
    const std::string unknown = Optional<std::string>(model, "unk_token", "", where_);
    for (const Json& token : Optional<Json>(json_, "added_tokens", Json::array(), where_)) {
      if (Optional<bool>(token, "single_word", false, where_))
        Unsupported("single_word", token.dump(), where_);
      const auto content = Require<std::string>(token, "content", where_);
      const PieceKind kind = content == unknown                                ? PieceKind::kUnknown
                             : Optional<bool>(token, "special", false, where_) ? PieceKind::kControl
                                                                               : PieceKind::kUserDefined;
      vocabulary.added.push_back({put(Require<Json>(token, "id", where_), content, kind),
                                  Optional<bool>(token, "lstrip", false, where_),
                                  Optional<bool>(token, "rstrip", false, where_)});
    }
    return vocabulary;
  }

  // "a b" or, since tokenizers 0.20, ["a", "b"].
  std::vector<MergeRule> ReadMerges(const Json& model, const std::vector<std::string>& pieces) const {
    MergeReader reader(pieces, where_);
    for (const Json& merge : Require<Json>(model, "merges", where_)) {
      if (merge.is_string()) {
        reader.Add(merge.get_ref<const std::string&>());
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        reader.Add(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
      } else {
        throw Error(ErrorKind::kData,
                    {"a merge is not two tokens", "", merge.dump().substr(0, 80), where_, ""});
      }
    }
    return reader.Take();
  }

  // The special token with which the post-processor starts a text.
  TokenId TemplateBos() const {
    const Json& processor = Part(json_, "post_processor");
    if (processor.is_null()) return -1;
    std::vector<Json> steps{processor};
    if (Type(processor) == "Sequence") steps = Require<std::vector<Json>>(processor, "processors", where_);
    for (const Json& step : steps) {
      if (Type(step) != "TemplateProcessing") continue;
      const Json single = Require<Json>(step, "single", where_);
      if (!single.is_array() || single.empty() || !single[0].contains("SpecialToken")) continue;
      const auto name = Require<std::string>(single[0]["SpecialToken"], "id", where_);
      const Json tokens = Require<Json>(step, "special_tokens", where_);
      const auto ids = Require<std::vector<TokenId>>(Require<Json>(tokens, name, where_), "ids", where_);
      if (ids.size() == 1) return ids[0];
    }
    return -1;
  }

  std::string where_;
  Json json_;
  ByteLevelOptions byte_;
  SpmBpeOptions spm_{SpmBpeOptions::Prefix::kNever, false};
  bool byte_level_ = false;
  bool spaces_ = false;
};

// GPT-2's release: a vocabulary with ids, and merges one a line after a line with the version.
std::unique_ptr<Tokenizer> LoadPair(const fs::path& vocabulary_file, const fs::path& merges_file,
                                    const SideFiles& side) {
  const Json vocab = ReadJsonFile(vocabulary_file);
  Vocabulary vocabulary;
  if (!vocab.is_object())
    throw Error(ErrorKind::kData, {"not a vocabulary", "", "", vocabulary_file.string(), ""});
  vocabulary.pieces.resize(vocab.size());
  std::vector<bool> seen(vocab.size());
  for (const auto& [piece, id] : vocab.items()) {
    const int64_t index = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (index < 0 || index >= static_cast<int64_t>(vocab.size()) || seen[index]) {
      throw Error(ErrorKind::kData,
                  {"token ids are not a permutation", fmt::format("each of 0..{} once", vocab.size() - 1),
                   id.dump(), vocabulary_file.string() + ", token " + piece, ""});
    }
    seen[index] = true;
    vocabulary.pieces[index] = piece;
  }
  MergeReader merges(vocabulary.pieces, merges_file.string());
  const std::string content = ReadFile(merges_file);
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string_view line = std::string_view(content).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !(begin == 0 && line.starts_with("#version"))) merges.Add(line);
    begin = end + 1;
  }
  const std::vector<MergeRule> rules = merges.Take();
  vocabulary.kinds.assign(vocabulary.pieces.size(), PieceKind::kNormal);
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    std::string& piece = vocabulary.pieces[i];
    if (piece == "<|endoftext|>") {
      vocabulary.kinds[i] = PieceKind::kControl;
      vocabulary.added.push_back({static_cast<TokenId>(i), false, false});
    } else {
      piece = FromByteAlphabet(piece);
    }
  }
  side.Apply(-1, &vocabulary);
  return MakeByteLevelTokenizer(std::move(vocabulary), rules, {{kGpt2Regex}, false, false},
                                vocabulary_file.string());
}

std::unique_ptr<Tokenizer> LoadModel(const fs::path& directory, const SideFiles& side) {
  if (const Json added = ReadIfThere(directory / "added_tokens.json"); !added.empty()) {
    Unsupported("tokenizer.model with added_tokens.json", added.dump(), directory.string());
  }
  SentencePieceOverrides overrides;
  overrides.bos = side.bos_id;
  overrides.eos = side.eos_id;
  overrides.end_of_generation = side.end_of_generation;
  if (side.add_bos_token.is_boolean()) overrides.adds_bos = side.add_bos_token.get<bool>();
  return LoadSentencePiece(directory / "tokenizer.model", overrides);
}

}  // namespace

std::unique_ptr<Tokenizer> LoadHuggingFaceTokenizer(const fs::path& directory) {
  const SideFiles side(directory);
  if (fs::exists(directory / "tokenizer.json")) return TokenizerJson(directory / "tokenizer.json").Make(side);
  if (fs::exists(directory / "tokenizer.model")) return LoadModel(directory, side);
  for (const auto& [vocabulary, merges] :
       {std::pair("vocab.json", "merges.txt"), std::pair("encoder.json", "vocab.bpe")}) {
    if (fs::exists(directory / vocabulary) && fs::exists(directory / merges)) {
      return LoadPair(directory / vocabulary, directory / merges, side);
    }
  }
  throw Error(ErrorKind::kIo, {"the directory holds no tokenizer",
                               "tokenizer.json, tokenizer.model, or vocab.json and merges.txt", "",
                               directory.string(), "copy the tokenizer's files beside the weights"});
}

}  // namespace tnb
