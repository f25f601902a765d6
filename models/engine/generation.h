// Generation for many sequences together, greedy here and by beams in beam_search.h: a place is refilled as
// soon as its sequence ends, prompts and single new tokens share a batch.
#pragma once

#include <vector>

#include "models/engine/scorer.h"

namespace tnb {

// Slots of the key-value cache until the end of the answer: one a token, and every beam has its own answer.
inline int64_t SlotsNeeded(const GenerateRequest& request) {
  const int64_t answers = request.beams > 1 ? request.beams + 1 : 1;
  return static_cast<int64_t>(request.prompt.size()) + answers * request.max_new_tokens;
}

void GenerateAll(const Decoder& decoder, const Tokenizer& tokenizer, KvCache& cache,
                 const DecoderModelOptions& options, const std::vector<GenerateRequest>& requests,
                 const GenerateSink& sink);

// Watches the text of a growing answer: gives the text before the first stop string as soon as there is one.
class StopWatch {
 public:
  StopWatch(const Tokenizer& tokenizer, const GenerateRequest& request)
      : tokenizer_(tokenizer), request_(request) {}
  // True when the answer, this token included, holds a stop string.
  bool Add(TokenId token);
  bool AddAll(const TokenIds& tokens);
  // The answer so far, cut before the stop string, without the leading space that was to be skipped.
  std::string Text() const;

 private:
  size_t Start() const;  // where stop strings begin to count

  const Tokenizer& tokenizer_;
  const GenerateRequest& request_;
  TokenIds tokens_;
  std::string text_;
  size_t stop_ = std::string::npos;
};

}  // namespace tnb
