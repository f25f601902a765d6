// A GGUF v2 or v3 file (ggml's model container, specification in ggml/docs/gguf.md), mapped and fully
// checked: every length, count, offset, type and alignment is compared with the file's size before it is
// used, so that a damaged file is an Error{kData} and never a wild read. Weights are not looked at. Used by
// the GGUF checkpoint and by the tokenizer that lives in the same file.
//
//   const GgufFile file(path);
//   std::string model = file.GetString("tokenizer.ggml.model");
//   std::vector<std::string> tokens = file.GetStrings("tokenizer.ggml.tokens");
//   int64_t bos = file.GetInt("tokenizer.ggml.bos_token_id", -1);
//
// Immutable and thread-safe. Little-endian files only; tensor types that tnbench cannot expand are
// Error{kUnsupported}.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "models/formats/elements.h"

namespace tnb {

struct GgufTensor {
  std::string name;
  const ElementFormat* format = nullptr;
  std::vector<int64_t> shape;  // row-major, outermost first: the reverse of the file's order
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
};

class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  uint32_t version() const { return version_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* FindTensor(std::string_view name) const;  // null when absent
  // The map stays alive as long as somebody holds it.
  const std::shared_ptr<const MappedFile>& map() const { return file_; }

  // Metadata. A getter without fallback throws Error{kData} when the key is absent; all throw it when the
  // value has another type. GetInt takes every integer type; GetFloat takes float32 (as the shortest decimal
  // that names it, so that 1e-5f is 1e-5) and float64.
  bool Has(const std::string& key) const { return values_.contains(key); }
  std::vector<std::string> Keys() const;
  std::string GetString(const std::string& key) const;
  std::string GetString(const std::string& key, const std::string& fallback) const;
  int64_t GetInt(const std::string& key) const;
  int64_t GetInt(const std::string& key, int64_t fallback) const;
  double GetFloat(const std::string& key) const;
  double GetFloat(const std::string& key, double fallback) const;
  bool GetBool(const std::string& key) const;
  bool GetBool(const std::string& key, bool fallback) const;
  std::vector<std::string> GetStrings(const std::string& key) const;
  std::vector<int64_t> GetInts(const std::string& key) const;
  std::vector<double> GetFloats(const std::string& key) const;
  bool IsArray(const std::string& key) const;

 private:
  struct Value {
    uint32_t type = 0;  // of the element, for an array
    bool is_array = false;
    uint64_t count = 1;
    uint64_t offset = 0;  // of the first element in the file
  };
  class Parser;

  const Value& Find(const std::string& key, bool array) const;
  int64_t IntAt(const std::string& key, uint32_t type, uint64_t offset) const;
  double FloatAt(const std::string& key, uint32_t type, uint64_t offset) const;
  [[noreturn]] void WrongType(const std::string& key, const std::string& expected, uint32_t type) const;

  std::shared_ptr<const MappedFile> file_;
  uint32_t version_ = 0;
  std::map<std::string, Value> values_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace tnb
