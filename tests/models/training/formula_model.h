// The small model of golden.py: weights by a formula, so that no file has to be shared.
#pragma once

#include <ATen/ATen.h>

#include <cmath>

#include "models/engine/statistics.h"

namespace tnb::testing {

inline ModelConfig FormulaConfig() {
  ModelConfig config;
  config.vocabulary_size = 61;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.block_count = 2;
  config.head_count = 4;
  config.kv_head_count = 2;
  config.head_size = 8;
  config.context_length = 64;
  config.tied_head = true;
  return config;
}

inline at::Tensor FormulaValues(int64_t index, std::vector<int64_t> shape) {
  const bool norm = shape.size() == 1;
  at::Tensor values = at::empty(shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double wave = std::sin(0.7 * static_cast<double>(index) + 0.37 * static_cast<double>(i) +
                                 0.013 * static_cast<double>((i * i) % 97));
    out[i] =
        static_cast<float>(norm ? 1 + 0.1 * wave : wave * 1.2 / std::sqrt(static_cast<double>(shape.back())));
  }
  return values;
}

// `offset`: another one is another model.
inline ModelParts FormulaParts(int64_t offset, const ModelConfig& config = FormulaConfig()) {
  const auto place = [offset](int64_t block, int64_t part) { return offset + 1 + 9 * block + part; };
  const auto norm = [=](const std::string& name, int64_t size) {
    if (name == "final_norm") return FormulaValues(place(config.block_count, 0), {size});
    return FormulaValues(place(std::stoll(name.substr(7)), name.ends_with("mlp_norm") ? 1 : 0), {size});
  };
  const auto linear = [=](const LinearSlot& slot, int64_t rows, int64_t cols) {
    const int64_t index =
        slot.kind == LinearKind::kEmbedding ? offset : place(slot.block, 2 + static_cast<int64_t>(slot.kind));
    return MakeDenseLinear(MakeDenseWeight(FormulaValues(index, {rows, cols})));
  };
  return {config, norm, linear};
}

inline Model FormulaModel(int64_t offset, const ModelConfig& config = FormulaConfig()) {
  const ModelParts parts = FormulaParts(offset, config);
  return BuildModel(parts.config, parts.norm, parts.linear);
}

}  // namespace tnb::testing
