// A checkpoint whose tensors are computed from those of another one while they are read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/checkpoint.h"

namespace tnb {

// What a tensor of a decoder does with the residual stream.
enum class StreamUse { kEmbedding, kReader, kWriter, kNorm, kNone };
StreamUse UseOf(const std::string& tensor);
// The norm in front of a reader: "blocks.3.mlp_norm" for "blocks.3.gate", "final_norm" for "head".
std::string NormBefore(const std::string& reader);

class RewrittenCheckpoint : public Checkpoint {
 public:
  // The head becomes a tensor of its own.
  explicit RewrittenCheckpoint(std::shared_ptr<const Checkpoint> source);

  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TokenizerSource tokenizer() const override { return source_->tokenizer(); }
  std::string ContentHash() const override { return source_->ContentHash(); }
  uint64_t FileBytes() const override { return source_->FileBytes(); }
  void Release(const std::string& name) const override { source_->Release(SourceName(name)); }

 protected:
  const Checkpoint& source() const { return *source_; }
  // The tensor of the source that `name` is made of.
  std::string SourceName(const std::string& name) const;
  void ReadSource(const std::string& name, int64_t row_begin, int64_t row_end, float* out) const {
    source_->Read(SourceName(name), row_begin, row_end, out);
  }

 private:
  std::shared_ptr<const Checkpoint> source_;
  ModelConfig config_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace tnb
