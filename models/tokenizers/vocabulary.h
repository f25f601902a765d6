// What every kind of tokenizer shares: the pieces of a vocabulary and what each is, the tokens that are cut
// out of the text before it is tokenized (special and added ones), and decoding. A kind of tokenizer derives
// from VocabularyTokenizer and turns the text between those tokens into ids.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizer.h"

namespace tnb {

enum class PieceKind : uint8_t {
  kNormal,
  kUnknown,      // stands for what the vocabulary cannot spell
  kControl,      // special: spelled in text only with parse_special, left out by Decode
  kUserDefined,  // added: always found in text, decoded as its text
  kByte,         // <0x41>
  kUnused,
};

// A token that is cut out of text, with Hugging Face's options.
struct AddedToken {
  TokenId id = -1;
  bool left_strip = false;   // white space before it belongs to it
  bool right_strip = false;  // white space after it belongs to it
};

struct Vocabulary {
  // The bytes of each id as they stand in text: no byte-level alphabet, no U+2581 for spaces; of kByte the
  // one byte, of special tokens the spelling.
  std::vector<std::string> pieces;
  std::vector<PieceKind> kinds;
  std::vector<AddedToken> added;  // each of kind kControl, kUnknown or kUserDefined
  TokenId bos = -1;
  TokenId eos = -1;
  TokenId unknown = -1;  // -1: what cannot be spelled is dropped
  std::vector<TokenId> end_of_generation;
  bool adds_bos = false;

  // Error{kData} naming `where` when sizes or ids do not fit; also adds to end_of_generation what eos and the
  // well-known names (<|im_end|>, <|eot_id|> ...) say, and sorts it.
  void Finish(const std::string& where);
  // The id of a kControl, kUnknown or kUserDefined token spelled so, -1 when there is none.
  TokenId FindSpecial(std::string_view spelling) const;
};

// 0..255 when `piece` is "<0x00>" .. "<0xFF>", else -1.
int ByteOfPiece(std::string_view piece);

class VocabularyTokenizer : public Tokenizer {
 public:
  TokenIds Encode(std::string_view text, bool parse_special, int64_t* dropped_bytes) const override;
  std::string Decode(const TokenIds& ids, bool keep_special) const override;
  std::string Piece(TokenId id) const override;
  int64_t vocabulary_size() const override { return static_cast<int64_t>(vocabulary_.pieces.size()); }
  TokenId bos() const override { return vocabulary_.bos; }
  TokenId eos() const override { return vocabulary_.eos; }
  std::vector<TokenId> EndOfGeneration() const override { return vocabulary_.end_of_generation; }
  bool adds_bos() const override { return vocabulary_.adds_bos; }
  std::string ContentHash() const override { return hash_; }

 protected:
  // `strips_first_space`: Decode takes away the space that Encode put before the text. `rules` says all else
  // that decides about ids (it goes into the hash).
  VocabularyTokenizer(Vocabulary vocabulary, bool strips_first_space, const std::string& rules);

  // Appends the tokens of `text`, which holds no token that is to be cut out. `at_start`: it starts the text.
  virtual void EncodeOrdinary(std::string_view text, bool at_start, TokenIds* ids,
                              int64_t* dropped_bytes) const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  const AddedToken* Match(std::string_view text, size_t position, bool parse_special) const;
  void Check(TokenId id) const;

  Vocabulary vocabulary_;
  bool strips_first_space_;
  std::string hash_;
  // Indices into vocabulary_.added by the first byte of the spelling, longest spelling first.
  std::array<std::vector<size_t>, 256> by_first_byte_;
};

}  // namespace tnb
