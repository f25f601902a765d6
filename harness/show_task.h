// One document of a task as a model gets it: the prompt with visible white space and token boundaries, the
// continuations with their token ids, stop strings, gold and metrics.
#pragma once

#include <string>

#include "base/json.h"
#include "models/tokenizer.h"
#include "tasks/task.h"

namespace tnb {

// White space and bytes that cannot be printed become visible: "·" for a space, "↵" and a line break for a
// line break, "⇥" for a tab, \xNN for other controls and for bytes that are no UTF-8.
std::string VisibleText(const std::string& text);
// The tokens as VisibleText with "│" between them.
std::string VisibleTokens(const Tokenizer& tokenizer, const TokenIds& ids);

// `item` from BuildItems (or BuildPrompts, when `tokenizer` is null: then without tokens).
std::string ShowItem(const Task& task, const Item& item, const Tokenizer* tokenizer);
Json ShowItemJson(const Task& task, const Item& item, const Tokenizer* tokenizer);

}  // namespace tnb
