#include "models/config.h"

#include <string>
#include <utility>
#include <vector>

#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

ModelConfig From(const Json& changes) {
  Json json = HuggingFaceConfig(TinyConfig());
  json.merge_patch(changes);
  return ConfigFromHuggingFace(json, "config.json");
}

std::string ErrorFrom(ErrorKind kind, const Json& json) {
  return ErrorOf(kind, [&] { ConfigFromHuggingFace(json, "config.json"); });
}

std::string Unsupported(const Json& changes) {
  Json json = HuggingFaceConfig(TinyConfig());
  json.update(changes);
  return ErrorFrom(ErrorKind::kUnsupported, json);
}

}  // namespace

TEST_CASE("a config survives its JSON form") {
  ModelConfig config = TinyConfig();
  config.architecture = "mistral";
  config.sliding_window = 8;
  config.norm_epsilon = 1e-6;
  config.tied_head = true;
  config.attention_bias = true;
  config.rope = {500000.0, RopeConfig::Scaling::kLlama3, 32.0, 1.5, 4.5, 4096};
  CHECK(ConfigFromJson(ParseJson(ToJson(config).dump(), "x"), "x") == config);
  config.rope = {10000.0, RopeConfig::Scaling::kLinear, 2.0};
  CHECK(ConfigFromJson(ToJson(config), "x") == config);
  Json json = ToJson(config);
  json["rope"]["scaling"] = "yarn";
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { ConfigFromJson(json, "x"); }), Contains("yarn"));
  json = ToJson(config);
  json.erase("head_size");
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { ConfigFromJson(json, "x"); }), Contains("head_size"));
}

TEST_CASE("parameters are counted as the model cards count them") {
  // SmolLM2-135M, and Qwen2-0.5B with its biases: 494,032,768 parameters.
  ModelConfig config{"llama", 49152, 576, 1536, 30, 9, 3, 64, 8192};
  config.tied_head = true;
  CHECK(config.ParameterCount() == 134515008);
  config = ModelConfig{"qwen2", 151936, 896, 4864, 24, 14, 2, 64, 131072};
  config.tied_head = true;
  config.attention_bias = true;
  CHECK(config.ParameterCount() == 494032768);
}

TEST_CASE("Hugging Face configs of the three architectures") {
  CHECK(From(Json::object()) == TinyConfig());
  CHECK(From({{"head_dim", 16}}).head_size == 16);
  CHECK(From({{"num_key_value_heads", nullptr}}).kv_head_count == 4);
  CHECK(From({{"rms_norm_eps", nullptr}}).norm_epsilon == 1e-6);
  CHECK(From({{"sliding_window", 8}}).sliding_window == 0);  // the llama class has none
  CHECK(From({{"attention_bias", true}}).attention_bias);
  CHECK(From({{"model_type", "mistral"}, {"sliding_window", 8}}).sliding_window == 8);
  CHECK(From({{"model_type", "mistral"}}).sliding_window == 4096);
  Json mistral = HuggingFaceConfig(TinyConfig());
  mistral["model_type"] = "mistral";
  mistral["sliding_window"] = nullptr;
  CHECK(ConfigFromHuggingFace(mistral, "x").sliding_window == 0);
  mistral.erase("num_key_value_heads");
  CHECK_THAT(ErrorFrom(ErrorKind::kData, mistral), Contains("num_key_value_heads"));
  CHECK(From({{"model_type", "qwen2"}}).attention_bias);
  CHECK(From({{"model_type", "qwen2"}, {"sliding_window", 8}}).sliding_window == 0);
  const Json windowed = {{"model_type", "qwen2"}, {"sliding_window", 8}, {"use_sliding_window", true}};
  Json layers = windowed;
  layers["max_window_layers"] = 2;
  CHECK(From(layers).sliding_window == 0);
  layers["max_window_layers"] = 0;
  CHECK(From(layers).sliding_window == 8);
  layers["max_window_layers"] = 1;
  CHECK_THAT(Unsupported(layers), Contains("max_window_layers"));
  layers["layer_types"] = {"sliding_attention", "sliding_attention"};
  CHECK(From(layers).sliding_window == 8);
  layers["layer_types"] = {"full_attention", "sliding_attention"};
  CHECK_THAT(Unsupported(layers), Contains("max_window_layers"));
}

TEST_CASE("rotary settings in all their spellings") {
  CHECK(From({{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}}).rope ==
        RopeConfig{10000.0, RopeConfig::Scaling::kLinear, 2.0});
  const Json llama3 = {{"rope_type", "llama3"},
                       {"factor", 32.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 8192}};
  const RopeConfig expected{500000.0, RopeConfig::Scaling::kLlama3, 32.0, 1.0, 4.0, 8192};
  CHECK(From({{"rope_theta", 500000.0}, {"rope_scaling", llama3}}).rope == expected);
  Json parameters = llama3;
  parameters["rope_theta"] = 500000.0;
  CHECK(From({{"rope_theta", nullptr}, {"rope_parameters", parameters}}).rope == expected);
  CHECK(From({{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 2e4}}}}).rope ==
        RopeConfig{20000.0});
  CHECK(From({{"rope_scaling", nullptr}}).rope == RopeConfig{});
  Json incomplete = llama3;
  incomplete.erase("low_freq_factor");
  Json json = HuggingFaceConfig(TinyConfig());
  json["rope_scaling"] = incomplete;
  CHECK_THAT(ErrorFrom(ErrorKind::kData, json), Contains("low_freq_factor"));
}

TEST_CASE("what is not supported is named") {
  CHECK_THAT(Unsupported({{"model_type", "mixtral"}}), Contains("model_type") && Contains("mixtral"));
  CHECK_THAT(Unsupported({{"hidden_act", "gelu"}}), Contains("hidden_act") && Contains("gelu"));
  CHECK_THAT(Unsupported({{"num_local_experts", 8}}), Contains("num_local_experts"));
  CHECK_THAT(Unsupported({{"quantization_config", {{"bits", 4}}}}), Contains("quantization_config"));
  CHECK_THAT(Unsupported({{"mlp_bias", true}}), Contains("mlp_bias"));
  CHECK_THAT(Unsupported({{"partial_rotary_factor", 0.5}}), Contains("partial_rotary_factor"));
  CHECK_THAT(Unsupported({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}}), Contains("yarn"));
  CHECK_THAT(Unsupported({{"rope_scaling", {{"type", "dynamic"}, {"factor", 4.0}}}}), Contains("dynamic"));
  CHECK_THAT(Unsupported({{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}}),
             Contains("rope_parameters.full_attention"));
}

TEST_CASE("impossible sizes are refused and named") {
  const std::vector<std::pair<std::string, Json>> cases = {
      {"vocab_size", nullptr},    {"vocabulary_size", 0},   {"hidden_size", -32},
      {"hidden_size", 1 << 30},   {"intermediate_size", 0}, {"num_attention_heads", 0},
      {"num_attention_heads", 5}, {"kv_head_count", 3},     {"block_count", 1'000'000'000},
      {"context_length", 0},      {"head_size", 7},         {"norm_epsilon", -1.0},
      {"rope.theta", 0.0},
  };
  const std::map<std::string, std::string> keys = {{"vocabulary_size", "vocab_size"},
                                                   {"kv_head_count", "num_key_value_heads"},
                                                   {"block_count", "num_hidden_layers"},
                                                   {"context_length", "max_position_embeddings"},
                                                   {"head_size", "head_dim"},
                                                   {"norm_epsilon", "rms_norm_eps"},
                                                   {"rope.theta", "rope_theta"}};
  for (const auto& [field, value] : cases) {
    Json json = HuggingFaceConfig(TinyConfig());
    json[keys.contains(field) ? keys.at(field) : field] = value;
    CHECK_THAT(ErrorFrom(ErrorKind::kData, json), Contains("'" + field + "'") && Contains("config.json"));
  }
  Json json = HuggingFaceConfig(TinyConfig());
  json["vocab_size"] = "many";
  CHECK_THAT(ErrorFrom(ErrorKind::kData, json), Contains("vocab_size"));
  CHECK_THAT(ErrorFrom(ErrorKind::kData, Json::array()), Contains("model_type"));
}
