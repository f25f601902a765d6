// What the drift phase asks: which text, cut into which windows, and which numbers are made of the drift of
// its tokens. Numbers and names follow llama-perplexity --kl-divergence of llama.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/formats/base_logits.h"
#include "models/tokenizer.h"

namespace tnb {

struct DriftText {
  std::string name;  // "wikitext2/wiki.test.raw"
  std::string path;
  std::string text;
  std::string sha256;  // of `text`
};

// The given file; without one WikiText-2's test file where `data_dir` has it, else the documents of the
// shipped sample summaries. Error{kIo, kData}.
DriftText LoadDriftText(const std::filesystem::path& file, const std::filesystem::path& data_dir);

// Tokens of one window: the prefix token (BOS), then text. Every token but the first is predicted.
// As many disjoint windows of at most 256 predicted tokens, spread evenly over the text, as hold `tokens` of
// them (rounded up to whole windows). Error{kData} when the text is too short.
std::vector<TokenIds> DriftWindows(const DriftText& text, const Tokenizer& tokenizer, int64_t tokens,
                                   int64_t context_length);

struct DriftMetric {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<double> se;
};

// kld_mean, kld_median, kld_p90, kld_p95, kld_p99, kld_p999, kld_max [nats]; top1_agreement [fraction];
// dp_mean, dp_rms [fraction]: change of the probability of the text's own next token; ln_ppl_ratio [nats]:
// logarithm of perplexity over the base's. Standard errors take tokens as independent, as llama.cpp does:
// those of one text are not quite, so that they are somewhat too small. Error{kData} for fewer than two
// tokens or a number that is not finite.
std::vector<DriftMetric> SummarizeDrift(std::span<const TokenDrift> tokens);

}  // namespace tnb
