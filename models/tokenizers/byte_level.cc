#include "models/tokenizers/byte_level.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "models/tokenizers/nfc.h"
#include "models/tokenizers/utf8.h"

namespace tnb {
namespace {

// bytes_to_unicode of GPT-2's encoder.py: printable Latin-1 stands for itself, the other bytes follow from
// U+0100.
constexpr int kAlphabetEnd = 0x144;

std::array<int, kAlphabetEnd> ByteOfCodePoint() {
  std::array<int, kAlphabetEnd> bytes;
  bytes.fill(-1);
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    bytes[printable ? byte : next++] = byte;
  }
  return bytes;
}

class ByteLevelTokenizer : public VocabularyTokenizer {
 public:
  ByteLevelTokenizer(Vocabulary vocabulary, const ByteLevelOptions& options, const std::string& where,
                     MergeTable table)
      : VocabularyTokenizer(std::move(vocabulary), false,
                            fmt::format("byte-level {} nfc {} ignore_merges {} merges {}",
                                        fmt::join(options.regexes, " then "), options.nfc,
                                        options.ignore_merges, table.hash())),
        pretokenizer_(options.regexes, where),
        table_(std::move(table)),
        nfc_(options.nfc) {
    byte_ids_.fill(-1);
    const Vocabulary& words = this->vocabulary();
    for (size_t i = 0; i < words.pieces.size(); ++i) {
      if (words.kinds[i] != PieceKind::kNormal) continue;
      const std::string& piece = words.pieces[i];
      if (piece.size() == 1 && byte_ids_[static_cast<uint8_t>(piece[0])] < 0) {
        byte_ids_[static_cast<uint8_t>(piece[0])] = static_cast<TokenId>(i);
      }
      if (options.ignore_merges) whole_words_.emplace(piece, static_cast<TokenId>(i));
    }
  }

 protected:
  void EncodeOrdinary(std::string_view text, bool /*at_start*/, TokenIds* ids,
                      int64_t* dropped_bytes) const override {
    std::string normalized;
    if (nfc_) {
      normalized = ToNfc(text);
      text = normalized;
    }
    // Most words of a text come again: where their ids stand in `known`.
    struct Range {
      size_t begin, end;
      int64_t dropped;
    };
    std::unordered_map<std::string_view, Range> cache;
    TokenIds known;
    Merger merger(table_);
    TokenIds symbols;
    for (const std::string_view word : pretokenizer_.Split(text)) {
      auto [entry, is_new] = cache.try_emplace(word, Range{known.size(), 0, 0});
      Range& range = entry->second;
      if (is_new) {
        range.dropped = EncodeWord(word, &merger, &symbols);
        known.insert(known.end(), symbols.begin(), symbols.end());
        range.end = known.size();
      }
      ids->insert(ids->end(), known.begin() + range.begin, known.begin() + range.end);
      *dropped_bytes += range.dropped;
    }
  }

 private:
  // Returns how many bytes the vocabulary cannot spell.
  int64_t EncodeWord(std::string_view word, Merger* merger, TokenIds* symbols) const {
    symbols->clear();
    if (const auto whole = whole_words_.find(std::string(word)); whole != whole_words_.end()) {
      symbols->push_back(whole->second);
      return 0;
    }
    int64_t dropped = 0;
    for (const char c : word) {
      const TokenId id = byte_ids_[static_cast<uint8_t>(c)];
      if (id >= 0) {
        symbols->push_back(id);
      } else {
        ++dropped;
      }
    }
    merger->Merge(symbols);
    return dropped;
  }

  PreTokenizer pretokenizer_;
  MergeTable table_;
  bool nfc_;
  std::array<TokenId, 256> byte_ids_;
  std::unordered_map<std::string, TokenId> whole_words_;  // only with ignore_merges
};

}  // namespace

std::string FromByteAlphabet(const std::string& piece) {
  static const std::array<int, kAlphabetEnd> kBytes = ByteOfCodePoint();
  std::string bytes;
  for (size_t i = 0; i < piece.size();) {
    const Utf8Char character = DecodeUtf8(piece, i);
    if (character.code < 0 || character.code >= kAlphabetEnd || kBytes[character.code] < 0) return piece;
    bytes += static_cast<char>(kBytes[character.code]);
    i += character.length;
  }
  return bytes;
}

MergeReader::MergeReader(const std::vector<std::string>& spellings, std::string where)
    : where_(std::move(where)) {
  ids_.reserve(spellings.size());
  for (size_t i = 0; i < spellings.size(); ++i) ids_.emplace(spellings[i], static_cast<TokenId>(i));
}

TokenId MergeReader::Find(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  if (found == ids_.end()) {
    throw Error(
        ErrorKind::kData,
        {"a merge names a token that is not in the vocabulary", "", "'" + std::string(spelling) + "'",
         fmt::format("{}, merge {}", where_, rules_.size()), "the file is damaged or of another version"});
  }
  return found->second;
}

void MergeReader::Add(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || line.find(' ', space + 1) != std::string_view::npos ||
      space + 1 == line.size()) {
    throw Error(ErrorKind::kData, {"a merge is not two tokens with a space between", "",
                                   "'" + std::string(line.substr(0, 80)) + "'",
                                   fmt::format("{}, merge {}", where_, rules_.size()), ""});
  }
  Add(line.substr(0, space), line.substr(space + 1));
}

void MergeReader::Add(std::string_view left, std::string_view right) {
  const std::string both = std::string(left) + std::string(right);
  rules_.push_back({Find(left), Find(right), Find(both), static_cast<int32_t>(rules_.size())});
}

std::unique_ptr<Tokenizer> MakeByteLevelTokenizer(Vocabulary vocabulary, const std::vector<MergeRule>& rules,
                                                  const ByteLevelOptions& options, const std::string& where) {
  return std::make_unique<ByteLevelTokenizer>(std::move(vocabulary), options, where, MergeTable(rules));
}

}  // namespace tnb
