#include "harness/load.h"

#include <fstream>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "models/engine/artefact.h"

namespace tnb {

std::string HashStreaming(const std::filesystem::path& path) {
  std::ifstream input(path, std::ios::binary);
  std::vector<char> piece(1 << 20);
  Sha256 hash;
  while (input.read(piece.data(), static_cast<std::streamsize>(piece.size())) || input.gcount() > 0) {
    hash.Update(piece.data(), static_cast<size_t>(input.gcount()));
  }
  if (!input.eof()) {
    throw Error(ErrorKind::kIo,
                {"the artefact cannot be read", "", "", path.string(), "compress again with --force"});
  }
  return hash.Hex();
}

void CheckArtefact(const Json& spec) {
  const Json artefact = Require<Json>(spec, "artefact", "spec");
  const auto path = Require<std::string>(artefact, "path", "spec");
  const auto expected = Require<std::string>(artefact, "sha256", "spec");
  const std::string found = HashStreaming(path);
  if (found != expected) {
    throw Error(ErrorKind::kData, {"the artefact changed since it was written", "SHA-256 " + expected, found,
                                   path, "compress again with --force"});
  }
}

Model LoadArtefactOf(const Json& spec) {
  return LoadArtefact(Require<std::string>(spec.at("artefact"), "path", "spec"));
}

at::Device DeviceOf(const Json& spec) {
  const auto name = Require<std::string>(spec.at("settings"), "device", "spec");
  return name == "cuda" ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
}

}  // namespace tnb
