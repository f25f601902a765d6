// One loader for each kind of file that holds a tokenizer; LoadTokenizer (models/tokenizer.h) chooses.
// All throw Error{kData} for damaged files and Error{kUnsupported} for kinds of tokenizer that are not known.
#pragma once

#include <filesystem>
#include <memory>

#include "models/tokenizer.h"

namespace tnb {

// A directory with tokenizer.json, or tokenizer.model, or GPT-2's pair (vocab.json and merges.txt, or
// encoder.json and vocab.bpe), in this order; with tokenizer_config.json, generation_config.json and
// config.json when they are there.
std::unique_ptr<Tokenizer> LoadHuggingFaceTokenizer(const std::filesystem::path& directory);
// The metadata of a GGUF file (tokenizer.ggml.*) with llama.cpp's defaults for absent keys.
std::unique_ptr<Tokenizer> LoadGgufTokenizer(const std::filesystem::path& file);
// llama2.c's tokenizer .bin (its tokenizer.py): longest piece, then score, length and bytes of each piece.
std::unique_ptr<Tokenizer> LoadLlama2cTokenizer(const std::filesystem::path& file);

}  // namespace tnb
