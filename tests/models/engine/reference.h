// A plain, slow forward pass in fp32 with loops only: the reference of every faster path. Written to be read;
// shapes and order of operations follow the LLaMA papers and Hugging Face's modeling_llama.
#pragma once

#include <cmath>
#include <vector>

#include "models/checkpoint.h"
#include "models/tokenizer.h"

namespace tnb::testing {

using Row = std::vector<float>;

inline std::vector<Row> ReadMatrix(const Checkpoint& checkpoint, const std::string& name) {
  const TensorInfo& info = checkpoint.Info(name);
  std::vector<Row> rows(static_cast<size_t>(info.rows), Row(static_cast<size_t>(info.cols)));
  for (int64_t r = 0; r < info.rows; ++r)
    checkpoint.Read(name, r, r + 1, rows[static_cast<size_t>(r)].data());
  return rows;
}

inline Row ReadVector(const Checkpoint& checkpoint, const std::string& name) {
  Row values(static_cast<size_t>(checkpoint.Info(name).rows));
  checkpoint.Read(name, 0, checkpoint.Info(name).rows, values.data());
  return values;
}

inline Row Apply(const std::vector<Row>& w, const Row& x, const Row& bias = {}) {
  Row y(w.size());
  for (size_t r = 0; r < w.size(); ++r) {
    float sum = bias.empty() ? 0.0F : bias[r];
    for (size_t c = 0; c < x.size(); ++c) sum += w[r][c] * x[c];
    y[r] = sum;
  }
  return y;
}

inline Row Normalize(const Row& x, const Row& gain, double epsilon) {
  double square = 0;
  for (const float value : x) square += double{value} * value;
  const auto inverse = static_cast<float>(1.0 / std::sqrt(square / static_cast<double>(x.size()) + epsilon));
  Row y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * inverse * gain[i];
  return y;
}

// Inverse frequencies of rotary positions (fp64), with linear and llama3 scaling.
inline std::vector<double> Frequencies(const ModelConfig& config) {
  std::vector<double> frequencies;
  for (int64_t j = 0; j < config.head_size / 2; ++j) {
    double f = 1.0 / std::pow(config.rope.theta,
                              2.0 * static_cast<double>(j) / static_cast<double>(config.head_size));
    if (config.rope.scaling == RopeConfig::Scaling::kLinear) f /= config.rope.factor;
    if (config.rope.scaling == RopeConfig::Scaling::kLlama3) {
      const double wavelength = 2 * 3.14159265358979323846 / f;
      const auto old = static_cast<double>(config.rope.original_context_length);
      const double low = old / config.rope.low_frequency_factor,
                   high = old / config.rope.high_frequency_factor;
      if (wavelength > low) {
        f /= config.rope.factor;
      } else if (wavelength >= high) {
        const double smooth = (old / wavelength - config.rope.low_frequency_factor) /
                              (config.rope.high_frequency_factor - config.rope.low_frequency_factor);
        f = (1 - smooth) * f / config.rope.factor + smooth * f;
      }
    }
    frequencies.push_back(f);
  }
  return frequencies;
}

inline void RotateHeads(Row& x, int64_t head_size, int64_t position, const std::vector<double>& frequencies) {
  const auto half = static_cast<size_t>(head_size / 2);
  for (size_t head = 0; head * 2 * half < x.size(); ++head) {
    for (size_t j = 0; j < half; ++j) {
      const double angle = static_cast<double>(position) * frequencies[j];
      const auto c = static_cast<float>(std::cos(angle)), s = static_cast<float>(std::sin(angle));
      float& a = x[head * 2 * half + j];
      float& b = x[head * 2 * half + half + j];
      const float low = a, high = b;
      a = low * c - high * s;
      b = high * c + low * s;
    }
  }
}

// Logits of every position: [tokens][vocabulary].
inline std::vector<Row> ReferenceLogits(const Checkpoint& checkpoint, const TokenIds& tokens) {
  const ModelConfig& config = checkpoint.config();
  const size_t n = tokens.size();
  const auto size = static_cast<size_t>(config.head_size);
  const auto group = static_cast<size_t>(config.head_count / config.kv_head_count);
  const std::vector<double> frequencies = Frequencies(config);
  const std::vector<Row> embedding = ReadMatrix(checkpoint, "embedding");
  std::vector<Row> hidden;
  for (const TokenId token : tokens) hidden.push_back(embedding[static_cast<size_t>(token)]);
  const auto bias = [&](const std::string& name) {
    return checkpoint.Has(name + ".bias") ? ReadVector(checkpoint, name + ".bias") : Row{};
  };
  for (int64_t block = 0; block < config.block_count; ++block) {
    const std::string prefix = "blocks." + std::to_string(block) + ".";
    const Row attention_norm = ReadVector(checkpoint, prefix + "attention_norm");
    const Row mlp_norm = ReadVector(checkpoint, prefix + "mlp_norm");
    std::vector<Row> q(n), k(n), v(n);
    for (const auto& [name, out] : {std::pair{"q", &q}, std::pair{"k", &k}, std::pair{"v", &v}}) {
      const std::vector<Row> w = ReadMatrix(checkpoint, prefix + name);
      const Row b = bias(prefix + name);
      for (size_t t = 0; t < n; ++t)
        (*out)[t] = Apply(w, Normalize(hidden[t], attention_norm, config.norm_epsilon), b);
    }
    for (size_t t = 0; t < n; ++t) {
      RotateHeads(q[t], config.head_size, static_cast<int64_t>(t), frequencies);
      RotateHeads(k[t], config.head_size, static_cast<int64_t>(t), frequencies);
    }
    const std::vector<Row> o = ReadMatrix(checkpoint, prefix + "o");
    const std::vector<Row> gate = ReadMatrix(checkpoint, prefix + "gate");
    const std::vector<Row> up = ReadMatrix(checkpoint, prefix + "up");
    const std::vector<Row> down = ReadMatrix(checkpoint, prefix + "down");
    for (size_t t = 0; t < n; ++t) {
      const size_t first = config.sliding_window > 0 && t + 1 > static_cast<size_t>(config.sliding_window)
                               ? t + 1 - static_cast<size_t>(config.sliding_window)
                               : 0;
      Row mixed(static_cast<size_t>(config.head_count) * size, 0.0F);
      for (size_t head = 0; head < static_cast<size_t>(config.head_count); ++head) {
        const size_t kv = head / group;
        std::vector<double> p;
        double sum = 0;
        for (size_t s = first; s <= t; ++s) {
          double score = 0;
          for (size_t j = 0; j < size; ++j) score += double{q[t][head * size + j]} * k[s][kv * size + j];
          p.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
          sum += p.back();
        }
        for (size_t s = first; s <= t; ++s) {
          for (size_t j = 0; j < size; ++j) {
            mixed[head * size + j] += static_cast<float>(p[s - first] / sum) * v[s][kv * size + j];
          }
        }
      }
      const Row attention = Apply(o, mixed);
      for (size_t i = 0; i < attention.size(); ++i) hidden[t][i] += attention[i];
      const Row x = Normalize(hidden[t], mlp_norm, config.norm_epsilon);
      Row gated = Apply(gate, x);
      const Row ups = Apply(up, x);
      for (size_t i = 0; i < gated.size(); ++i) gated[i] = gated[i] / (1.0F + std::exp(-gated[i])) * ups[i];
      const Row mlp = Apply(down, gated);
      for (size_t i = 0; i < mlp.size(); ++i) hidden[t][i] += mlp[i];
    }
  }
  const Row final_norm = ReadVector(checkpoint, "final_norm");
  const std::vector<Row> head = checkpoint.Has("head") ? ReadMatrix(checkpoint, "head") : embedding;
  std::vector<Row> logits;
  for (const Row& row : hidden)
    logits.push_back(Apply(head, Normalize(row, final_norm, config.norm_epsilon)));
  return logits;
}

}  // namespace tnb::testing
