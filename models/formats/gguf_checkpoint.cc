// GGUF models of the llama and qwen2 architectures (llama.cpp, gguf-py/gguf/constants.py for the names). For
// llama the converter stores q and k with interleaved rotary pairs, for qwen2 in Hugging Face's half-split
// order.
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>

#include "base/error.h"
#include "models/formats/gguf.h"
#include "models/formats/mapped_checkpoint.h"
#include "models/formats/names.h"

namespace tnb {
namespace {

constexpr NameTable::Row kWhole[] = {
    {"token_embd.weight", "embedding"}, {"output_norm.weight", "final_norm"}, {"output.weight", "head"}};
constexpr NameTable::Row kBlock[] = {{"attn_norm.weight", "attention_norm"},
                                     {"ffn_norm.weight", "mlp_norm"},
                                     {"attn_q.weight", "q"},
                                     {"attn_k.weight", "k"},
                                     {"attn_v.weight", "v"},
                                     {"attn_output.weight", "o"},
                                     {"attn_q.bias", "q.bias"},
                                     {"attn_k.bias", "k.bias"},
                                     {"attn_v.bias", "v.bias"},
                                     {"ffn_gate.weight", "gate"},
                                     {"ffn_up.weight", "up"},
                                     {"ffn_down.weight", "down"}};
constexpr NameTable kNames = {kWhole, "blk.", kBlock};

constexpr char kRopeFactors[] = "rope_freqs.weight";

[[noreturn]] void Unsupported(const GgufFile& file, const std::string& key, const std::string& expected,
                              const std::string& found) {
  throw Error(ErrorKind::kUnsupported, {"'" + key + "' of this model is not supported", expected, found,
                                        file.path().string(), "take a plain llama, mistral or qwen2 model"});
}

// What llama3 scaling divides the frequency of pair `pair` by.
double Llama3Divisor(const RopeConfig& rope, int64_t pair, int64_t head_size) {
  const double frequency =
      std::pow(rope.theta, -2.0 * static_cast<double>(pair) / static_cast<double>(head_size));
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double context = static_cast<double>(rope.original_context_length);
  if (wavelength < context / rope.high_frequency_factor) return 1.0;
  if (wavelength > context / rope.low_frequency_factor) return rope.factor;
  const double smooth = (context / wavelength - rope.low_frequency_factor) /
                        (rope.high_frequency_factor - rope.low_frequency_factor);
  return 1.0 / ((1 - smooth) / rope.factor + smooth);
}

// The converter keeps only the divisors of llama3 scaling. All released models use the defaults of
// RopeConfig, so the scaling is recovered from the largest divisor and then proved on every other.
void RecognizeLlama3(const GgufFile& file, const std::string& prefix, ModelConfig* config) {
  const GgufTensor* tensor = file.FindTensor(kRopeFactors);
  if (tensor == nullptr) return;
  const int64_t pairs = config->head_size / 2;
  if (std::string_view(tensor->format->name) != "F32" || tensor->shape != std::vector<int64_t>{pairs}) {
    throw Error(ErrorKind::kData,
                {std::string("tensor '") + kRopeFactors + "'", std::to_string(pairs) + " F32 values",
                 tensor->format->name, file.path().string(), ""});
  }
  std::vector<float> divisors(static_cast<size_t>(pairs));
  std::memcpy(divisors.data(), tensor->data, tensor->bytes);
  RopeConfig rope = config->rope;
  rope.factor = divisors.back();
  rope.scaling = rope.factor == 1.0 ? RopeConfig::Scaling::kNone : RopeConfig::Scaling::kLlama3;
  rope.original_context_length =
      file.GetInt(prefix + "rope.scaling.original_context_length", rope.original_context_length);
  for (int64_t i = 0; i < pairs; ++i) {
    const double expected = rope.factor == 1.0 ? 1.0 : Llama3Divisor(rope, i, config->head_size);
    // The converter computes in fp32; around a wavelength limit 1e-3 covers its rounding.
    if (std::abs(divisors[static_cast<size_t>(i)] - expected) <= 1e-3 * expected) continue;
    Unsupported(file, kRopeFactors, "the divisors of llama3 scaling",
                "pair " + std::to_string(i) + ": " + std::to_string(divisors[static_cast<size_t>(i)]) +
                    " instead of " + std::to_string(expected));
  }
  config->rope = rope;
}

RopeConfig ReadRope(const GgufFile& file, const std::string& prefix) {
  RopeConfig rope;
  rope.theta = file.GetFloat(prefix + "rope.freq_base", rope.theta);
  const std::string type = file.GetString(prefix + "rope.scaling.type", "linear");
  const double factor =
      file.GetFloat(prefix + "rope.scaling.factor", file.GetFloat(prefix + "rope.scale_linear", 1.0));
  if (type == "none" || factor == 1.0 || factor == 0.0) return rope;  // llama.cpp reads 0 as "none"
  if (type != "linear") Unsupported(file, prefix + "rope.scaling.type", "none or linear", type);
  rope.scaling = RopeConfig::Scaling::kLinear;
  rope.factor = factor;
  return rope;
}

ModelConfig ReadConfig(const GgufFile& file, const std::string& architecture) {
  const std::string prefix = architecture + ".";
  for (const char* key : {"attention.scale", "logit_scale", "embedding_scale", "residual_scale"}) {
    if (file.Has(prefix + key))
      Unsupported(file, prefix + key, "absent", std::to_string(file.GetFloat(prefix + key)));
  }
  if (file.GetInt(prefix + "expert_count", 0) > 0) Unsupported(file, prefix + "expert_count", "0", "more");
  if (!file.GetBool(prefix + "attention.causal", true)) {
    Unsupported(file, prefix + "attention.causal", "true", "false");
  }
  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    throw Error(ErrorKind::kData,
                {"tensor 'embedding' is missing", "token_embd.weight with two dimensions", "",
                 file.path().string(), "the file holds a vocabulary only or is incomplete"});
  }
  ModelConfig config;
  config.architecture = architecture;
  config.vocabulary_size = file.GetInt(prefix + "vocab_size", embedding->shape[0]);
  config.hidden_size = file.GetInt(prefix + "embedding_length");
  config.intermediate_size = file.GetInt(prefix + "feed_forward_length");
  config.block_count = file.GetInt(prefix + "block_count");
  config.head_count = file.GetInt(prefix + "attention.head_count");
  config.kv_head_count = file.GetInt(prefix + "attention.head_count_kv", config.head_count);
  const bool has_head_size = file.Has(prefix + "attention.key_length");
  if (config.head_count <= 0 || (!has_head_size && config.hidden_size % config.head_count != 0)) {
    throw Error(ErrorKind::kData,
                {"metadata '" + prefix + "attention.head_count'", "a divisor of embedding_length",
                 std::to_string(config.head_count), file.path().string(), ""});
  }
  config.head_size = file.GetInt(prefix + "attention.key_length", config.hidden_size / config.head_count);
  for (const char* key : {"attention.value_length", "rope.dimension_count"}) {
    const int64_t size = file.GetInt(prefix + key, config.head_size);
    if (size != config.head_size) {
      Unsupported(file, prefix + key, std::to_string(config.head_size), std::to_string(size));
    }
  }
  config.context_length = file.GetInt(prefix + "context_length");
  config.sliding_window = file.GetInt(prefix + "attention.sliding_window", 0);
  config.norm_epsilon = file.GetFloat(prefix + "attention.layer_norm_rms_epsilon");
  config.tied_head = file.FindTensor("output.weight") == nullptr;
  config.attention_bias = file.FindTensor("blk.0.attn_q.bias") != nullptr;
  config.rope = ReadRope(file, prefix);
  config.Validate(file.path().string());
  RecognizeLlama3(file, prefix, &config);
  return config;
}

}  // namespace

std::unique_ptr<Checkpoint> OpenGguf(const std::filesystem::path& path) {
  const GgufFile file(path);
  const std::string architecture = file.GetString("general.architecture");
  if (architecture != "llama" && architecture != "qwen2") {
    Unsupported(file, "general.architecture", "llama (LLaMA, Mistral, SmolLM2 ...) or qwen2", architecture);
  }
  if (file.GetInt("split.count", 1) > 1) {
    Unsupported(file, "split.count", "one file; merge the parts with llama-gguf-split --merge",
                std::to_string(file.GetInt("split.count")));
  }
  const ModelConfig config = ReadConfig(file, architecture);
  std::vector<StoredTensor> stored;
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name == kRopeFactors) continue;
    const std::string canonical = CanonicalName(kNames, tensor.name);
    const bool rotary = canonical.ends_with(".q") || canonical.ends_with(".k") ||
                        canonical.ends_with(".q.bias") || canonical.ends_with(".k.bias");
    stored.push_back({canonical.empty() ? tensor.name : canonical, tensor.name, tensor.format->name,
                      tensor.shape, tensor.data, tensor.bytes, file.map(),
                      rotary && architecture == "llama"});
  }
  TokenizerSource tokenizer;
  if (file.Has("tokenizer.ggml.tokens")) tokenizer = {TokenizerSource::Kind::kGguf, path};
  return std::make_unique<MappedCheckpoint>(config, std::move(stored), tokenizer, path);
}

}  // namespace tnb
