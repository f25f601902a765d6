// Text to token ids and back, exactly as the model's own files say: SentencePiece models, and
// byte-level BPE from a Hugging Face tokenizer.json or from GGUF metadata.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/checkpoint.h"

namespace tnb {

using TokenId = int32_t;
using TokenIds = std::vector<TokenId>;

// Immutable and thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Tokens of `text` without BOS or EOS. With `parse_special`, the spelling of a special token
  // ("<|im_end|>") becomes that token; without it, it is ordinary text. Any bytes are accepted;
  // bytes that the vocabulary cannot spell are dropped and added to *dropped_bytes when given.
  virtual TokenIds Encode(std::string_view text, bool parse_special = false,
                          int64_t* dropped_bytes = nullptr) const = 0;
  // Bytes of the tokens; special tokens are left out unless `keep_special`. The result may be cut in
  // the middle of a UTF-8 character when the tokens are.
  virtual std::string Decode(const TokenIds& ids, bool keep_special = false) const = 0;
  // One token as shown to people and used for stop strings (its bytes, special tokens spelled out).
  virtual std::string Piece(TokenId id) const = 0;

  virtual int64_t vocabulary_size() const = 0;
  virtual TokenId bos() const = 0;  // -1: none
  virtual TokenId eos() const = 0;  // -1: none
  // All ids that end a generation: eos and, in chat models, the end of a turn.
  virtual std::vector<TokenId> EndOfGeneration() const = 0;
  virtual bool adds_bos() const = 0;  // by the model's own files
  // The token that stands for an empty context (BOS, else EOS), as lm-evaluation-harness chooses it.
  TokenId PrefixToken() const { return bos() >= 0 ? bos() : eos(); }
  // Changes when any id of any text may change; part of every protocol hash.
  virtual std::string ContentHash() const = 0;
};

// Error{kUnsupported} names a pre-tokenizer or model kind that is not known.
std::unique_ptr<Tokenizer> LoadTokenizer(const TokenizerSource& source);

}  // namespace tnb
