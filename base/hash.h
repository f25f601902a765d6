// Content hashes: SHA-256 (OpenSSL) for identity of files, models, prompts and protocols.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace tnb {

// Incremental SHA-256. Not thread-safe; one object a stream.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(const void* data, size_t size);
  void Update(std::string_view text) { Update(text.data(), text.size()); }
  // 64 lower-case hexadecimal digits. Call once.
  std::string Hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Hex(std::string_view text);
// Hash of a whole file; throws Error{kIo} when it cannot be read.
std::string Sha256File(const std::filesystem::path& path);

}  // namespace tnb
