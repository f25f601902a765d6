#include "harness/export_huggingface.h"

#include <ATen/ATen.h>

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "models/engine/artefact.h"
#include "models/formats/safetensors.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

struct Dtype {
  at::ScalarType type;
  const char* safetensors;
  const char* torch;
};

Dtype DtypeOf(const std::string& name) {
  if (name == "fp32") return {at::kFloat, "F32", "float32"};
  if (name == "fp16") return {at::kHalf, "F16", "float16"};
  if (name == "bf16") return {at::kBFloat16, "BF16", "bfloat16"};
  throw Error(ErrorKind::kUsage, {"unknown dtype", "fp16, bf16 or fp32", "'" + name + "'", "--dtype", ""});
}

// The reverse of models/config.h's ConfigFromHuggingFace.
Json ConfigJson(const ModelConfig& config, const std::string& torch_dtype) {
  static const std::map<std::string, const char*> classes = {
      {"llama", "LlamaForCausalLM"}, {"mistral", "MistralForCausalLM"}, {"qwen2", "Qwen2ForCausalLM"}};
  const auto architecture = classes.find(config.architecture);
  if (architecture == classes.end()) {
    throw Error(ErrorKind::kUnsupported,
                "no Hugging Face class is known for architecture " + config.architecture);
  }
  Json json = {{"architectures", {architecture->second}},
               {"model_type", config.architecture},
               {"vocab_size", config.vocabulary_size},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"num_hidden_layers", config.block_count},
               {"num_attention_heads", config.head_count},
               {"num_key_value_heads", config.kv_head_count},
               {"head_dim", config.head_size},
               {"max_position_embeddings", config.context_length},
               {"rms_norm_eps", config.norm_epsilon},
               {"rope_theta", config.rope.theta},
               {"tie_word_embeddings", config.tied_head},
               {"hidden_act", "silu"},
               {"torch_dtype", torch_dtype},
               {"use_cache", true}};
  if (config.architecture == "llama") {
    json["attention_bias"] = config.attention_bias;
    json["mlp_bias"] = false;
  }
  if (config.sliding_window > 0) {
    json["sliding_window"] = config.sliding_window;
    if (config.architecture == "qwen2") {
      json["use_sliding_window"] = true;
      json["max_window_layers"] = 0;
    }
  } else if (config.architecture == "mistral") {
    json["sliding_window"] = nullptr;
  }
  if (config.rope.scaling == RopeConfig::Scaling::kLinear) {
    json["rope_scaling"] = {{"rope_type", "linear"}, {"type", "linear"}, {"factor", config.rope.factor}};
  } else if (config.rope.scaling == RopeConfig::Scaling::kLlama3) {
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", config.rope.factor},
                            {"low_freq_factor", config.rope.low_frequency_factor},
                            {"high_freq_factor", config.rope.high_frequency_factor},
                            {"original_max_position_embeddings", config.rope.original_context_length}};
  }
  return json;
}

class Writer {
 public:
  Writer(const fs::path& path, const Dtype& dtype, int64_t tensors)
      : writer_(path, 4096 + 200 * static_cast<uint64_t>(tensors), {{"format", "pt"}}), dtype_(dtype) {}

  void Add(const std::string& name, const at::Tensor& values) {
    const at::Tensor stored = values.to(dtype_.type).contiguous();
    if (!at::isfinite(stored).all().item<bool>()) {
      throw Error(ErrorKind::kData, {"a weight is not finite in this dtype", "", dtype_.torch, name,
                                     "export with --dtype bf16 or fp32"});
    }
    writer_.Append(name, dtype_.safetensors, stored.sizes().vec(), stored.data_ptr(), stored.nbytes());
  }
  void AddLinear(const std::string& name, const Linear& linear) {
    Add(name + ".weight", linear.Rebuild());
    if (linear.bias().defined()) Add(name + ".bias", linear.bias());
  }
  uint64_t Finish() {
    writer_.Finish();
    return writer_.data_bytes();
  }

 private:
  SafetensorsWriter writer_;
  Dtype dtype_;
};

void CopyTokenizer(const TokenizerSource& source, const fs::path& directory, ExportedModel* exported) {
  if (source.kind == TokenizerSource::Kind::kSentencePiece) {
    fs::copy_file(source.path, directory / "tokenizer.model");
    exported->files.push_back("tokenizer.model");
  }
  if (source.kind != TokenizerSource::Kind::kHuggingFaceDirectory) {
    if (source.kind != TokenizerSource::Kind::kSentencePiece) {
      exported->notes.push_back("no tokenizer files: the model did not come with Hugging Face ones");
    }
    return;
  }
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json"}) {
    std::error_code failure;
    if (!fs::is_regular_file(source.path / name, failure)) continue;
    fs::copy_file(source.path / name, directory / name);
    exported->files.push_back(name);
  }
}

}  // namespace

ExportedModel ExportHuggingFace(const fs::path& artefact, const fs::path& directory,
                                const std::string& dtype_name) {
  DtypeOf(dtype_name);  // an unknown one is an error before anything is made
  std::error_code failure;
  if (fs::exists(directory, failure) &&
      !(fs::is_directory(directory, failure) && fs::is_empty(directory, failure))) {
    throw Error(ErrorKind::kUsage, {"the folder is not empty", "a new or empty folder", directory.string(),
                                    "--huggingface", ""});
  }
  fs::create_directories(directory, failure);
  if (failure)
    throw Error(ErrorKind::kIo,
                {"cannot make the folder: " + failure.message(), "", "", directory.string(), ""});
  const Model model = LoadArtefact(artefact);
  ExportedModel exported = WriteHuggingFace(model, directory, dtype_name);
  CopyTokenizer(model.source.tokenizer, directory, &exported);
  return exported;
}

ExportedModel WriteHuggingFace(const Model& model, const fs::path& directory, const std::string& dtype_name) {
  const Dtype dtype = DtypeOf(dtype_name);
  ExportedModel exported;
  const Json config = ConfigJson(model.config, dtype.torch);
  Writer writer(directory / "model.safetensors", dtype, 12 * model.config.block_count + 3);
  writer.AddLinear("model.embed_tokens", *model.embedding.linear);
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    const Block& block = model.blocks[i];
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    writer.Add(prefix + "input_layernorm.weight", block.attention_norm);
    writer.Add(prefix + "post_attention_layernorm.weight", block.mlp_norm);
    const std::pair<const char*, const LinearSlot*> linears[] = {
        {"self_attn.q_proj", &block.q}, {"self_attn.k_proj", &block.k}, {"self_attn.v_proj", &block.v},
        {"self_attn.o_proj", &block.o}, {"mlp.gate_proj", &block.gate}, {"mlp.up_proj", &block.up},
        {"mlp.down_proj", &block.down}};
    for (const auto& [name, slot] : linears) writer.AddLinear(prefix + name, *slot->linear);
  }
  writer.Add("model.norm.weight", model.final_norm);
  if (model.head.linear) writer.AddLinear("lm_head", *model.head.linear);
  exported.bytes = writer.Finish();
  WriteFileAtomically(directory / "config.json", config.dump(2) + "\n");
  exported.files = {"config.json", "model.safetensors"};
  return exported;
}

}  // namespace tnb
