#include "models/config.h"

#include <cmath>

#include "base/error.h"

namespace tnb {
namespace {

constexpr const char* kScalingNames[] = {"none", "linear", "llama3"};

void CheckSize(const char* field, int64_t value, int64_t least, int64_t most, const std::string& where) {
  if (value >= least && value <= most) return;
  throw Error(ErrorKind::kData,
              {std::string("field '") + field + "' is out of range",
               std::to_string(least) + " to " + std::to_string(most), std::to_string(value), where,
               "the configuration is damaged or not that of a LLaMA-family decoder"});
}

void CheckNumber(const char* field, double value, bool good, const char* expected, const std::string& where) {
  if (std::isfinite(value) && good) return;
  throw Error(ErrorKind::kData,
              {std::string("field '") + field + "'", expected, std::to_string(value), where, ""});
}

[[noreturn]] void Unsupported(const std::string& key, const std::string& expected, const Json& found,
                              const std::string& where) {
  throw Error(ErrorKind::kUnsupported,
              {"'" + key + "' of this model is not supported", expected,
               found.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80), where,
               "take a plain llama, mistral or qwen2 checkpoint"});
}

// The rotary fields: "rope_theta" and "rope_scaling", or both in "rope_parameters" (transformers 5).
RopeConfig RopeFromHuggingFace(const Json& json, const std::string& where) {
  RopeConfig rope;
  rope.theta = Optional<double>(json, "rope_theta", 10000.0, where);
  const std::string key = json.contains("rope_parameters") && !json["rope_parameters"].is_null()
                              ? "rope_parameters"
                              : "rope_scaling";
  if (!json.contains(key) || json[key].is_null()) return rope;
  const Json& scaling = json[key];
  if (!scaling.is_object()) Unsupported(key, "an object", scaling, where);
  const std::string inside = where + ", " + key;
  for (const auto& [name, value] : scaling.items()) {
    if (value.is_object()) Unsupported(key + "." + name, "one setting for all layers", value, where);
  }
  rope.theta = Optional<double>(scaling, "rope_theta", rope.theta, inside);
  if (Optional<double>(scaling, "partial_rotary_factor", 1.0, inside) != 1.0) {
    Unsupported(key + ".partial_rotary_factor", "1", scaling["partial_rotary_factor"], where);
  }
  const std::string type = Optional<std::string>(
      scaling, "rope_type", Optional<std::string>(scaling, "type", "default", inside), inside);
  if (type == "default") return rope;
  if (type != "linear" && type != "llama3")
    Unsupported(key + ".rope_type", "default, linear or llama3", type, where);
  rope.factor = Require<double>(scaling, "factor", inside);
  rope.scaling = type == "linear" ? RopeConfig::Scaling::kLinear : RopeConfig::Scaling::kLlama3;
  if (rope.scaling == RopeConfig::Scaling::kLlama3) {
    rope.low_frequency_factor = Require<double>(scaling, "low_freq_factor", inside);
    rope.high_frequency_factor = Require<double>(scaling, "high_freq_factor", inside);
    rope.original_context_length = Require<int64_t>(scaling, "original_max_position_embeddings", inside);
  }
  return rope;
}

// The window that every layer uses, with the defaults of transformers' configuration classes; 0 without one.
int64_t WindowFromHuggingFace(const Json& json, const ModelConfig& config, const std::string& where) {
  if (config.architecture == "llama") return 0;
  if (config.architecture == "mistral") {
    const bool null = json.contains("sliding_window") && json["sliding_window"].is_null();
    return null ? 0 : Optional<int64_t>(json, "sliding_window", 4096, where);
  }
  if (!Optional<bool>(json, "use_sliding_window", false, where)) return 0;
  const int64_t window = Optional<int64_t>(json, "sliding_window", 0, where);
  int64_t windowed = 0;  // layers with the window
  if (json.contains("layer_types") && json["layer_types"].is_array()) {
    for (const Json& type : json["layer_types"]) windowed += type == "sliding_attention" ? 1 : 0;
  } else {
    windowed = config.block_count - Optional<int64_t>(json, "max_window_layers", 28, where);
  }
  if (windowed <= 0) return 0;
  if (windowed < config.block_count)
    Unsupported("max_window_layers", "the same window in all layers", windowed, where);
  return window;
}

}  // namespace

void ModelConfig::Validate(const std::string& where) const {
  if (architecture != "llama" && architecture != "mistral" && architecture != "qwen2") {
    throw Error(ErrorKind::kUnsupported,
                {"architecture", "llama, mistral or qwen2", architecture, where, ""});
  }
  // Generous bounds under which no product of sizes overflows.
  CheckSize("vocabulary_size", vocabulary_size, 1, 1 << 24, where);
  CheckSize("hidden_size", hidden_size, 2, 1 << 18, where);
  CheckSize("intermediate_size", intermediate_size, 2, 1 << 20, where);
  CheckSize("block_count", block_count, 1, 10000, where);
  CheckSize("head_count", head_count, 1, 1 << 14, where);
  CheckSize("kv_head_count", kv_head_count, 1, head_count, where);
  CheckSize("head_size", head_size, 2, 1 << 14, where);
  CheckSize("context_length", context_length, 1, int64_t{1} << 31, where);
  CheckSize("sliding_window", sliding_window, 0, int64_t{1} << 31, where);
  CheckSize("rope.original_context_length", rope.original_context_length, 1, int64_t{1} << 31, where);
  if (head_count % kv_head_count != 0) {
    throw Error(ErrorKind::kData,
                {"field 'kv_head_count' does not divide 'head_count'",
                 "a divisor of " + std::to_string(head_count), std::to_string(kv_head_count), where, ""});
  }
  if (head_size % 2 != 0) {
    throw Error(ErrorKind::kData,
                {"field 'head_size'", "an even number", std::to_string(head_size), where, ""});
  }
  CheckNumber("norm_epsilon", norm_epsilon, norm_epsilon >= 0 && norm_epsilon < 1, "0 to 1", where);
  CheckNumber("rope.theta", rope.theta, rope.theta > 0, "a positive number", where);
  CheckNumber("rope.factor", rope.factor, rope.factor > 0, "a positive number", where);
  CheckNumber("rope.low_frequency_factor", rope.low_frequency_factor, rope.low_frequency_factor > 0,
              "a positive number", where);
  CheckNumber(
      "rope.high_frequency_factor", rope.high_frequency_factor,
      rope.scaling != RopeConfig::Scaling::kLlama3 || rope.high_frequency_factor > rope.low_frequency_factor,
      "more than low_frequency_factor", where);
}

int64_t ModelConfig::ParameterCount() const {
  const int64_t q = head_count * head_size;
  const int64_t kv = kv_head_count * head_size;
  const int64_t bias = attention_bias ? q + 2 * kv : 0;
  const int64_t block =
      2 * hidden_size * (q + kv) + bias + 3 * hidden_size * intermediate_size + 2 * hidden_size;
  return vocabulary_size * hidden_size * (tied_head ? 1 : 2) + block_count * block + hidden_size;
}

Json ToJson(const ModelConfig& config) {
  return {{"architecture", config.architecture},
          {"vocabulary_size", config.vocabulary_size},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"block_count", config.block_count},
          {"head_count", config.head_count},
          {"kv_head_count", config.kv_head_count},
          {"head_size", config.head_size},
          {"context_length", config.context_length},
          {"sliding_window", config.sliding_window},
          {"norm_epsilon", config.norm_epsilon},
          {"tied_head", config.tied_head},
          {"attention_bias", config.attention_bias},
          {"rope",
           {{"theta", config.rope.theta},
            {"scaling", kScalingNames[static_cast<int>(config.rope.scaling)]},
            {"factor", config.rope.factor},
            {"low_frequency_factor", config.rope.low_frequency_factor},
            {"high_frequency_factor", config.rope.high_frequency_factor},
            {"original_context_length", config.rope.original_context_length}}}};
}

ModelConfig ConfigFromJson(const Json& json, const std::string& where) {
  const ModelConfig defaults;
  ModelConfig config;
  config.architecture = Require<std::string>(json, "architecture", where);
  config.vocabulary_size = Require<int64_t>(json, "vocabulary_size", where);
  config.hidden_size = Require<int64_t>(json, "hidden_size", where);
  config.intermediate_size = Require<int64_t>(json, "intermediate_size", where);
  config.block_count = Require<int64_t>(json, "block_count", where);
  config.head_count = Require<int64_t>(json, "head_count", where);
  config.kv_head_count = Require<int64_t>(json, "kv_head_count", where);
  config.head_size = Require<int64_t>(json, "head_size", where);
  config.context_length = Require<int64_t>(json, "context_length", where);
  config.sliding_window = Optional(json, "sliding_window", defaults.sliding_window, where);
  config.norm_epsilon = Optional(json, "norm_epsilon", defaults.norm_epsilon, where);
  config.tied_head = Optional(json, "tied_head", defaults.tied_head, where);
  config.attention_bias = Optional(json, "attention_bias", defaults.attention_bias, where);
  if (json.contains("rope")) {
    const Json& rope = json["rope"];
    const std::string inside = where + ", rope";
    config.rope.theta = Require<double>(rope, "theta", inside);
    const std::string scaling = Optional<std::string>(rope, "scaling", "none", inside);
    if (scaling == kScalingNames[1]) {
      config.rope.scaling = RopeConfig::Scaling::kLinear;
    } else if (scaling == kScalingNames[2]) {
      config.rope.scaling = RopeConfig::Scaling::kLlama3;
    } else if (scaling != kScalingNames[0]) {
      throw Error(ErrorKind::kData, {"field 'scaling'", "none, linear or llama3", scaling, inside, ""});
    }
    config.rope.factor = Optional(rope, "factor", defaults.rope.factor, inside);
    config.rope.low_frequency_factor =
        Optional(rope, "low_frequency_factor", defaults.rope.low_frequency_factor, inside);
    config.rope.high_frequency_factor =
        Optional(rope, "high_frequency_factor", defaults.rope.high_frequency_factor, inside);
    config.rope.original_context_length =
        Optional(rope, "original_context_length", defaults.rope.original_context_length, inside);
  }
  config.Validate(where);
  return config;
}

ModelConfig ConfigFromHuggingFace(const Json& json, const std::string& where) {
  ModelConfig config;
  config.architecture = Require<std::string>(json, "model_type", where);
  if (config.architecture != "llama" && config.architecture != "mistral" && config.architecture != "qwen2") {
    Unsupported("model_type", "llama, mistral or qwen2", json["model_type"], where);
  }
  for (const char* key : {"quantization_config", "num_local_experts", "num_experts"}) {
    if (json.contains(key) && !json[key].is_null()) Unsupported(key, "absent", json[key], where);
  }
  const std::string activation = Optional<std::string>(json, "hidden_act", "silu", where);
  if (activation != "silu" && activation != "swish") Unsupported("hidden_act", "silu", activation, where);
  if (Optional<bool>(json, "mlp_bias", false, where)) Unsupported("mlp_bias", "false", true, where);
  if (Optional<double>(json, "partial_rotary_factor", 1.0, where) != 1.0) {
    Unsupported("partial_rotary_factor", "1", json["partial_rotary_factor"], where);
  }
  config.vocabulary_size = Require<int64_t>(json, "vocab_size", where);
  config.hidden_size = Require<int64_t>(json, "hidden_size", where);
  config.intermediate_size = Require<int64_t>(json, "intermediate_size", where);
  config.block_count = Require<int64_t>(json, "num_hidden_layers", where);
  config.head_count = Require<int64_t>(json, "num_attention_heads", where);
  config.context_length = Require<int64_t>(json, "max_position_embeddings", where);
  // Only the llama class of transformers falls back to as many key-value heads as heads.
  config.kv_head_count = config.architecture == "llama"
                             ? Optional(json, "num_key_value_heads", config.head_count, where)
                             : Require<int64_t>(json, "num_key_value_heads", where);
  CheckSize("num_attention_heads", config.head_count, 1, 1 << 14, where);
  const bool has_head_size = json.contains("head_dim") && !json["head_dim"].is_null();
  if (!has_head_size && config.hidden_size % config.head_count != 0) {
    throw Error(ErrorKind::kData, {"field 'num_attention_heads' does not divide 'hidden_size'",
                                   "a divisor of " + std::to_string(config.hidden_size),
                                   std::to_string(config.head_count), where, ""});
  }
  config.head_size = Optional(json, "head_dim", config.hidden_size / config.head_count, where);
  config.norm_epsilon = Optional(json, "rms_norm_eps", 1e-6, where);
  config.tied_head = Optional(json, "tie_word_embeddings", false, where);
  config.attention_bias = config.architecture == "qwen2" || Optional(json, "attention_bias", false, where);
  config.rope = RopeFromHuggingFace(json, where);
  config.sliding_window = WindowFromHuggingFace(json, config, where);
  config.Validate(where);
  return config;
}

}  // namespace tnb
