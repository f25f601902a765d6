#include "harness/load.h"

#include "base/error.h"
#include "base/hash.h"
#include "models/engine/artefact.h"

namespace tnb {

void CheckArtefact(const Json& spec) {
  const Json artefact = Require<Json>(spec, "artefact", "spec");
  const auto path = Require<std::string>(artefact, "path", "spec");
  const auto expected = Require<std::string>(artefact, "sha256", "spec");
  const std::string found = Sha256File(path);
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
