// A tokenizer and models that say what a test wants: one token a byte, log-likelihoods and texts by function.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "models/language_model.h"

namespace tnb::testing {

// Token 0 is BOS and EOS, token 1 + b is byte b.
class ByteTokenizer : public Tokenizer {
 public:
  explicit ByteTokenizer(bool adds_bos = false) : adds_bos_(adds_bos) {}
  TokenIds Encode(std::string_view text, bool, int64_t*) const override {
    TokenIds ids;
    for (const char c : text) ids.push_back(1 + static_cast<unsigned char>(c));
    return ids;
  }
  std::string Decode(const TokenIds& ids, bool = false) const override {
    std::string text;
    for (const TokenId id : ids) {
      if (id > 0) text += static_cast<char>(id - 1);
    }
    return text;
  }
  std::string Piece(TokenId id) const override { return id == 0 ? "<s>" : Decode({id}); }
  int64_t vocabulary_size() const override { return 257; }
  TokenId bos() const override { return 0; }
  TokenId eos() const override { return 0; }
  std::vector<TokenId> EndOfGeneration() const override { return {0}; }
  bool adds_bos() const override { return adds_bos_; }
  std::string ContentHash() const override { return adds_bos_ ? "bytes with bos" : "bytes"; }

 private:
  bool adds_bos_;
};

class FunctionModel : public LanguageModel {
 public:
  using Scorer = std::function<ScoreResult(const ScoreRequest&)>;
  using Writer = std::function<std::string(const std::string& prompt)>;

  explicit FunctionModel(Scorer scorer, Writer writer = nullptr, int64_t context_length = 1 << 20)
      : scorer_(std::move(scorer)), writer_(std::move(writer)), context_length_(context_length) {}
  const Tokenizer& tokenizer() const override { return tokenizer_; }
  int64_t context_length() const override { return context_length_; }
  void Score(const std::vector<ScoreRequest>& requests, const ScoreSink& sink) override {
    // Last first: the order of results is free.
    for (size_t i = requests.size(); i-- > 0;) sink(i, scorer_(requests[i]));
  }
  void Generate(const std::vector<GenerateRequest>& requests, const GenerateSink& sink) override {
    for (size_t i = requests.size(); i-- > 0;) {
      const std::string text = writer_(tokenizer_.Decode(requests[i].prompt));
      sink(i, {text, tokenizer_.Encode(text, false, nullptr), "stop"});
    }
  }

 private:
  ByteTokenizer tokenizer_;
  Scorer scorer_;
  Writer writer_;
  int64_t context_length_;
};

}  // namespace tnb::testing
