// The distributions of a base model over the tokens of a text, kept as a file, and how far those of another
// model are from them (the drift): Kullback-Leibler divergence, change of probability, same first choice, as
// llama-perplexity --kl-divergence of llama.cpp reports them.
//
// The file is a safetensors file: a row of 16-bit codes a position, log-probabilities as steps below the
// largest one, step = min(range, 32 nats) / 65535. What lies more than 32 nats below is put there: over a
// vocabulary of 10^6 such tokens hold less than 10^-7 of the mass. Rows are normalized when they are read, so
// that with h = step / 2 <= 0.000245 nats
//   |KLD(stored, q) - KLD(exact, q)| <= 2h * sum_i p_i |log(p_i / q_i)| + h^2 / 2   (+ the cut tail)
// and a model drifts from its own file by at most h^2 / 2 = 3e-8 nats. First choices and the
// log-probabilities of the text's own tokens are kept as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/hash.h"
#include "base/json.h"
#include "models/formats/safetensors.h"
#include "models/tokenizer.h"

namespace tnb {

// Bytes of a file, but for its header.
int64_t BaseLogitsBytes(int64_t rows, int64_t vocabulary);

class BaseLogitsWriter {
 public:
  // `key` says what the rows are (model, text, windows); whoever opens the file must know it.
  BaseLogitsWriter(const std::filesystem::path& path, const Json& key, int64_t rows, int64_t vocabulary);
  // The next row, `vocabulary` logits, and the token that follows in the text. Error{kData} when a logit is
  // not finite.
  void Add(const float* logits, TokenId next);
  // Error{kInternal} unless all rows were added. The file appears under its name only now.
  void Finish();

 private:
  SafetensorsWriter writer_;
  int64_t rows_, vocabulary_;
  std::vector<uint16_t> codes_;
  std::vector<float> steps_;
  std::vector<int32_t> tops_;
  std::vector<float> nexts_;
  Sha256 hash_;
};

// One position, base model p and other model q.
struct TokenDrift {
  double kld = 0;                   // sum_i p_i log(p_i / q_i), nats; not finite when a logit of q is not
  double base_log_probability = 0;  // of the token that follows in the text
  double log_probability = 0;
  bool same_top = false;  // both give the same token the largest probability (first index on ties)
};

// Immutable and thread-safe.
class BaseLogits {
 public:
  // Error{kData} when the file is damaged or holds rows of something else than `key`.
  BaseLogits(const std::filesystem::path& path, const Json& key, int64_t rows, int64_t vocabulary);

  int64_t rows() const { return static_cast<int64_t>(steps_.size()); }
  double step(int64_t row) const { return steps_.at(static_cast<size_t>(row)); }
  // `logits`: those of the other model at this position; `next`: the token that follows, as the writer was
  // told. Sums in fp64.
  TokenDrift Compare(int64_t row, const float* logits, TokenId next) const;

 private:
  SafetensorsFile file_;
  int64_t vocabulary_;
  std::vector<const uint16_t*> codes_;
  std::vector<float> steps_;
  std::vector<int32_t> tops_;
  std::vector<float> nexts_;
};

}  // namespace tnb
