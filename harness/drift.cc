#include "harness/drift.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/home.h"
#include "datasets/reader.h"
#include "reports/statistics.h"

namespace tnb {
namespace {

constexpr int64_t kWindow = 256;
constexpr char kWikiText[] = "wikitext2/wiki.test.raw";
constexpr char kSample[] = "datasets/sample/summaries.jsonl";

std::string SampleText(const std::filesystem::path& path) {
  std::string text;
  const Dataset dataset = ReadDataset(path);
  for (size_t i = 0; i < dataset.documents.size(); ++i) {
    text += (i == 0 ? "" : "\n\n") + Require<std::string>(dataset.documents[i], "document", dataset.Where(i));
  }
  return text;
}

}  // namespace

DriftText LoadDriftText(const std::filesystem::path& file, const std::filesystem::path& data_dir) {
  DriftText text;
  std::error_code ignored;
  if (!file.empty()) {
    text.path = file.string();
    text.name = file.filename().string();
    text.text = ReadFile(file);
  } else if (!data_dir.empty() && std::filesystem::is_regular_file(data_dir / kWikiText, ignored)) {
    text.path = (data_dir / kWikiText).string();
    text.name = kWikiText;
    text.text = ReadFile(text.path);
  } else {
    text.path = (HomeFolder() / kSample).string();
    text.name = kSample;
    text.text = SampleText(text.path);
  }
  text.sha256 = Sha256Hex(text.text);
  return text;
}

std::vector<TokenIds> DriftWindows(const DriftText& text, const Tokenizer& tokenizer, int64_t tokens,
                                   int64_t context_length) {
  const int64_t length = std::min({kWindow, tokens, context_length});
  const int64_t count = (tokens + length - 1) / length;
  const TokenIds all = tokenizer.Encode(text.text);
  const int64_t stride = static_cast<int64_t>(all.size()) / count;
  if (stride < length) {
    throw Error(ErrorKind::kData,
                {"the text of the drift is too short", std::to_string(count * length) + " tokens",
                 std::to_string(all.size()), text.path, "ask for less with --drift-tokens"});
  }
  std::vector<TokenIds> windows;
  for (int64_t i = 0; i < count; ++i) {
    TokenIds window = {tokenizer.PrefixToken()};
    window.insert(window.end(), all.begin() + i * stride, all.begin() + i * stride + length);
    windows.push_back(std::move(window));
  }
  return windows;
}

std::vector<DriftMetric> SummarizeDrift(std::span<const TokenDrift> tokens) {
  std::vector<double> kld, change, squares, ratio;
  double same = 0;
  for (const TokenDrift& token : tokens) {
    if (!std::isfinite(token.kld)) {
      throw Error(ErrorKind::kData, {"the model's logits are not numbers", "finite numbers", "", "the drift",
                                     "the compressed model is ruined, or its file damaged"});
    }
    kld.push_back(token.kld);
    change.push_back(std::exp(token.log_probability) - std::exp(token.base_log_probability));
    squares.push_back(change.back() * change.back());
    ratio.push_back(token.base_log_probability - token.log_probability);
    same += token.same_top ? 1 : 0;
  }
  const auto n = static_cast<double>(tokens.size());
  std::vector<DriftMetric> metrics = {{"kld_mean", Mean(kld), "nats", StandardError(kld)},
                                      {"kld_median", Median(kld), "nats", {}}};
  for (const auto& [name, percent] : {std::pair{"kld_p90", 90.0}, std::pair{"kld_p95", 95.0},
                                      std::pair{"kld_p99", 99.0}, std::pair{"kld_p999", 99.9}}) {
    metrics.push_back({name, Percentile(kld, percent), "nats", {}});
  }
  metrics.push_back({"kld_max", *std::max_element(kld.begin(), kld.end()), "nats", {}});
  const double share = same / n;
  metrics.push_back({"top1_agreement", share, "fraction", std::sqrt(share * (1 - share) / (n - 1))});
  metrics.push_back({"dp_mean", Mean(change), "fraction", StandardError(change)});
  const double rms = std::sqrt(Mean(squares));
  // By the delta method: d sqrt(x) = dx / (2 sqrt(x)).
  metrics.push_back({"dp_rms", rms, "fraction",
                     rms > 0 ? std::optional(StandardError(squares) / (2 * rms)) : std::nullopt});
  metrics.push_back({"ln_ppl_ratio", Mean(ratio), "nats", StandardError(ratio)});
  return metrics;
}

}  // namespace tnb
