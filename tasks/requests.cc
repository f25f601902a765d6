#include "tasks/requests.h"

#include <algorithm>

#include "base/error.h"
#include "datasets/utf8.h"

namespace tnb {
namespace {

TokenId RequirePrefix(const Tokenizer& tokenizer) {
  const TokenId prefix = tokenizer.PrefixToken();
  if (prefix < 0) {
    throw Error(ErrorKind::kUnsupported,
                "the tokenizer has neither BOS nor EOS, so an empty context has no token");
  }
  return prefix;
}

ScoreRequest Scored(TokenIds context, const TokenIds& continuation, int64_t context_length,
                    const std::string& where, int64_t* truncated) {
  const int64_t scored = static_cast<int64_t>(continuation.size());
  if (scored == 0) {
    throw Error(ErrorKind::kData, {"a continuation has no tokens of its own", "", "", where, ""});
  }
  if (scored > context_length) {
    throw Error(ErrorKind::kData,
                {"a continuation is longer than the model's context",
                 std::to_string(context_length) + " tokens or fewer", std::to_string(scored) + " tokens",
                 where, "use a model with a longer context"});
  }
  context.insert(context.end(), continuation.begin(), continuation.end());
  // The last token is never fed, so one more than the context length fits.
  const int64_t extra = static_cast<int64_t>(context.size()) - (context_length + 1);
  if (extra > 0) {
    context.erase(context.begin(), context.begin() + extra);
    *truncated = std::max(*truncated, extra);
  }
  ScoreRequest request;
  request.first_scored = static_cast<int64_t>(context.size()) - scored;
  request.tokens = std::move(context);
  return request;
}

}  // namespace

TokenIds EncodeSequence(const Tokenizer& tokenizer, const std::string& text) {
  TokenIds tokens = tokenizer.Encode(text, true);
  if (!tokenizer.adds_bos() || tokenizer.bos() < 0) return tokens;
  const std::string spelled = tokenizer.Piece(tokenizer.bos());
  if (!spelled.empty() && text.starts_with(spelled)) return tokens;
  tokens.insert(tokens.begin(), tokenizer.bos());
  return tokens;
}

std::pair<TokenIds, TokenIds> EncodePair(const Tokenizer& tokenizer, std::string context,
                                         std::string continuation) {
  const std::string trimmed = RightStripPython(context);
  continuation = context.substr(trimmed.size()) + continuation;
  if (trimmed.empty()) {
    TokenIds tokens = tokenizer.Encode(continuation, true);
    const TokenId prefix = RequirePrefix(tokenizer);
    if (!tokens.empty() && tokens[0] == prefix) return {{prefix}, {tokens.begin() + 1, tokens.end()}};
    return {{prefix}, std::move(tokens)};
  }
  const TokenIds whole = EncodeSequence(tokenizer, trimmed + continuation);
  TokenIds head = EncodeSequence(tokenizer, trimmed);
  const size_t cut = std::min(head.size(), whole.size());
  TokenIds tail(whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end());
  if (head.empty()) head = {RequirePrefix(tokenizer)};
  return {std::move(head), std::move(tail)};
}

std::vector<ScoreRequest> RollingWindows(const TokenIds& tokens, TokenId prefix, int64_t context_length) {
  std::vector<ScoreRequest> windows;
  const int64_t count = static_cast<int64_t>(tokens.size());
  if (count == 0) return windows;
  const int64_t first = std::min(context_length, count);
  ScoreRequest window;
  window.tokens = {prefix};
  window.tokens.insert(window.tokens.end(), tokens.begin(), tokens.begin() + first);
  windows.push_back(std::move(window));
  for (int64_t done = first; done < count;) {
    const int64_t scored = std::min(count - done, context_length);
    const int64_t end = done + scored;
    ScoreRequest next;
    next.tokens.assign(tokens.begin() + (end - context_length - 1), tokens.begin() + end);
    next.first_scored = context_length + 1 - scored;
    windows.push_back(std::move(next));
    done = end;
  }
  return windows;
}

void AddRequests(const TaskSpec& spec, const Tokenizer& tokenizer, int64_t context_length,
                 const std::string& where, Item& item) {
  if (context_length < 1) {
    throw Error(ErrorKind::kUsage,
                {"the context length is out of range", "1 or more", std::to_string(context_length), "", ""});
  }
  if (spec.form == TaskForm::kRolling) {
    item.scores =
        RollingWindows(EncodeSequence(tokenizer, item.target), RequirePrefix(tokenizer), context_length);
    if (item.scores.empty()) throw Error(ErrorKind::kData, {"the text has no tokens", "", "", where, ""});
    return;
  }
  if (spec.form == TaskForm::kGenerate || spec.form == TaskForm::kSummarize) {
    const int64_t room = context_length - spec.max_new_tokens;
    if (room < 1) {
      throw Error(ErrorKind::kUnsupported,
                  {"task " + spec.name + " generates more tokens than the model's context holds",
                   "fewer than " + std::to_string(context_length), std::to_string(spec.max_new_tokens), where,
                   "lower generation.max_new_tokens in a copy of the task file"});
    }
    GenerateRequest request;
    request.prompt = EncodeSequence(tokenizer, item.prompt);
    if (request.prompt.empty()) request.prompt = {RequirePrefix(tokenizer)};
    const int64_t extra = static_cast<int64_t>(request.prompt.size()) - room;
    if (extra > 0) {
      request.prompt.erase(request.prompt.begin(), request.prompt.begin() + extra);
      item.truncated_tokens = extra;
    }
    request.max_new_tokens = spec.max_new_tokens;
    request.min_new_tokens = spec.min_new_tokens;
    request.beams = spec.beams;
    request.stop = spec.stop;
    request.skip_leading_space = spec.skip_leading_space;
    item.generation = std::move(request);
    return;
  }
  for (size_t i = 0; i < item.contexts.size(); ++i) {
    auto [context, continuation] = EncodePair(tokenizer, item.contexts[i], item.continuations[i]);
    item.scores.push_back(
        Scored(std::move(context), continuation, context_length, where, &item.truncated_tokens));
  }
}

}  // namespace tnb
