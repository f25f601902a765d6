// Makers of small model files for tests of the readers, written from the formats' specifications.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "models/config.h"

namespace tnb::testing {

template <typename T>
std::string Bytes(T value) {
  static_assert(std::is_arithmetic_v<T>);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string Bytes(const std::vector<float>& values);
std::vector<float> Floats(const std::string& bytes);
std::string FromHex(const std::string& hex);

// Without the sync of WriteFileAtomically, which thousands of damaged files would wait for.
void WriteText(const std::filesystem::path& path, const std::string& content);

// A safetensors file: length, header, data.
std::string Safetensors(const std::string& header, const std::string& data);

// The message of the tnb::Error of this kind that `action` throws; "no error" or "another kind: ..."
// otherwise.
template <typename Action>
std::string ErrorOf(ErrorKind kind, Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
  }
  return "no error";
}

// Builds GGUF bytes from metadata and tensors.
class GgufBuilder {
 public:
  template <typename T>
  GgufBuilder& Number(const std::string& key, T value) {
    return Raw(key, TypeOf<T>(), Bytes(value));
  }
  GgufBuilder& Bool(const std::string& key, bool value) { return Raw(key, 7, std::string(1, value ? 1 : 0)); }
  GgufBuilder& Text(const std::string& key, const std::string& value);
  GgufBuilder& Texts(const std::string& key, const std::vector<std::string>& values);
  template <typename T>
  GgufBuilder& Numbers(const std::string& key, const std::vector<T>& values) {
    std::string bytes = Bytes(TypeOf<T>()) + Bytes(uint64_t{values.size()});
    for (const T value : values) bytes += Bytes(value);
    return Raw(key, 9, bytes);
  }
  // `shape` row-major; `type` a ggml type number.
  GgufBuilder& Tensor(const std::string& name, uint32_t type, std::vector<int64_t> shape,
                      const std::string& data);
  GgufBuilder& Raw(const std::string& key, uint32_t type, const std::string& bytes);

  std::string Build(uint32_t version = 3, uint64_t alignment = 32) const;

  struct Entry {
    std::string name;
    uint32_t type;
    std::vector<int64_t> shape;
    std::string data;
    int64_t offset = -1;  // -1: behind the tensor before
  };
  std::vector<Entry> tensors;

 private:
  template <typename T>
  static uint32_t TypeOf() {
    if constexpr (std::is_same_v<T, float>) return 6;
    if constexpr (std::is_same_v<T, double>) return 12;
    constexpr uint32_t kSigned = std::is_signed_v<T> ? 1 : 0;
    if constexpr (sizeof(T) == 1) return 0 + kSigned;
    if constexpr (sizeof(T) == 2) return 2 + kSigned;
    if constexpr (sizeof(T) == 4) return 4 + kSigned;
    return 10 + kSigned;
  }

  std::string values_;
  uint64_t value_count_ = 0;
};

// A model of this shape with different values everywhere, by canonical name.
ModelConfig TinyConfig();
std::map<std::string, std::vector<float>> TinyWeights(const ModelConfig& config);

// The same weights in the three formats. The Hugging Face directory has F32 weights in `shards` files.
Json HuggingFaceConfig(const ModelConfig& config);
void WriteHuggingFace(const std::filesystem::path& folder, const ModelConfig& config,
                      const std::map<std::string, std::vector<float>>& weights, int shards);
GgufBuilder TinyGguf(const ModelConfig& config, const std::map<std::string, std::vector<float>>& weights);
std::string Llama2c(const ModelConfig& config, const std::map<std::string, std::vector<float>>& weights);

}  // namespace tnb::testing
