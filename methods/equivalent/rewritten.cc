#include "methods/equivalent/rewritten.h"

namespace tnb {

StreamUse UseOf(const std::string& tensor) {
  if (tensor == "embedding") return StreamUse::kEmbedding;
  if (tensor == "head") return StreamUse::kReader;
  const std::string part = tensor.substr(tensor.rfind('.') + 1);
  if (part.ends_with("norm")) return StreamUse::kNorm;
  if (part == "o" || part == "down") return StreamUse::kWriter;
  if (part == "bias") return StreamUse::kNone;
  return StreamUse::kReader;
}

std::string NormBefore(const std::string& reader) {
  if (reader == "head") return "final_norm";
  const size_t dot = reader.rfind('.');
  const std::string part = reader.substr(dot + 1);
  return reader.substr(0, dot + 1) + (part == "gate" || part == "up" ? "mlp_norm" : "attention_norm");
}

RewrittenCheckpoint::RewrittenCheckpoint(std::shared_ptr<const Checkpoint> source)
    : source_(std::move(source)), config_(source_->config()) {
  for (TensorInfo info : source_->tensors()) {
    info.dtype = "F32";
    info.bytes = static_cast<uint64_t>(info.rows * info.cols) * sizeof(float);
    tensors_.push_back(info);
  }
  if (config_.tied_head) {
    TensorInfo head = Info("embedding");
    head.name = "head";
    tensors_.push_back(std::move(head));
    config_.tied_head = false;
  }
}

std::string RewrittenCheckpoint::SourceName(const std::string& name) const {
  return name == "head" && source_->config().tied_head ? "embedding" : name;
}

}  // namespace tnb
