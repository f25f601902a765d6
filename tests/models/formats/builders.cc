#include "tests/models/formats/builders.h"

#include <fstream>

#include "models/formats/mapped_checkpoint.h"
#include "models/formats/safetensors.h"

namespace tnb::testing {
namespace {

std::string Counted(const std::string& text) { return Bytes(uint64_t{text.size()}) + text; }

// llama.cpp's convert_hf_to_gguf.py: w.reshape(heads, 2, rows / heads / 2, cols).swapaxes(1, 2).
std::vector<float> Interleave(const std::vector<float>& weights, int64_t heads, int64_t head_size) {
  const int64_t cols = static_cast<int64_t>(weights.size()) / (heads * head_size);
  std::vector<float> permuted;
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t pair = 0; pair < head_size / 2; ++pair) {
      for (int64_t half = 0; half < 2; ++half) {
        const auto row = weights.begin() + (head * head_size + half * head_size / 2 + pair) * cols;
        permuted.insert(permuted.end(), row, row + cols);
      }
    }
  }
  return permuted;
}

std::string Replace(std::string name, const std::vector<std::pair<std::string, std::string>>& replacements) {
  for (const auto& [from, to] : replacements) {
    const size_t at = name.find(from);
    if (at != std::string::npos) return name.replace(at, from.size(), to);
  }
  return name;
}

std::string HuggingFaceName(const std::string& canonical) {
  if (canonical == "embedding") return "model.embed_tokens.weight";
  if (canonical == "head") return "lm_head.weight";
  if (canonical == "final_norm") return "model.norm.weight";
  const bool bias = canonical.ends_with(".bias");
  const std::string name = "model.layers" + canonical.substr(6, canonical.size() - 6 - (bias ? 5 : 0));
  return Replace(name, {{".attention_norm", ".input_layernorm"},
                        {".mlp_norm", ".post_attention_layernorm"},
                        {".gate", ".mlp.gate_proj"},
                        {".up", ".mlp.up_proj"},
                        {".down", ".mlp.down_proj"},
                        {".q", ".self_attn.q_proj"},
                        {".k", ".self_attn.k_proj"},
                        {".v", ".self_attn.v_proj"},
                        {".o", ".self_attn.o_proj"}}) +
         (bias ? ".bias" : ".weight");
}

std::string GgufName(const std::string& canonical) {
  if (canonical == "embedding") return "token_embd.weight";
  if (canonical == "head") return "output.weight";
  if (canonical == "final_norm") return "output_norm.weight";
  const bool bias = canonical.ends_with(".bias");
  const std::string name = "blk" + canonical.substr(6, canonical.size() - 6 - (bias ? 5 : 0));
  return Replace(name, {{".attention_norm", ".attn_norm"},
                        {".mlp_norm", ".ffn_norm"},
                        {".gate", ".ffn_gate"},
                        {".up", ".ffn_up"},
                        {".down", ".ffn_down"},
                        {".q", ".attn_q"},
                        {".k", ".attn_k"},
                        {".v", ".attn_v"},
                        {".o", ".attn_output"}}) +
         (bias ? ".bias" : ".weight");
}

bool IsRotary(const std::string& name) {
  return name.ends_with(".q") || name.ends_with(".k") || name.ends_with(".q.bias") ||
         name.ends_with(".k.bias");
}

std::vector<int64_t> ShapeOf(const TensorInfo& info) {
  return info.cols == 1 ? std::vector<int64_t>{info.rows} : std::vector<int64_t>{info.rows, info.cols};
}

}  // namespace

std::string Bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

void WriteText(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::remove(
      path);  // some file systems sync a file that is truncated and closed, but not a new one
  std::ofstream file(path, std::ios::binary);
  if (!file.write(content.data(), static_cast<std::streamsize>(content.size())).flush()) {
    throw Error(ErrorKind::kIo, {"cannot write file", "", "", path.string(), ""});
  }
}

std::string Safetensors(const std::string& header, const std::string& data) { return Counted(header) + data; }

GgufBuilder& GgufBuilder::Raw(const std::string& key, uint32_t type, const std::string& bytes) {
  values_ += Counted(key) + Bytes(type) + bytes;
  ++value_count_;
  return *this;
}

GgufBuilder& GgufBuilder::Text(const std::string& key, const std::string& value) {
  return Raw(key, 8, Counted(value));
}

GgufBuilder& GgufBuilder::Texts(const std::string& key, const std::vector<std::string>& values) {
  std::string bytes = Bytes(uint32_t{8}) + Bytes(uint64_t{values.size()});
  for (const std::string& value : values) bytes += Counted(value);
  return Raw(key, 9, bytes);
}

GgufBuilder& GgufBuilder::Tensor(const std::string& name, uint32_t type, std::vector<int64_t> shape,
                                 const std::string& data) {
  tensors.push_back({name, type, std::move(shape), data});
  return *this;
}

std::string GgufBuilder::Build(uint32_t version, uint64_t alignment) const {
  std::string file =
      "GGUF" + Bytes(version) + Bytes(uint64_t{tensors.size()}) + Bytes(value_count_) + values_;
  std::string data;
  for (const Entry& tensor : tensors) {
    data.resize((data.size() + alignment - 1) / alignment * alignment, '\0');
    file += Counted(tensor.name) + Bytes(static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) file += Bytes(tensor.shape[i]);
    file +=
        Bytes(tensor.type) + Bytes(tensor.offset >= 0 ? static_cast<uint64_t>(tensor.offset) : data.size());
    data += tensor.data;
  }
  file.resize((file.size() + alignment - 1) / alignment * alignment, '\0');
  return file + data;
}

ModelConfig TinyConfig() {
  ModelConfig config;
  config.vocabulary_size = 11;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.block_count = 2;
  config.head_count = 4;
  config.kv_head_count = 2;
  config.head_size = 8;
  config.context_length = 16;
  return config;
}

std::map<std::string, std::vector<float>> TinyWeights(const ModelConfig& config) {
  std::map<std::string, std::vector<float>> weights;
  float value = 0;
  for (const TensorInfo& info : ExpectedTensors(config)) {
    std::vector<float>& tensor = weights[info.name];
    for (int64_t i = 0; i < info.rows * info.cols; ++i) tensor.push_back(value += 0.25f);
  }
  return weights;
}

Json HuggingFaceConfig(const ModelConfig& config) {
  return {{"model_type", config.architecture},           {"vocab_size", config.vocabulary_size},
          {"hidden_size", config.hidden_size},           {"intermediate_size", config.intermediate_size},
          {"num_hidden_layers", config.block_count},     {"num_attention_heads", config.head_count},
          {"num_key_value_heads", config.kv_head_count}, {"max_position_embeddings", config.context_length},
          {"rms_norm_eps", config.norm_epsilon},         {"rope_theta", config.rope.theta},
          {"tie_word_embeddings", config.tied_head},     {"hidden_act", "silu"}};
}

void WriteHuggingFace(const std::filesystem::path& folder, const ModelConfig& config,
                      const std::map<std::string, std::vector<float>>& weights, int shards) {
  std::filesystem::create_directories(folder);
  WriteText(folder / "config.json", HuggingFaceConfig(config).dump());
  Json map;
  for (int shard = 0; shard < shards; ++shard) {
    const std::string name =
        shards == 1 ? "model.safetensors"
                    : "model-" + std::to_string(shard) + "-of-" + std::to_string(shards) + ".safetensors";
    SafetensorsWriter writer(folder / name, 4096);
    int index = 0;
    for (const TensorInfo& info : ExpectedTensors(config)) {
      if (index++ % shards != shard) continue;
      const std::vector<float>& tensor = weights.at(info.name);
      writer.Append(HuggingFaceName(info.name), "F32", ShapeOf(info), tensor.data(), tensor.size() * 4);
      map[HuggingFaceName(info.name)] = name;
    }
    writer.Finish();
  }
  if (shards > 1) {
    WriteText(folder / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
  }
}

GgufBuilder TinyGguf(const ModelConfig& config, const std::map<std::string, std::vector<float>>& weights) {
  GgufBuilder builder;
  const std::string& name = config.architecture;
  builder.Text("general.architecture", name)
      .Number(name + ".block_count", static_cast<uint32_t>(config.block_count))
      .Number(name + ".context_length", static_cast<uint32_t>(config.context_length))
      .Number(name + ".embedding_length", static_cast<uint32_t>(config.hidden_size))
      .Number(name + ".feed_forward_length", static_cast<uint32_t>(config.intermediate_size))
      .Number(name + ".attention.head_count", static_cast<uint32_t>(config.head_count))
      .Number(name + ".attention.head_count_kv", static_cast<uint32_t>(config.kv_head_count))
      .Number(name + ".attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_epsilon))
      .Number(name + ".rope.freq_base", static_cast<float>(config.rope.theta));
  for (const TensorInfo& info : ExpectedTensors(config)) {
    std::vector<float> tensor = weights.at(info.name);
    if (name == "llama" && IsRotary(info.name)) {
      tensor = Interleave(tensor, info.rows / config.head_size, config.head_size);
    }
    builder.Tensor(GgufName(info.name), 0, ShapeOf(info), Bytes(tensor));
  }
  return builder;
}

std::string Llama2c(const ModelConfig& config, const std::map<std::string, std::vector<float>>& weights) {
  std::string file;
  for (const int64_t number :
       {config.hidden_size, config.intermediate_size, config.block_count, config.head_count,
        config.kv_head_count, config.tied_head ? config.vocabulary_size : -config.vocabulary_size,
        config.context_length}) {
    file += Bytes(static_cast<int32_t>(number));
  }
  file += Bytes(weights.at("embedding"));
  for (const char* name : {"attention_norm", "q", "k", "v", "o", "mlp_norm", "gate", "down", "up"}) {
    for (int64_t block = 0; block < config.block_count; ++block) {
      std::vector<float> tensor = weights.at("blocks." + std::to_string(block) + "." + name);
      if (*name == 'q') tensor = Interleave(tensor, config.head_count, config.head_size);
      if (*name == 'k') tensor = Interleave(tensor, config.kv_head_count, config.head_size);
      file += Bytes(tensor);
    }
  }
  file += Bytes(weights.at("final_norm"));
  file += std::string(static_cast<size_t>(config.context_length * config.head_size * 4), '\x7f');
  if (!config.tied_head) file += Bytes(weights.at("head"));
  return file;
}

}  // namespace tnb::testing
