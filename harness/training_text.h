// Texts to train on as tokens. A plain text is one document. Of a .jsonl or .json file every record is one:
//   {"text"}                                     a text
//   {"instruction", "input"?, "output"}          Alpaca; Dolly's "context" and "response" are the same
//   {"prompt", "response"}                       a prompt that is spelled out already
//   {"messages": [{"role", "content"}]}          UltraChat and others
//   {"conversations": [{"from", "value"}]}       OpenHermes, ShareGPT: system, human, gpt
// Answers (and the end of a turn) count in the loss; what precedes them has `prompt_weight`. Conversations
// are spelled by the chat template of the model's own files; without one in Alpaca's form.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/tokenizer.h"
#include "models/training/batch.h"

namespace tnb {

// Errors name file, line and what is missing.
std::vector<TrainingDocument> ReadTrainingDocuments(const std::filesystem::path& path,
                                                    const TokenizerSource& source, const Tokenizer& tokenizer,
                                                    double prompt_weight = 0);

// Calls `visit` with every string of a record, whatever its fields are called.
void ForEachText(const Json& record, const std::function<void(const std::string& text)>& visit);

}  // namespace tnb
