#include "models/formats/mapped_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "models/formats/nearest.h"

namespace tnb {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Where row `row` of the half-split order lies among interleaved rows of heads of `head_size` rows.
int64_t InterleavedRow(int64_t row, int64_t head_size) {
  const int64_t half = head_size / 2;
  const int64_t within = row % head_size;
  return row - within + 2 * (within % half) + within / half;
}

}  // namespace

std::vector<TensorInfo> ExpectedTensors(const ModelConfig& config) {
  std::vector<TensorInfo> all;
  const auto add = [&](const std::string& name, int64_t rows, int64_t cols) {
    all.push_back({name, "", rows, cols, 0});
  };
  const int64_t hidden = config.hidden_size;
  const int64_t q = config.head_count * config.head_size;
  const int64_t kv = config.kv_head_count * config.head_size;
  add("embedding", config.vocabulary_size, hidden);
  for (int64_t i = 0; i < config.block_count; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    add(block + "attention_norm", hidden, 1);
    add(block + "q", q, hidden);
    add(block + "k", kv, hidden);
    add(block + "v", kv, hidden);
    if (config.attention_bias) {
      add(block + "q.bias", q, 1);
      add(block + "k.bias", kv, 1);
      add(block + "v.bias", kv, 1);
    }
    add(block + "o", hidden, q);
    add(block + "mlp_norm", hidden, 1);
    add(block + "gate", config.intermediate_size, hidden);
    add(block + "up", config.intermediate_size, hidden);
    add(block + "down", hidden, config.intermediate_size);
  }
  add("final_norm", hidden, 1);
  if (!config.tied_head) add("head", config.vocabulary_size, hidden);
  return all;
}

MappedCheckpoint::MappedCheckpoint(const ModelConfig& config, std::vector<StoredTensor> stored,
                                   const TokenizerSource& tokenizer, const std::filesystem::path& where)
    : config_(config), tokenizer_(tokenizer), where_(where) {
  config_.Validate(where_.string());
  for (StoredTensor& tensor : stored) {
    files_[tensor.map->path().string()] = tensor.map;
    const std::string name = tensor.name;
    const std::string file_name = tensor.file_name;
    if (!stored_.emplace(name, std::move(tensor)).second) {
      throw Error(ErrorKind::kData, {"tensor '" + file_name + "' comes twice", "", "", where_.string(), ""});
    }
  }
  tensors_ = ExpectedTensors(config_);
  for (TensorInfo& info : tensors_) {
    const auto found = stored_.find(info.name);
    if (found == stored_.end()) {
      throw Error(ErrorKind::kData,
                  {"tensor '" + info.name + "' is missing", ShapeText({info.rows, info.cols}), "nothing",
                   where_.string(), "the file is incomplete or its configuration belongs to another model"});
    }
    Place(info, found->second);
    info.dtype = found->second.dtype;
    info.bytes = found->second.bytes;
  }
  if (stored_.size() == tensors_.size()) return;
  for (const auto& [name, tensor] : stored_) {
    if (!Has(name)) {
      throw Error(ErrorKind::kData,
                  {"tensor '" + tensor.file_name + "' is not part of a " + config_.architecture +
                       " model of this shape",
                   std::to_string(tensors_.size()) + " tensors", std::to_string(stored_.size()),
                   tensor.map->path().string(),
                   "the configuration may belong to another model or the architecture is a variant"});
    }
  }
}

void MappedCheckpoint::Place(const TensorInfo& expected, const StoredTensor& stored) {
  const std::string where = stored.map->path().string() + ": " + stored.file_name;
  const bool vector = expected.cols == 1;
  const std::vector<int64_t> shape =
      vector ? std::vector<int64_t>{expected.rows} : std::vector<int64_t>{expected.rows, expected.cols};
  if (stored.shape != shape) {
    throw Error(ErrorKind::kData,
                {"tensor '" + expected.name + "' has the wrong shape", ShapeText(shape),
                 ShapeText(stored.shape), where, "the configuration may belong to another model"});
  }
  const ElementFormat* format = FindElementFormat(stored.dtype);
  if (format == nullptr || (vector && format->block_values != 1)) {
    throw Error(ErrorKind::kUnsupported,
                {"tensor '" + expected.name + "' has an unsupported element type", "F32, F16 or BF16",
                 stored.dtype, where, "convert it to F32, F16 or BF16"});
  }
  const uint64_t needed =
      static_cast<uint64_t>(expected.rows * expected.cols / format->block_values * format->block_bytes);
  if (!vector && expected.cols % format->block_values != 0) {
    throw Error(ErrorKind::kData, {"row length of '" + expected.name + "'",
                                   "a multiple of " + std::to_string(format->block_values),
                                   std::to_string(expected.cols), where, ""});
  }
  if (stored.bytes != needed) {
    throw Error(ErrorKind::kData, {"size of '" + expected.name + "'", std::to_string(needed) + " bytes",
                                   std::to_string(stored.bytes), where, ""});
  }
}

const StoredTensor& MappedCheckpoint::Stored(const std::string& name) const {
  Info(name);  // throws with the nearest name
  return stored_.at(name);
}

void MappedCheckpoint::Read(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const {
  const StoredTensor& stored = Stored(name);
  const TensorInfo& info = Info(name);
  if (row_begin < 0 || row_begin > row_end || row_end > info.rows) {
    throw Error(ErrorKind::kInternal,
                {"rows of '" + name + "'", "a range within " + std::to_string(info.rows),
                 std::to_string(row_begin) + " to " + std::to_string(row_end), where_.string(), ""});
  }
  const ElementFormat* format = FindElementFormat(stored.dtype);
  const int64_t row_blocks = info.cols / format->block_values;
  const int64_t row_bytes = row_blocks * format->block_bytes;
  if (!stored.interleaved) {
    format->expand(stored.data + row_begin * row_bytes, (row_end - row_begin) * row_blocks, out);
  } else {
    for (int64_t row = row_begin; row < row_end; ++row) {
      const int64_t from = InterleavedRow(row, config_.head_size);
      format->expand(stored.data + from * row_bytes, row_blocks, out + (row - row_begin) * info.cols);
    }
  }
  if (const int64_t bad = FindNonFinite(out, (row_end - row_begin) * info.cols); bad >= 0) {
    throw Error(
        ErrorKind::kData,
        {"tensor '" + name + "' holds NaN or infinity", "finite values",
         "row " + std::to_string(row_begin + bad / info.cols) + ", column " + std::to_string(bad % info.cols),
         stored.map->path().string() + ": " + stored.file_name, "copy or download the file again"});
  }
}

void MappedCheckpoint::Release(const std::string& name) const {
  const StoredTensor& stored = Stored(name);
  stored.map->Release(static_cast<size_t>(stored.data - stored.map->data()), stored.bytes);
}

std::string MappedCheckpoint::ContentHash() const {
  const std::lock_guard lock(hash_mutex_);
  if (!hash_.empty()) return hash_;
  std::string digests;  // several shards: the hash of their hashes, in the order of their names
  for (const auto& [path, map] : files_) {
    constexpr size_t kChunk = 64 << 20;
    Sha256 hash;
    for (size_t begin = 0; begin < map->size(); begin += kChunk) {
      const size_t size = std::min(kChunk, map->size() - begin);
      hash.Update(map->data() + begin, size);
      map->Release(begin, size);
    }
    digests += hash.Hex();
  }
  hash_ = files_.size() == 1 ? digests : Sha256Hex(digests);
  return hash_;
}

uint64_t MappedCheckpoint::FileBytes() const {
  uint64_t bytes = 0;
  for (const auto& [path, map] : files_) bytes += map->size();
  return bytes;
}

}  // namespace tnb
