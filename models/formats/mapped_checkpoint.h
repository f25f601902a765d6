// The one Checkpoint implementation: canonical tensors placed in mapped files. Each file format supplies the
// shape of the model, where every tensor lies and in which order its rows are; everything that must hold for
// all formats (nothing missing, nothing unexplained, right shapes, finite values) is checked here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/files.h"
#include "models/checkpoint.h"
#include "models/formats/elements.h"

namespace tnb {

// A tensor as a file holds it.
struct StoredTensor {
  std::string name;       // canonical
  std::string file_name;  // what the file calls it, for errors
  std::string dtype;
  std::vector<int64_t> shape;  // row-major: {n} or {rows, cols}
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
  std::shared_ptr<const MappedFile> map;
  // Rows of each head are interleaved pairs (0, h/2, 1, h/2 + 1, ...) rather than two halves.
  bool interleaved = false;
};

// Names and shapes of all tensors that a model of this shape has, in canonical order; dtype and bytes are
// empty.
std::vector<TensorInfo> ExpectedTensors(const ModelConfig& config);

class MappedCheckpoint : public Checkpoint {
 public:
  // `where` is the file or directory named in errors. Throws Error{kData} for a tensor that is missing,
  // unknown or of the wrong shape, Error{kUnsupported} for an element format that cannot be expanded.
  MappedCheckpoint(const ModelConfig& config, std::vector<StoredTensor> stored,
                   const TokenizerSource& tokenizer, const std::filesystem::path& where);

  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TokenizerSource tokenizer() const override { return tokenizer_; }
  std::string ContentHash() const override;
  uint64_t FileBytes() const override;
  void Read(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const override;
  void Release(const std::string& name) const override;

 private:
  void Place(const TensorInfo& expected, const StoredTensor& stored);
  const StoredTensor& Stored(const std::string& name) const;

  ModelConfig config_;
  TokenizerSource tokenizer_;
  std::filesystem::path where_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, StoredTensor> stored_;                      // by canonical name
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;  // by path
  mutable std::mutex hash_mutex_;
  mutable std::string hash_;
};

// The formats behind OpenCheckpoint.
std::unique_ptr<Checkpoint> OpenHuggingFace(const std::filesystem::path& directory);
std::unique_ptr<Checkpoint> OpenGguf(const std::filesystem::path& path);
std::unique_ptr<Checkpoint> OpenLlama2c(const std::filesystem::path& path);

}  // namespace tnb
