// models/ holds what is compressed: the decoder, its linears and weights with their kernels,
// tokenizers, checkpoint file formats and the training step. It knows nothing of methods, tasks or
// the driver.
//
// ModelConfig is the shape of a LLaMA-family decoder (LLaMA-2/3, Mistral, Zephyr, SmolLM2, TinyLlama,
// Qwen2): pre-norm RMSNorm blocks, rotary positions, grouped-query attention, SwiGLU.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"

namespace tnb {

// Rotary position embedding (RoFormer, arXiv 2104.09864) with the scalings of Hugging Face configs.
struct RopeConfig {
  enum class Scaling { kNone, kLinear, kLlama3 };
  double theta = 10000.0;
  Scaling scaling = Scaling::kNone;
  double factor = 1.0;
  // llama3 scaling only (LLaMA-3.1): wavelengths longer than original/low are divided by factor,
  // shorter than original/high kept, interpolated between.
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  int64_t original_context_length = 8192;
};

struct ModelConfig {
  std::string architecture = "llama";  // llama | mistral | qwen2
  int64_t vocabulary_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t block_count = 0;
  int64_t head_count = 0;
  int64_t kv_head_count = 0;
  int64_t head_size = 0;
  int64_t context_length = 0;  // max_position_embeddings
  int64_t sliding_window = 0;  // tokens a query may look back, itself included; 0: no limit
  double norm_epsilon = 1e-5;
  bool tied_head = false;       // the head is the embedding matrix
  bool attention_bias = false;  // q, k, v carry a bias (Qwen2)
  RopeConfig rope;

  // Throws Error{kData} naming the field when a size is absent, not positive, absurdly large, or when
  // heads do not divide; `where` is the file named in the error.
  void Validate(const std::string& where) const;
  // Parameters of the dense model: embedding, head unless tied, blocks, norms, biases.
  int64_t ParameterCount() const;

  bool operator==(const ModelConfig&) const = default;
};

inline bool operator==(const RopeConfig& a, const RopeConfig& b) {
  return a.theta == b.theta && a.scaling == b.scaling && a.factor == b.factor &&
         a.low_frequency_factor == b.low_frequency_factor &&
         a.high_frequency_factor == b.high_frequency_factor &&
         a.original_context_length == b.original_context_length;
}

// The JSON form used in artefacts and in the known-model list (keys are the member names above).
Json ToJson(const ModelConfig& config);
ModelConfig ConfigFromJson(const Json& json, const std::string& where);
// A Hugging Face config.json of a supported architecture; Error{kUnsupported} names what is not.
ModelConfig ConfigFromHuggingFace(const Json& json, const std::string& where);

}  // namespace tnb
