#include "base/hash.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/files.h"

namespace tnb {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) != 1) {
    throw Error(ErrorKind::kInternal, "OpenSSL refuses SHA-256");
  }
}

Sha256::~Sha256() = default;

void Sha256::Update(const void* data, size_t size) { EVP_DigestUpdate(context_->evp, data, size); }

std::string Sha256::Hex() {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_->evp, digest.data(), &size);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Sha256Hex(std::string_view text) {
  Sha256 hash;
  hash.Update(text);
  return hash.Hex();
}

std::string Sha256File(const std::filesystem::path& path) {
  const MappedFile file(path);
  // Piece by piece, each given back: hashing a large file must not count in the peak memory of what follows.
  constexpr size_t kPiece = size_t{1} << 20;
  Sha256 hash;
  for (size_t begin = 0; begin < file.size(); begin += kPiece) {
    const size_t size = std::min(kPiece, file.size() - begin);
    hash.Update(file.data() + begin, size);
    file.Release(begin, size);
  }
  return hash.Hex();
}

}  // namespace tnb
