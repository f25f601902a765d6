// Hugging Face model directories: config.json with model.safetensors, or with the shards that
// model.safetensors.index.json lists. Rows of q and k are in half-split rotary order already.
#include <set>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "models/formats/mapped_checkpoint.h"
#include "models/formats/names.h"
#include "models/formats/safetensors.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

constexpr NameTable::Row kWhole[] = {{"model.embed_tokens.weight", "embedding"},
                                     {"model.norm.weight", "final_norm"},
                                     {"lm_head.weight", "head"}};
constexpr NameTable::Row kBlock[] = {{"input_layernorm.weight", "attention_norm"},
                                     {"post_attention_layernorm.weight", "mlp_norm"},
                                     {"self_attn.q_proj.weight", "q"},
                                     {"self_attn.k_proj.weight", "k"},
                                     {"self_attn.v_proj.weight", "v"},
                                     {"self_attn.o_proj.weight", "o"},
                                     {"self_attn.q_proj.bias", "q.bias"},
                                     {"self_attn.k_proj.bias", "k.bias"},
                                     {"self_attn.v_proj.bias", "v.bias"},
                                     {"mlp.gate_proj.weight", "gate"},
                                     {"mlp.up_proj.weight", "up"},
                                     {"mlp.down_proj.weight", "down"}};
constexpr NameTable kNames = {kWhole, "model.layers.", kBlock};

constexpr char kIndexName[] = "model.safetensors.index.json";

// Buffers that older versions saved, and the second copy of a tied head.
bool Harmless(std::string_view name, bool tied_head) {
  return name.ends_with("rotary_emb.inv_freq") || (tied_head && name == "lm_head.weight");
}

void AddFile(const SafetensorsFile& file, bool tied_head, std::vector<StoredTensor>* stored) {
  for (const SafetensorsTensor& tensor : file.tensors()) {
    if (Harmless(tensor.name, tied_head)) continue;
    const std::string canonical = CanonicalName(kNames, tensor.name);
    stored->push_back({canonical.empty() ? tensor.name : canonical, tensor.name, tensor.dtype, tensor.shape,
                       tensor.data, tensor.bytes, file.map(), false});
  }
}

std::vector<StoredTensor> ReadShards(const fs::path& index_path, bool tied_head) {
  const Json index = ReadJsonFile(index_path);
  const auto weight_map =
      Require<std::map<std::string, std::string>>(index, "weight_map", index_path.string());
  std::map<std::string, std::set<std::string>> names;  // by shard
  for (const auto& [name, shard] : weight_map) names[shard].insert(name);
  std::vector<StoredTensor> stored;
  for (const auto& [shard, expected] : names) {
    if (fs::path(shard).filename() != shard || shard.empty() || shard == "..") {
      throw Error(ErrorKind::kData,
                  {"shard name", "a file name without folders", shard, index_path.string(), ""});
    }
    const fs::path path = index_path.parent_path() / shard;
    if (!fs::exists(path)) {
      throw Error(ErrorKind::kData, {"a shard named by the index is missing", shard, "", index_path.string(),
                                     "download all files of the model"});
    }
    const SafetensorsFile file(path);
    for (const std::string& name : expected) {
      if (file.Find(name) == nullptr) {
        throw Error(ErrorKind::kData, {"shard lacks a tensor that the index promises", name, "",
                                       path.string(), "download the shard and the index again"});
      }
    }
    AddFile(file, tied_head, &stored);
  }
  return stored;
}

std::vector<StoredTensor> ReadWeights(const fs::path& directory, bool tied_head) {
  const fs::path single = directory / "model.safetensors";
  if (fs::exists(single)) {
    std::vector<StoredTensor> stored;
    AddFile(SafetensorsFile(single), tied_head, &stored);
    return stored;
  }
  if (fs::exists(directory / kIndexName)) return ReadShards(directory / kIndexName, tied_head);
  const bool pickled =
      fs::exists(directory / "pytorch_model.bin") || fs::exists(directory / "pytorch_model.bin.index.json");
  throw Error(pickled ? ErrorKind::kUnsupported : ErrorKind::kData,
              {"the directory has no safetensors weights", std::string("model.safetensors or ") + kIndexName,
               pickled ? "pytorch_model.bin" : "neither", directory.string(),
               pickled ? "save the model with safe_serialization=True" : "download all files of the model"});
}

}  // namespace

std::unique_ptr<Checkpoint> OpenHuggingFace(const fs::path& path) {
  const bool is_directory = fs::is_directory(path);
  const fs::path directory = is_directory             ? path
                             : path.has_parent_path() ? path.parent_path()
                                                      : fs::path(".");
  const fs::path config_path = directory / "config.json";
  if (!fs::exists(config_path)) {
    throw Error(ErrorKind::kData, {"no config.json", "config.json beside the weights", "", directory.string(),
                                   "name the model's directory or a .gguf file"});
  }
  const ModelConfig config = ConfigFromHuggingFace(ReadJsonFile(config_path), config_path.string());
  // A shard stands for its whole directory.
  const bool whole = is_directory || path.filename().string().find("-of-") != std::string::npos;
  std::vector<StoredTensor> stored;
  if (whole) {
    stored = ReadWeights(directory, config.tied_head);
  } else {
    AddFile(SafetensorsFile(path), config.tied_head, &stored);
  }
  TokenizerSource tokenizer;
  if (fs::exists(directory / "tokenizer.json") || fs::exists(directory / "tokenizer.model")) {
    tokenizer = {TokenizerSource::Kind::kHuggingFaceDirectory, directory};
  }
  return std::make_unique<MappedCheckpoint>(config, std::move(stored), tokenizer, path);
}

}  // namespace tnb
