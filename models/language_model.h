// What tasks see of a model: token sequences in, log-likelihoods or text out. The decoder implements
// it; tests implement it with oracles.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/tokenizer.h"

namespace tnb {

// Score tokens[first_scored..] given everything before them: sum over i >= first_scored of
// log p(tokens[i] | tokens[0..i-1]), natural logarithm, log-softmax and sum in fp32 or wider.
// Requires 1 <= first_scored < tokens.size() <= context length + 1 (the last token is never fed).
struct ScoreRequest {
  TokenIds tokens;
  int64_t first_scored = 1;
};

struct ScoreResult {
  double log_likelihood = 0.0;
  bool greedy = false;   // every scored token is the argmax of its position (first index on ties)
  double squares = 0.0;  // sum of the squares of the tokens' log-likelihoods
};

struct GenerateRequest {
  TokenIds prompt;
  int64_t max_new_tokens = 0;
  int64_t min_new_tokens = 0;  // before these the end-of-generation tokens cannot be chosen
  // 1: greedy decoding (argmax, first index on ties). More: beam search, see models/engine/beam_search.h.
  int64_t beams = 1;
  // Generation ends before the first occurrence of any of these in the new text.
  std::vector<std::string> stop;
  // Leading white space of the answer is dropped and cannot be (part of) a stop string.
  bool skip_leading_space = false;
};

struct GenerateResult {
  std::string text;      // cut before the stop string
  TokenIds tokens;       // all generated tokens, the end-of-generation token included
  std::string finished;  // "stop" | "eos" | "length"
};

// Called as requests finish, in any order; index is the position in the request list.
using ScoreSink = std::function<void(size_t index, const ScoreResult&)>;
using GenerateSink = std::function<void(size_t index, const GenerateResult&)>;

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual int64_t context_length() const = 0;
  // Requests that share leading tokens share their computation. Results do not depend on which requests
  // are given together.
  virtual void Score(const std::vector<ScoreRequest>& requests, const ScoreSink& sink) = 0;
  // Decodes as each request says.
  virtual void Generate(const std::vector<GenerateRequest>& requests, const GenerateSink& sink) = 0;
};

}  // namespace tnb
