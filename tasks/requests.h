// From texts to token requests, with the rules of lm-evaluation-harness 0.4 (its Hugging Face model).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/language_model.h"
#include "tasks/task.h"

namespace tnb {

// Tokens of a text that begins a sequence: BOS first when the tokenizer's own files say so, unless the text
// starts with its spelling.
TokenIds EncodeSequence(const Tokenizer& tokenizer, const std::string& text);

// Tokens of context and continuation. White space at the end of the context moves to the continuation; the
// pair is encoded as one text and cut where the context's own tokens end. An empty context is the prefix
// token.
std::pair<TokenIds, TokenIds> EncodePair(const Tokenizer& tokenizer, std::string context,
                                         std::string continuation);

// Windows of at most `context_length` inputs that score every token once; only the last window sees tokens
// that were scored before. The first token is conditioned on `prefix`.
std::vector<ScoreRequest> RollingWindows(const TokenIds& tokens, TokenId prefix, int64_t context_length);

// Fills scores, generation and truncated_tokens of an item. `where` is the document's place in errors.
void AddRequests(const TaskSpec& spec, const Tokenizer& tokenizer, int64_t context_length,
                 const std::string& where, Item& item);

}  // namespace tnb
