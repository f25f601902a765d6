// Drift: how far the artefact's distributions are from those of the base artefact, token by token of a text.
// The base's are computed once and kept beside the artefacts; the base itself is compared with them too,
// which shows how much of the drift is the error of keeping them in 16 bits.
#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "harness/drift.h"
#include "harness/load.h"
#include "harness/phase.h"
#include "models/engine/artefact.h"
#include "models/engine/decoder.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

constexpr int64_t kBatchTokens = 1024;
constexpr int64_t kLogitRows = 64;  // made at a time
constexpr int kDriftVersion = 1;    // raised when the same text may yield other numbers than before

// Calls sink(first row, logits [count, vocabulary]) for all predictions of all windows, in order.
template <typename Sink>
void ForLogits(const Decoder& decoder, const std::vector<TokenIds>& windows, const std::string& title,
               Emitter& emit, const Sink& sink) {
  const auto length = static_cast<int64_t>(windows.at(0).size()) - 1;
  const auto batch = static_cast<size_t>(std::max<int64_t>(1, kBatchTokens / length));
  const int64_t total = length * static_cast<int64_t>(windows.size());
  KvCache cache(decoder.model().config, static_cast<int64_t>(batch) * length, decoder.device(),
                decoder.model().cache);
  int64_t row = 0;
  for (size_t first = 0; first < windows.size(); first += batch) {
    std::vector<TokenRun> runs;
    std::vector<int64_t> rows;
    for (size_t i = first; i < std::min(first + batch, windows.size()); ++i) {
      TokenRun run;
      run.tokens.assign(windows[i].begin(), windows[i].end() - 1);
      run.own = cache.Allocate(length);
      for (int64_t j = 0; j < length; ++j) rows.push_back(static_cast<int64_t>(rows.size()));
      runs.push_back(std::move(run));
    }
    const at::Tensor hidden = decoder.Forward(runs, cache, rows);
    for (int64_t begin = 0; begin < hidden.size(0); begin += kLogitRows) {
      const int64_t count = std::min(kLogitRows, hidden.size(0) - begin);
      const at::Tensor logits =
          decoder.Logits(hidden.narrow(0, begin, count)).to(at::kCPU, at::kFloat).contiguous();
      sink(row, count, logits.const_data_ptr<float>());
      row += count;
      emit.Progress(title, row, total, "tokens");
    }
    for (const TokenRun& run : runs) cache.Release(run.own);
  }
}

struct Drift {
  DriftText text;
  std::vector<TokenIds> windows;
  int64_t rows = 0, vocabulary = 0;
  Json key;  // what the base's stored rows are, and the protocol of the numbers
  std::filesystem::path file;

  // The token that row `row` predicts.
  TokenId Next(int64_t row) const {
    const auto length = static_cast<int64_t>(windows.at(0).size()) - 1;
    return windows[static_cast<size_t>(row / length)][static_cast<size_t>(row % length + 1)];
  }
};

Drift ReadSpec(const Json& spec, const ArtefactInfo& info) {
  const Json asked = Require<Json>(spec, "drift", kWorkerSpec),
             settings = Require<Json>(spec, "settings", kWorkerSpec);
  Drift drift;
  drift.text = LoadDriftText(Require<std::string>(asked, "text", kWorkerSpec),
                             Require<std::string>(asked, "data_dir", kWorkerSpec));
  if (drift.text.sha256 != Require<std::string>(settings, "text", kWorkerSpec)) {
    throw Error(ErrorKind::kData,
                {"the text changed while it was being measured", "", "", drift.text.path, ""});
  }
  const std::unique_ptr<Tokenizer> tokenizer = LoadTokenizer(info.source.tokenizer);
  drift.windows = DriftWindows(drift.text, *tokenizer, Require<int64_t>(settings, "tokens", kWorkerSpec),
                               info.config.context_length);
  const auto length = static_cast<int64_t>(drift.windows.at(0).size()) - 1;
  drift.rows = length * static_cast<int64_t>(drift.windows.size());
  drift.vocabulary = info.config.vocabulary_size;
  drift.key = {{"drift_version", kDriftVersion},
               {"base", Require<std::string>(settings, "base", kWorkerSpec)},
               {"text", drift.text.name},
               {"text_sha256", drift.text.sha256},
               {"tokenizer", tokenizer->ContentHash()},
               {"prefix", tokenizer->PrefixToken()},
               {"window", length},
               {"windows", drift.windows.size()},
               {"device", Require<std::string>(settings, "device", kWorkerSpec)}};
  drift.file = Require<std::string>(asked, "folder", kWorkerSpec);
  drift.file /= "base-logits-" + Sha256Hex(drift.key.dump()).substr(0, 32) + ".safetensors";
  return drift;
}

// Opens what is kept. Damage is an error, and mended only when that is asked for.
std::optional<BaseLogits> OpenKept(const Drift& drift, bool force, Emitter& emit) {
  if (!std::filesystem::exists(drift.file)) return std::nullopt;
  try {
    return BaseLogits(drift.file, drift.key, drift.rows, drift.vocabulary);
  } catch (const Error& error) {
    if (!force) throw;
    emit.Log("warning", std::string(error.what()) + "; computed again (--force)");
    return std::nullopt;
  }
}

void ComputeBase(const Drift& drift, const Decoder& decoder, Emitter& emit) {
  BaseLogitsWriter writer(drift.file, drift.key, drift.rows, drift.vocabulary);
  ForLogits(decoder, drift.windows, "base", emit, [&](int64_t first, int64_t count, const float* logits) {
    for (int64_t i = 0; i < count; ++i) writer.Add(logits + i * drift.vocabulary, drift.Next(first + i));
  });
  writer.Finish();
}

void EmitMetrics(const Drift& drift, const std::vector<TokenDrift>& tokens, Emitter& emit) {
  for (const DriftMetric& metric : SummarizeDrift(tokens)) {
    emit.Emit({{"type", "metric"},
               {"name", metric.name},
               {"task", "drift"},
               {"value", NumberToJson(metric.value)},
               {"unit", metric.unit},
               {"n", tokens.size()},
               {"se", metric.se ? NumberToJson(*metric.se) : Json(nullptr)},
               {"main", metric.name == "kld_mean" || metric.name == "top1_agreement"},
               {"protocol", {{"name", "drift " + drift.text.name}, {"content", drift.key}}}});
  }
}

}  // namespace

void RunDrift(const Json& spec, Emitter& emit) {
  CheckArtefact(spec);
  const auto own = Require<Json>(spec, "artefact", kWorkerSpec),
             base = Require<Json>(spec, "base", kWorkerSpec);
  const ArtefactInfo info = ReadArtefactInfo(Require<std::string>(own, "path", kWorkerSpec));
  if (info.source.random_weights) throw NotMeasured("random weights predict nothing");
  const Drift drift = ReadSpec(spec, info);
  std::optional<BaseLogits> kept = OpenKept(drift, Require<bool>(spec, "force", kWorkerSpec), emit);
  if (!kept) {
    const Json base_spec = {{"artefact", base}};
    CheckArtefact(base_spec);
    const Model model = LoadArtefactOf(base_spec);
    ComputeBase(drift, Decoder(model, DeviceOf(spec)), emit);
    kept.emplace(drift.file, drift.key, drift.rows, drift.vocabulary);
  }
  const Model model = LoadArtefactOf(spec);
  const Decoder decoder(model, DeviceOf(spec));
  std::vector<TokenDrift> tokens(static_cast<size_t>(drift.rows));
  ForLogits(decoder, drift.windows, "", emit, [&](int64_t first, int64_t count, const float* logits) {
    ParallelFor(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = first + i;
        tokens[static_cast<size_t>(row)] = kept->Compare(row, logits + i * drift.vocabulary, drift.Next(row));
      }
    });
  });
  EmitMetrics(drift, tokens, emit);
}

}  // namespace tnb
