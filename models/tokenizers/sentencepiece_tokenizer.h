// A SentencePiece .model (BPE or unigram), run by the SentencePiece library itself, with the special tokens
// and the decoding of VocabularyTokenizer. Each stretch of text between special tokens gets the model's dummy
// space, as in llama.cpp and in Hugging Face's "legacy" tokenizers. The library replaces a byte that is not
// valid UTF-8 by U+FFFD; such bytes are counted as dropped.
#pragma once

#include <filesystem>
#include <memory>

#include "models/tokenizers/vocabulary.h"

namespace tnb {

// What files beside the model may say; -1 and false leave the model's own values.
struct SentencePieceOverrides {
  TokenId bos = -1;
  TokenId eos = -1;
  std::vector<TokenId> end_of_generation;
  bool adds_bos = true;  // the convention of LLaMA-2 and its kin, whose models do not say
};

// Error{kData} when the library refuses the file.
std::unique_ptr<Tokenizer> LoadSentencePiece(const std::filesystem::path& path,
                                             const SentencePieceOverrides& overrides = {});

}  // namespace tnb
