// llama2.c's legacy model files (karpathy/llama2.c, export.py legacy_export): seven int32 (dim, hidden_dim,
// layers, heads, kv_heads, vocabulary, context; a negative vocabulary says that the head is not tied), then
// fp32 arrays, each for all layers. There is no magic: the size of the file must be exactly what the header
// says. Rotary pairs of q and k are interleaved. The frequency tables near the end are skipped.
#include <cstring>
#include <utility>

#include "base/error.h"
#include "models/formats/mapped_checkpoint.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHeaderBytes = 7 * 4;

[[noreturn]] void NotLlama2c(const std::string& what, const std::string& expected, const std::string& found,
                             const fs::path& path) {
  throw Error(ErrorKind::kData,
              {what, expected, found, path.string(),
               "a .bin model must be in llama2.c's legacy fp32 format (export.py --version 0)"});
}

ModelConfig ReadHeader(const MappedFile& file, bool* tied_head) {
  int32_t header[7];
  if (file.size() < sizeof header)
    NotLlama2c("the file is too short", "28 bytes or more", std::to_string(file.size()), file.path());
  std::memcpy(header, file.data(), sizeof header);
  if (header[0] == 0x616b3432) NotLlama2c("llama2.c format version", "0 (legacy)", "1 or 2", file.path());
  ModelConfig config;
  config.hidden_size = header[0];
  config.intermediate_size = header[1];
  config.block_count = header[2];
  config.head_count = header[3];
  config.kv_head_count = header[4];
  *tied_head = header[5] > 0;
  config.tied_head = *tied_head;
  config.vocabulary_size = *tied_head ? header[5] : -static_cast<int64_t>(header[5]);
  config.context_length = header[6];
  if (config.head_count <= 0 || config.hidden_size % config.head_count != 0) {
    NotLlama2c("the head count", "a divisor of " + std::to_string(config.hidden_size),
               std::to_string(config.head_count), file.path());
  }
  config.head_size = config.hidden_size / config.head_count;
  config.Validate(file.path().string());
  return config;
}

// tok<vocabulary>.bin is sure to belong to the model, tokenizer.bin only by custom.
TokenizerSource FindTokenizer(const fs::path& path, int64_t vocabulary) {
  const std::string own = "tok" + std::to_string(vocabulary);
  for (const std::string& name : {own, std::string("tokenizer")}) {
    const fs::path stem = path.parent_path() / name;
    if (fs::exists(stem.string() + ".bin")) return {TokenizerSource::Kind::kLlama2c, stem.string() + ".bin"};
    if (fs::exists(stem.string() + ".model"))
      return {TokenizerSource::Kind::kSentencePiece, stem.string() + ".model"};
  }
  return {};
}

}  // namespace

std::unique_ptr<Checkpoint> OpenLlama2c(const fs::path& path) {
  const auto map = std::make_shared<const MappedFile>(path);
  bool tied_head = true;
  const ModelConfig config = ReadHeader(*map, &tied_head);
  const int64_t hidden = config.hidden_size;
  const int64_t kv = config.kv_head_count * config.head_size;
  int64_t position = kHeaderBytes;
  std::vector<StoredTensor> stored;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape, bool interleaved) {
    uint64_t bytes = 4;
    for (const int64_t size : shape) bytes *= static_cast<uint64_t>(size);
    // Addresses are formed only for bytes that are there; the total is compared below.
    const bool inside = static_cast<uint64_t>(position) + bytes <= map->size();
    stored.push_back({name, name, "F32", std::move(shape), inside ? map->data() + position : nullptr, bytes,
                      map, interleaved});
    position += static_cast<int64_t>(bytes);
  };
  const auto add_blocks = [&](const std::string& name, const std::vector<int64_t>& shape,
                              bool interleaved = false) {
    for (int64_t i = 0; i < config.block_count; ++i) {
      add("blocks." + std::to_string(i) + "." + name, shape, interleaved);
    }
  };
  add("embedding", {config.vocabulary_size, hidden}, false);
  add_blocks("attention_norm", {hidden});
  add_blocks("q", {hidden, hidden}, true);
  add_blocks("k", {kv, hidden}, true);
  add_blocks("v", {kv, hidden});
  add_blocks("o", {hidden, hidden});
  add_blocks("mlp_norm", {hidden});
  add_blocks("gate", {config.intermediate_size, hidden});
  add_blocks("down", {hidden, config.intermediate_size});
  add_blocks("up", {config.intermediate_size, hidden});
  add("final_norm", {hidden}, false);
  position += config.context_length * (config.head_size / 2) * 2 * 4;
  if (!tied_head) add("head", {config.vocabulary_size, hidden}, false);
  if (static_cast<uint64_t>(position) != map->size()) {
    NotLlama2c("the size does not fit the header", std::to_string(position) + " bytes",
               std::to_string(map->size()), path);
  }
  return std::make_unique<MappedCheckpoint>(config, std::move(stored),
                                            FindTokenizer(path, config.vocabulary_size), path);
}

}  // namespace tnb
