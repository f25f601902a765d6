// Makes the tokenizer of a model of one's own: byte-level BPE (Sennrich et al., arXiv 1508.07909; GPT-2) with
// every digit alone, as a tokenizer.json that this program and Hugging Face's tokenizers read.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace tnb {

struct BpeTrainingOptions {
  int64_t vocabulary = 0;  // tokens, the special ones included; 0: the bytes that occur, no merges
  std::vector<std::string> special{};  // spellings; the first ids are theirs
};

// Symbols are the bytes that occur in the texts. The most frequent pair of neighbors within a word becomes
// one symbol (of equals the one of the lowest ids) until the vocabulary is full or no pair occurs twice.
// Error{kUsage} when the bytes alone are more than the vocabulary, Error{kData} without any text.
Json TrainByteLevelTokenizer(const std::vector<std::string>& texts, const BpeTrainingOptions& options);

}  // namespace tnb
