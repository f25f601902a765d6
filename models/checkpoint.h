// A checkpoint is a model as found on disk: a Hugging Face directory (config.json, one or several
// safetensors files), a GGUF v2/v3 file, or a llama2.c .bin file. Opening one maps the files and
// checks every header; no weight is copied before it is read. Tensors have the canonical names below
// whatever the file calls them, and canonical layout: row-major [out, in], Hugging Face's half-split
// rotary order (GGUF's and llama2.c's interleaved q and k rows are permuted while reading).
//
// Canonical names: "embedding", "head" (absent when tied), "final_norm", and for block i
// "blocks.I.attention_norm", "blocks.I.mlp_norm", "blocks.I.{q,k,v,o,gate,up,down}" and, with
// attention_bias, "blocks.I.{q,k,v}.bias".
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/config.h"

namespace tnb {

// How a checkpoint stores a tensor. Quantized GGUF types are expanded to fp32 by Read.
struct TensorInfo {
  std::string name;   // canonical
  std::string dtype;  // "F32" "F16" "BF16" "Q4_1" "Q6_K" ... as in the file
  int64_t rows = 0;
  int64_t cols = 1;    // 1 for vectors (norms, biases)
  uint64_t bytes = 0;  // as stored in the file
};

// Where the tokenizer of a checkpoint comes from.
struct TokenizerSource {
  enum class Kind { kNone, kHuggingFaceDirectory, kGguf, kSentencePiece, kLlama2c };
  Kind kind = Kind::kNone;
  std::filesystem::path path;  // directory, .gguf, .model or tokenizer .bin
};

// Thread-safe after opening: Read may be called from several threads.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  virtual const ModelConfig& config() const = 0;
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  virtual TokenizerSource tokenizer() const = 0;
  // Hash over the content of all weight files (computed on first use, may take seconds for large files).
  virtual std::string ContentHash() const = 0;
  // Total size of the weight files.
  virtual uint64_t FileBytes() const = 0;

  // Rows [row_begin, row_end) of a tensor as fp32 into `out` ((row_end - row_begin) x cols values).
  // Throws Error{kData} for an unknown name and when a value is NaN or infinite.
  virtual void Read(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const = 0;
  // Tells the system that this tensor's pages are not needed for now.
  virtual void Release(const std::string& name) const = 0;

  const TensorInfo& Info(const std::string& name) const;  // Error{kData} with the nearest name
  bool Has(const std::string& name) const;
};

// Opens whatever `path` is: a directory, or a .gguf, .safetensors or .bin file. Checks that every tensor the
// config asks for is there in the right shape and that there is none that it does not explain.
std::unique_ptr<Checkpoint> OpenCheckpoint(const std::filesystem::path& path);

}  // namespace tnb
