#include "tasks/windows.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "tasks/requests.h"

namespace tnb {

std::vector<Item> WindowItems(const TaskSpec& spec, const Tokenizer& tokenizer, const std::string& text,
                              int64_t context_length, std::optional<int64_t> limit,
                              const std::string& where) {
  const int64_t length = spec.window->length;
  const bool llamacpp = spec.window->protocol == "llamacpp";
  if (length > context_length) {
    throw Error(ErrorKind::kUsage,
                {"the windows of task " + spec.name + " do not fit into the model's context",
                 std::to_string(context_length) + " tokens or fewer", std::to_string(length), where,
                 "give the length yourself, as in --tasks ppl." + spec.window->protocol + "-" +
                     std::to_string(context_length) + ":FILE, and compare with equal lengths only"});
  }
  const TokenIds tokens = EncodeSequence(tokenizer, text);
  const auto total = static_cast<int64_t>(tokens.size());
  const int64_t least = llamacpp ? 2 * length : length;  // as llama-perplexity demands
  if (total < least) {
    throw Error(ErrorKind::kData,
                {"the text is too short for task " + spec.name, std::to_string(least) + " tokens or more",
                 std::to_string(total), where,
                 "a shorter window: --tasks ppl." + spec.window->protocol + "-LENGTH:FILE"});
  }
  const int64_t count = std::min(total / length, limit.value_or(total));
  std::vector<Item> items(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    Item& item = items[static_cast<size_t>(i)];
    ScoreRequest request;
    request.tokens.assign(tokens.begin() + i * length, tokens.begin() + (i + 1) * length);
    if (llamacpp && tokenizer.adds_bos() && tokenizer.bos() >= 0) request.tokens[0] = tokenizer.bos();
    request.first_scored = llamacpp ? length / 2 + 1 : 1;
    item.doc = static_cast<size_t>(i);
    item.prompt = "tokens " + std::to_string(i * length) + " to " + std::to_string((i + 1) * length - 1);
    // The text of a window would be as long as the dataset over all items: its hash is that of its tokens.
    std::string ids;
    for (const TokenId id : request.tokens) ids += std::to_string(id) + " ";
    item.prompt_sha256 = Sha256Hex(ids);
    item.scores = {std::move(request)};
  }
  return items;
}

}  // namespace tnb
