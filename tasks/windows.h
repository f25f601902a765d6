// Perplexity over token windows: one text, tokenized once, cut into windows that do not overlap. There are
// three protocols under the name "WikiText-2 perplexity", and their numbers cannot be compared, so each has
// metrics of its own name:
//
//   ppl.lmeval    lm-evaluation-harness: every document by itself, every token once, per word (requests.h)
//   ppl.gptq      GPTQ, AWQ and most papers (https://github.com/IST-DASLab/gptq, eval in llama.py): windows
//   of
//                 2048 tokens, the rest is dropped, tokens 2 .. L of each window are scored
//   ppl.llamacpp  llama-perplexity: windows of 512 tokens, whose first one is replaced by BOS when the model
//                 uses one; of each window the tokens after position L / 2 are scored. Its ± is the deviation
//                 of all scored tokens over sqrt(n - 1), carried through exp.
//
// One window is one item.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace tnb {

// The first `limit` windows of the text. Error{kData} naming `where` when it is too short, Error{kUsage} when
// a window does not fit into the context.
std::vector<Item> WindowItems(const TaskSpec& spec, const Tokenizer& tokenizer, const std::string& text,
                              int64_t context_length, std::optional<int64_t> limit, const std::string& where);

}  // namespace tnb
