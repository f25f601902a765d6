// A checkpoint with seeded random weights and no file: any small shape a test wants.
#pragma once

#include <map>
#include <random>

#include "models/checkpoint.h"
#include "models/engine/statistics.h"

namespace tnb::testing {

class RandomCheckpoint : public Checkpoint {
 public:
  explicit RandomCheckpoint(const ModelConfig& config, unsigned seed = 1) : config_(config), random_(seed) {
    const int64_t hidden = config.hidden_size, query = config.head_count * config.head_size,
                  key = config.kv_head_count * config.head_size;
    Add("embedding", config.vocabulary_size, hidden);
    for (int64_t i = 0; i < config.block_count; ++i) {
      const std::string prefix = "blocks." + std::to_string(i) + ".";
      Add(prefix + "attention_norm", hidden, 1);
      Add(prefix + "mlp_norm", hidden, 1);
      Add(prefix + "q", query, hidden);
      Add(prefix + "k", key, hidden);
      Add(prefix + "v", key, hidden);
      Add(prefix + "o", hidden, query);
      Add(prefix + "gate", config.intermediate_size, hidden);
      Add(prefix + "up", config.intermediate_size, hidden);
      Add(prefix + "down", hidden, config.intermediate_size);
      if (config.attention_bias) {
        Add(prefix + "q.bias", query, 1);
        Add(prefix + "k.bias", key, 1);
        Add(prefix + "v.bias", key, 1);
      }
    }
    Add("final_norm", hidden, 1);
    if (!config.tied_head) Add("head", config.vocabulary_size, hidden);
  }

  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return infos_; }
  TokenizerSource tokenizer() const override { return {}; }
  std::string ContentHash() const override { return "random"; }
  uint64_t FileBytes() const override { return 0; }
  void Read(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const override {
    const TensorInfo& info = Info(name);
    const std::vector<float>& all = values_.at(name);
    std::copy(all.begin() + row_begin * info.cols, all.begin() + row_end * info.cols, out);
  }
  void Release(const std::string&) const override {}

 private:
  void Add(const std::string& name, int64_t rows, int64_t cols) {
    std::normal_distribution<float> normal(cols == 1 ? 1.0F : 0.0F,
                                           cols == 1 ? 0.1F : 0.4F / std::sqrt(static_cast<float>(cols)) * 2);
    std::vector<float> values(static_cast<size_t>(rows * cols));
    for (float& value : values) value = normal(random_);
    infos_.push_back({name, "F32", rows, cols, values.size() * 4});
    values_[name] = std::move(values);
  }

  ModelConfig config_;
  std::mt19937 random_;
  std::vector<TensorInfo> infos_;
  std::map<std::string, std::vector<float>> values_;
};

inline ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocabulary_size = 131;
  config.hidden_size = 48;
  config.intermediate_size = 100;
  config.block_count = 3;
  config.head_count = 6;
  config.kv_head_count = 2;
  config.head_size = 8;
  config.context_length = 256;
  config.tied_head = true;
  return config;
}

// What statistics are collected from; the checkpoint stays with the caller.
inline ModelParts PartsOf(const Checkpoint& checkpoint) {
  return {checkpoint.config(),
          [&](const std::string& name, int64_t size) {
            at::Tensor values = at::empty({size}, at::kFloat);
            checkpoint.Read(name, 0, size, values.mutable_data_ptr<float>());
            return values;
          },
          [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
            return ReadLinear(checkpoint, slot, rows, cols);
          }};
}

}  // namespace tnb::testing
