#include "models/checkpoint.h"

#include <fstream>

#include "base/error.h"
#include "models/formats/mapped_checkpoint.h"
#include "models/formats/nearest.h"

namespace tnb {

const TensorInfo& Checkpoint::Info(const std::string& name) const {
  std::vector<std::string> names;
  for (const TensorInfo& info : tensors()) {
    if (info.name == name) return info;
  }
  for (const TensorInfo& info : tensors()) names.push_back(info.name);
  const std::vector<std::string> nearest = NearestNames(name, names, 1);
  throw Error(ErrorKind::kData, {"the model has no tensor '" + name + "'", "", "", "",
                                 nearest.empty() ? "" : "the nearest is '" + nearest[0] + "'"});
}

bool Checkpoint::Has(const std::string& name) const {
  for (const TensorInfo& info : tensors()) {
    if (info.name == name) return true;
  }
  return false;
}

std::unique_ptr<Checkpoint> OpenCheckpoint(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(status)) {
    throw Error(ErrorKind::kIo,
                {"no such file or directory", "", "", path.string(), "check the path of the model"});
  }
  if (std::filesystem::is_directory(status)) return OpenHuggingFace(path);
  const std::string extension = path.extension().string();
  if (extension == ".safetensors") return OpenHuggingFace(path);
  if (extension == ".gguf") return OpenGguf(path);
  if (extension == ".bin") return OpenLlama2c(path);
  // Files of a content-addressed cache have no extension; GGUF can be told by its magic.
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  if (file.read(magic, sizeof magic) && std::string_view(magic, 4) == "GGUF") return OpenGguf(path);
  throw Error(
      ErrorKind::kUnsupported,
      {"not a known model format", "a Hugging Face directory, or a .safetensors, .gguf or llama2.c .bin file",
       extension.empty() ? "no extension" : extension, path.string(), ""});
}

}  // namespace tnb
