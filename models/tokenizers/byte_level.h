// Byte-level BPE as GPT-2 introduced it (its release's encoder.py): text is cut into words by a
// pre-tokenizer, the bytes of a word are the symbols that merge. GPT-2, SmolLM2, LLaMA-3 and Qwen2 differ in
// the pre-tokenizer only. Any bytes come back unchanged when the vocabulary has all 256 byte symbols;
// SmolLM2's lacks 21, which are dropped and counted (as in Hugging Face's tokenizers, the bytes around them
// may then merge).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/tokenizers/merges.h"
#include "models/tokenizers/pretokenizer.h"
#include "models/tokenizers/vocabulary.h"

namespace tnb {

struct ByteLevelOptions {
  std::vector<std::string> regexes;  // of the pre-tokenizer
  bool ignore_merges = false;        // a word that is a token as a whole needs no merges (LLaMA-3)
  bool nfc = false;                  // text is brought into normalization form C first (Qwen2)
};

// A piece spelled in the alphabet in which vocabulary files write bytes (0x20 is "Ġ") as bytes. A piece with
// a character outside of the alphabet is returned as it is.
std::string FromByteAlphabet(const std::string& piece);

// Rules from merges given as the spelling of both sides, in order of rank. The pieces are those of the file,
// before FromByteAlphabet. Error{kData} when a merge names a token that is not there.
class MergeReader {
 public:
  MergeReader(const std::vector<std::string>& spellings, std::string where);
  // "left right" with one space between.
  void Add(std::string_view line);
  void Add(std::string_view left, std::string_view right);
  std::vector<MergeRule> Take() { return std::move(rules_); }

 private:
  TokenId Find(std::string_view spelling) const;
  std::unordered_map<std::string_view, TokenId> ids_;
  std::vector<MergeRule> rules_;
  std::string where_;
};

std::unique_ptr<Tokenizer> MakeByteLevelTokenizer(Vocabulary vocabulary, const std::vector<MergeRule>& rules,
                                                  const ByteLevelOptions& options, const std::string& where);

}  // namespace tnb
