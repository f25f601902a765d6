#include "models/engine/decoder.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "models/engine/ops.h"

namespace tnb {

std::pair<at::Tensor, at::Tensor> RotaryTables(const ModelConfig& config, int64_t positions) {
  const int64_t half = config.head_size / 2;
  const RopeConfig& rope = config.rope;
  constexpr double kTwoPi = 6.283185307179586;
  at::Tensor cosines = at::empty({positions, half}, at::kFloat);
  at::Tensor sines = at::empty({positions, half}, at::kFloat);
  for (int64_t j = 0; j < half; ++j) {
    double frequency =
        std::pow(rope.theta, -2.0 * static_cast<double>(j) / static_cast<double>(config.head_size));
    if (rope.scaling == RopeConfig::Scaling::kLinear) frequency /= rope.factor;
    if (rope.scaling == RopeConfig::Scaling::kLlama3) {
      const auto original = static_cast<double>(rope.original_context_length);
      const double wavelength = kTwoPi / frequency;
      const double turns = original / wavelength;
      if (turns < rope.low_frequency_factor) {
        frequency /= rope.factor;
      } else if (turns < rope.high_frequency_factor) {
        const double smooth =
            (turns - rope.low_frequency_factor) / (rope.high_frequency_factor - rope.low_frequency_factor);
        frequency = (1 - smooth) * frequency / rope.factor + smooth * frequency;
      }
    }
    // Hugging Face computes frequencies and angles in fp32; so do we, to agree with its logits at long
    // positions.
    const auto single = static_cast<float>(frequency);
    for (int64_t position = 0; position < positions; ++position) {
      const float angle = static_cast<float>(position) * single;
      cosines.mutable_data_ptr<float>()[position * half + j] = static_cast<float>(std::cos(double{angle}));
      sines.mutable_data_ptr<float>()[position * half + j] = static_cast<float>(std::sin(double{angle}));
    }
  }
  return {cosines, sines};
}

Decoder::Decoder(const Model& model, at::Device device, Execution execution)
    : model_(model), device_(device), execution_(execution) {
  auto [cosines, sines] = RotaryTables(model.config, model.config.context_length);
  cosines_ = cosines.to(device);
  sines_ = sines.to(device);
}

Decoder::~Decoder() = default;

namespace {

// Where everything of a batch lies: flat lists over all tokens, and the attention of every run.
struct Layout {
  at::Tensor tokens;     // int64 [n], CPU
  at::Tensor positions;  // int64 [n], CPU
  std::vector<int64_t> slots;
  std::vector<AttentionRun> runs;
};

Layout LayOut(const std::vector<TokenRun>& runs, const ModelConfig& config) {
  std::vector<int64_t> tokens, positions;
  Layout layout;
  for (const TokenRun& run : runs) {
    AttentionRun attention;
    attention.first_query = static_cast<int64_t>(tokens.size());
    int64_t position = 0;
    for (const CacheSpan& span : run.past) position += span.count;
    attention.spans = run.past;
    attention.spans.insert(attention.spans.end(), run.own.begin(), run.own.end());
    for (const CacheSpan& span : run.own) {
      for (int64_t i = 0; i < span.count; ++i) layout.slots.push_back(span.begin + i);
    }
    for (const TokenId token : run.tokens) {
      if (token < 0 || token >= config.vocabulary_size) {
        throw Error(ErrorKind::kInternal, "token id " + std::to_string(token) + " is outside the vocabulary");
      }
      if (position >= config.context_length) {
        throw Error(ErrorKind::kInternal, "a sequence is longer than the model's context of " +
                                              std::to_string(config.context_length) + " tokens");
      }
      tokens.push_back(token);
      attention.positions.push_back(position);
      positions.push_back(position++);
    }
    layout.runs.push_back(std::move(attention));
  }
  if (layout.slots.size() != tokens.size())
    throw Error(ErrorKind::kInternal, "a run has not one cache slot a token");
  layout.tokens = at::tensor(tokens, at::kLong);
  layout.positions = at::tensor(positions, at::kLong);
  return layout;
}

// Keeps only the queries of the wanted rows (ascending), which are renumbered from 0.
std::vector<AttentionRun> KeepQueries(const std::vector<AttentionRun>& runs,
                                      const std::vector<int64_t>& rows) {
  std::vector<AttentionRun> kept;
  size_t next = 0;
  for (const AttentionRun& run : runs) {
    AttentionRun reduced;
    reduced.first_query = static_cast<int64_t>(next);
    const int64_t end = run.first_query + static_cast<int64_t>(run.positions.size());
    for (; next < rows.size() && rows[next] < end; ++next) {
      reduced.positions.push_back(run.positions[static_cast<size_t>(rows[next] - run.first_query)]);
    }
    if (reduced.positions.empty()) continue;
    reduced.spans = run.spans;
    kept.push_back(std::move(reduced));
  }
  return kept;
}

}  // namespace

at::Tensor Decoder::Forward(const std::vector<TokenRun>& runs, KvCache& cache,
                            const std::vector<int64_t>& rows) const {
  const c10::InferenceMode no_gradients;
  const ModelConfig& config = model_.config;
  Layout layout = LayOut(runs, config);
  const int64_t n = layout.tokens.size(0);
  at::Tensor positions = layout.positions;
  at::Tensor hidden = model_.embedding.linear->Rows(layout.tokens).to(device_);
  const auto forward = [&](std::initializer_list<const LinearSlot*> slots, const at::Tensor& x) {
    std::vector<const Linear*> linears;
    for (const LinearSlot* slot : slots) linears.push_back(slot->linear.get());
    return ForwardAll(linears, x, execution_);
  };
  const auto heads = [&](const at::Tensor& x, int64_t count) {
    return x.view({x.size(0), count, config.head_size});
  };
  at::Tensor down;  // of the block before, not yet added to `hidden`
  for (size_t i = 0; i < model_.blocks.size(); ++i) {
    const Block& block = model_.blocks[i];
    at::Tensor x = i == 0 ? RmsNorm(hidden, block.attention_norm, config.norm_epsilon)
                          : AddRmsNorm(hidden, down, block.attention_norm, config.norm_epsilon);
    // In the last block only the wanted rows go on.
    const bool fewer = i + 1 == model_.blocks.size() && static_cast<int64_t>(rows.size()) < n;
    const std::vector<at::Tensor> projected =
        fewer ? forward({&block.k, &block.v}, x) : forward({&block.k, &block.v, &block.q}, x);
    at::Tensor k = heads(projected[0], config.kv_head_count);
    Rotate(k, positions, cosines_, sines_);
    cache.Store(static_cast<int64_t>(i), k, heads(projected[1], config.kv_head_count), layout.slots);
    at::Tensor q;
    if (fewer) {
      const at::Tensor index = at::tensor(rows, at::kLong);
      x = x.index_select(0, index.to(device_));
      hidden = hidden.index_select(0, index.to(device_));
      positions = positions.index_select(0, index);
      layout.runs = KeepQueries(layout.runs, rows);
      q = heads(forward({&block.q}, x)[0], config.head_count);
    } else {
      q = heads(projected[2], config.head_count);
    }
    Rotate(q, positions, cosines_, sines_);
    const KvCache::Opened past = cache.Open(static_cast<int64_t>(i), layout.runs);
    const at::Tensor mixed = Attention(q, layout.runs, past.keys, past.values, config.sliding_window);
    x = AddRmsNorm(hidden, forward({&block.o}, mixed)[0], block.mlp_norm, config.norm_epsilon);
    const std::vector<at::Tensor> wide = forward({&block.gate, &block.up}, x);
    down = forward({&block.down}, SwiGlu(wide[0], wide[1]))[0];
  }
  return AddRmsNorm(hidden, down, model_.final_norm, config.norm_epsilon);
}

at::Tensor Decoder::Logits(const at::Tensor& hidden) const {
  const c10::InferenceMode no_gradients;
  return ForwardAll({&model_.HeadLinear()}, hidden, execution_)[0];
}

}  // namespace tnb
