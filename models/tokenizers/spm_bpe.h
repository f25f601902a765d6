// BPE over characters in the manner of SentencePiece (Kudo and Richardson, arXiv 1808.06226), for files that
// hold the vocabulary but not SentencePiece's own model: GGUF of type "llama", llama2.c's tokenizer .bin, and
// Hugging Face's conversion of such models. The whole text is one word; spaces are part of the pieces; a
// character that no piece holds is spelled by its bytes. U+2581 in text is a space, as everywhere in
// SentencePiece.
#pragma once

#include <memory>
#include <vector>

#include "models/tokenizers/merges.h"
#include "models/tokenizers/vocabulary.h"

namespace tnb {

struct SpmBpeOptions {
  // Which stretches of text between special tokens get a space put before them.
  enum class Prefix { kNever, kStart, kAlways };
  Prefix prefix = Prefix::kAlways;
  bool prefix_unless_space = false;  // not when the text starts with a space already (Metaspace)
};

// "▁the" as a piece of Vocabulary, " the".
std::string WithPlainSpaces(std::string_view text);

// Rules from the scores of the pieces: whatever two symbols make up a piece may merge, the best score first.
std::unique_ptr<Tokenizer> MakeSpmBpeTokenizer(Vocabulary vocabulary, const std::vector<float>& scores,
                                               const SpmBpeOptions& options);
// Rules as the file lists them.
std::unique_ptr<Tokenizer> MakeSpmBpeTokenizer(Vocabulary vocabulary, const std::vector<MergeRule>& rules,
                                               const SpmBpeOptions& options);

}  // namespace tnb
