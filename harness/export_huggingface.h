// A compressed model as a Hugging Face directory that any program reads: every linear rebuilt to a dense
// matrix of fp16, bf16 or fp32 values, config.json, and the tokenizer's files where the model came with them.
// What is saved computes what the artefact computes, up to the rounding to `dtype`; it has the size of the
// dense model, not of the compressed one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/engine/model.h"

namespace tnb {

struct ExportedModel {
  uint64_t bytes = 0;                // of model.safetensors
  std::vector<std::string> files{};  // names in the directory
  std::vector<std::string> notes{};  // what is missing, and why
};

// `directory` must not exist or be empty. `dtype`: "fp16", "bf16" or "fp32". Error{kUsage} for other dtypes,
// Error{kData} for weights that are not finite or, in fp16, beyond 65504 (naming the linear).
ExportedModel ExportHuggingFace(const std::filesystem::path& artefact, const std::filesystem::path& directory,
                                const std::string& dtype);

// config.json and model.safetensors of a model in memory; the folder exists.
ExportedModel WriteHuggingFace(const Model& model, const std::filesystem::path& directory,
                               const std::string& dtype);

}  // namespace tnb
