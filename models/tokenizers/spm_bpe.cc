#include "models/tokenizers/spm_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "models/tokenizers/utf8.h"

namespace tnb {
namespace {

using Symbols = std::unordered_map<std::string, TokenId>;

bool Merges(PieceKind kind) { return kind == PieceKind::kNormal || kind == PieceKind::kUnused; }

// Ids of the ordinary pieces, and ids from vocabulary size on for characters that occur in pieces only
// together with others: they can be merged but are no tokens.
Symbols CollectSymbols(const Vocabulary& vocabulary) {
  Symbols symbols;
  symbols.reserve(vocabulary.pieces.size() * 2);
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    if (Merges(vocabulary.kinds[i])) symbols.emplace(vocabulary.pieces[i], static_cast<TokenId>(i));
  }
  auto next = static_cast<TokenId>(vocabulary.pieces.size());
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    if (!Merges(vocabulary.kinds[i])) continue;
    const std::string& piece = vocabulary.pieces[i];
    for (size_t at = 0; at < piece.size();) {
      const size_t length = DecodeUtf8(piece, at).length;
      if (symbols.emplace(piece.substr(at, length), next).second) ++next;
      at += length;
    }
  }
  return symbols;
}

// Scores as ranks, equal scores as equal ranks.
std::vector<MergeRule> RulesFromScores(const Vocabulary& vocabulary, const std::vector<float>& scores) {
  const Symbols symbols = CollectSymbols(vocabulary);
  std::vector<TokenId> order(vocabulary.pieces.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return scores[a] > scores[b]; });
  std::vector<MergeRule> rules;
  int32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const TokenId id = order[i];
    if (i > 0 && scores[id] != scores[order[i - 1]]) ++rank;
    const std::string& piece = vocabulary.pieces[id];
    const auto self = symbols.find(piece);
    if (self == symbols.end() || self->second != id) continue;
    for (size_t cut = 0; (cut += DecodeUtf8(piece, cut).length) < piece.size();) {
      const auto left = symbols.find(piece.substr(0, cut));
      const auto right = symbols.find(piece.substr(cut));
      if (left != symbols.end() && right != symbols.end()) {
        rules.push_back({left->second, right->second, id, rank});
      }
    }
  }
  return rules;
}

class SpmBpeTokenizer : public VocabularyTokenizer {
 public:
  SpmBpeTokenizer(Vocabulary vocabulary, MergeTable table, const SpmBpeOptions& options)
      : VocabularyTokenizer(
            std::move(vocabulary), options.prefix != SpmBpeOptions::Prefix::kNever,
            fmt::format("spm prefix {} unless space {} merges {}", static_cast<int>(options.prefix),
                        options.prefix_unless_space, table.hash())),
        options_(options),
        table_(std::move(table)) {
    const Vocabulary& words = this->vocabulary();
    for (const auto& [spelling, id] : CollectSymbols(words)) {
      if (DecodeUtf8(spelling, 0).length == spelling.size()) characters_.emplace(spelling, id);
    }
    // Then no merge reaches over the border between two words, and words can be merged one by one: the same
    // result, several times faster for long texts.
    words_are_apart_ = std::none_of(words.pieces.begin(), words.pieces.end(), [](const std::string& piece) {
      return piece.find(' ', std::min(piece.find_first_not_of(' '), piece.size())) != std::string::npos;
    });
    bytes_.fill(-1);
    for (size_t i = 0; i < words.pieces.size(); ++i) {
      if (words.kinds[i] == PieceKind::kByte) {
        bytes_[static_cast<uint8_t>(words.pieces[i].at(0))] = static_cast<TokenId>(i);
      }
    }
  }

 protected:
  void EncodeOrdinary(std::string_view text, bool at_start, TokenIds* ids,
                      int64_t* dropped_bytes) const override {
    const bool prefix = options_.prefix == SpmBpeOptions::Prefix::kAlways ||
                        (options_.prefix == SpmBpeOptions::Prefix::kStart && at_start);
    std::string spaced = WithPlainSpaces(text);
    if (prefix && !(options_.prefix_unless_space && spaced.starts_with(' ')))
      spaced.insert(spaced.begin(), ' ');

    Merger merger(table_);
    TokenIds symbols;
    bool after_unknown = false;  // SentencePiece writes neighboring unknown characters as one token
    for (size_t begin = 0; begin < spaced.size();) {
      const size_t end = EndOfWord(spaced, begin);
      EncodeWord(std::string_view(spaced).substr(begin, end - begin), &merger, &symbols, &after_unknown, ids,
                 dropped_bytes);
      begin = end;
    }
  }

 private:
  // Where a word ends: before a space after something else when no piece holds that, else with the text.
  size_t EndOfWord(const std::string& text, size_t begin) const {
    if (!words_are_apart_) return text.size();
    const size_t start = text.find_first_not_of(' ', begin);
    return std::min(start == std::string::npos ? start : text.find(' ', start), text.size());
  }

  void EncodeWord(std::string_view word, Merger* merger, TokenIds* symbols, bool* after_unknown,
                  TokenIds* ids, int64_t* dropped_bytes) const {
    std::vector<std::string_view> unknown;  // the characters of the symbols below 0, in order
    symbols->clear();
    for (size_t i = 0; i < word.size();) {
      const std::string_view character = word.substr(i, DecodeUtf8(word, i).length);
      i += character.size();
      const auto known = characters_.find(std::string(character));
      symbols->push_back(known == characters_.end() ? -1 : known->second);
      if (known == characters_.end()) unknown.push_back(character);
    }
    merger->Merge(symbols);
    size_t next_unknown = 0;
    for (const TokenId id : *symbols) {
      if (id >= 0 && id < vocabulary_size()) {
        ids->push_back(id);
        *after_unknown = false;
        continue;
      }
      const std::string_view character = id < 0 ? unknown[next_unknown++] : Spelling(id);
      const auto has_byte = [&](char c) { return bytes_[static_cast<uint8_t>(c)] >= 0; };
      if (std::all_of(character.begin(), character.end(), has_byte)) {
        for (const char c : character) ids->push_back(bytes_[static_cast<uint8_t>(c)]);
        *after_unknown = false;
        continue;
      }
      *dropped_bytes += static_cast<int64_t>(character.size());
      if (vocabulary().unknown >= 0 && !*after_unknown) ids->push_back(vocabulary().unknown);
      *after_unknown = true;
    }
  }

  // Of a symbol that is no token; rare, so it is searched.
  std::string_view Spelling(TokenId id) const {
    for (const auto& [spelling, symbol] : characters_) {
      if (symbol == id) return spelling;
    }
    return "";
  }

  SpmBpeOptions options_;
  MergeTable table_;
  Symbols characters_;
  bool words_are_apart_ = false;
  std::array<TokenId, 256> bytes_;
};

}  // namespace

std::string WithPlainSpaces(std::string_view text) {
  constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const bool mark = text.compare(i, kMark.size(), kMark) == 0;
    plain += mark ? ' ' : text[i];
    i += mark ? kMark.size() : 1;
  }
  return plain;
}

std::unique_ptr<Tokenizer> MakeSpmBpeTokenizer(Vocabulary vocabulary, const std::vector<float>& scores,
                                               const SpmBpeOptions& options) {
  const std::vector<MergeRule> rules = RulesFromScores(vocabulary, scores);
  return MakeSpmBpeTokenizer(std::move(vocabulary), rules, options);
}

std::unique_ptr<Tokenizer> MakeSpmBpeTokenizer(Vocabulary vocabulary, const std::vector<MergeRule>& rules,
                                               const SpmBpeOptions& options) {
  return std::make_unique<SpmBpeTokenizer>(std::move(vocabulary), MergeTable(rules), options);
}

}  // namespace tnb
