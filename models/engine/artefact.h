// An artefact is a compressed model as one file: what every phase after compression loads. It is a
// safetensors file whose metadata key "tnbench" holds a JSON object with the config, the source, the method's
// canonical text and the structure of every linear. Its hash (SHA-256 of the file) is its identity.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/engine/model.h"

namespace tnb {

// Writes an artefact linear by linear, so that a model never has to be in memory as a whole.
class ArtefactWriter {
 public:
  ArtefactWriter(const std::filesystem::path& path, const ModelConfig& config, const ModelSource& source,
                 const std::string& method);
  ~ArtefactWriter();
  void AddNorm(const std::string& name, const at::Tensor& values);
  void AddLinear(const std::string& name, const Linear& linear);
  void SetCache(const CacheCodec& codec);
  // Completes the file (it appears under its name only now).
  void Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct ArtefactInfo {
  ModelConfig config;
  ModelSource source;
  std::string method;
};

// Only the metadata.
ArtefactInfo ReadArtefactInfo(const std::filesystem::path& path);
// Loads and checks everything; Error{kData} names what does not fit.
Model LoadArtefact(const std::filesystem::path& path);
void SaveArtefact(const std::filesystem::path& path, const Model& model, const std::string& method);

}  // namespace tnb
