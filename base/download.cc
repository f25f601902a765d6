#include "base/download.h"

#include <openssl/evp.h>

#include <charconv>
#include <fstream>
#include <memory>

#include "base/hash.h"
#include "base/partial_file.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

std::string Header(const HttpAnswer& answer, const char* name) {
  const auto found = answer.headers.find(name);
  return found == answer.headers.end() ? "" : found->second;
}

// "bytes FIRST-LAST/TOTAL"; nothing when it is something else.
struct ContentRange {
  uint64_t first = 0, last = 0, total = 0;
};
std::optional<ContentRange> ParseContentRange(const std::string& text) {
  ContentRange range;
  const char* at = text.data();
  const char* const end = at + text.size();
  if (!text.starts_with("bytes ")) return std::nullopt;
  at += 6;
  for (auto [number, separator] : {std::pair{&range.first, '-'}, {&range.last, '/'}, {&range.total, '\0'}}) {
    const auto [next, error] = std::from_chars(at, end, *number);
    if (error != std::errc()) return std::nullopt;
    at = next;
    if (separator == '\0') break;
    if (at == end || *at != separator) return std::nullopt;
    ++at;
  }
  if (at != end || range.last < range.first || range.last >= range.total) return std::nullopt;
  return range;
}

// What is wrong with the complete file, or "".
std::string HashProblem(const DownloadFile& file, const fs::path& path) {
  if (!file.sha256.empty()) {
    const std::string found = Sha256File(path);
    return found == file.sha256 ? "" : "SHA-256 " + found;
  }
  if (!file.git_sha1.empty()) {
    const std::string found = GitBlobSha1(path);
    return found == file.git_sha1 ? "" : "git blob " + found;
  }
  return "";
}

// One transfer that appends to `partial` or restarts it; the complete size, as far as anybody says it.
std::optional<uint64_t> Transfer(HttpClient& client, const DownloadFile& file, PartialFile& partial,
                                 const std::function<void(uint64_t, uint64_t)>& progress) {
  std::optional<uint64_t> total = file.size;
  const std::string where = file.target.string();
  HttpClient::Streamed streamed;
  streamed.headers = [&]() -> std::map<std::string, std::string> {
    if (partial.size() == 0) return {};
    std::map<std::string, std::string> headers = {{"Range", "bytes=" + std::to_string(partial.size()) + "-"}};
    // Weak validators may not be used with If-Range (RFC 9110, 13.1.5).
    if (partial.note().starts_with('"')) headers["If-Range"] = partial.note();
    return headers;
  };
  streamed.accept = [](long status) { return status == 200 || status == 206 || status == 416; };
  bool unusable = false;  // 416: what is there cannot be continued
  streamed.begin = [&](const HttpAnswer& answer) {
    unusable = answer.status == 416;
    if (unusable) return;
    if (answer.status == 206) {
      const auto range = ParseContentRange(Header(answer, "content-range"));
      if (!range || range->first != partial.size() || (file.size && range->total != *file.size)) {
        const std::string asked = "bytes " + std::to_string(partial.size()) + "-";
        partial.Restart("");
        throw Error(ErrorKind::kData, {"the server sends another part than asked for", asked,
                                       "'" + Header(answer, "content-range") + "'", where,
                                       "run the same command again: it begins anew"});
      }
      total = range->total;
    } else {
      partial.Restart(Header(answer, "etag"));
      const std::string length = Header(answer, "content-length");
      uint64_t bytes = 0;
      const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bytes);
      if (!length.empty() && error == std::errc() && end == length.data() + length.size()) {
        if (file.size && bytes != *file.size) {
          throw Error(ErrorKind::kData,
                      {"the server's file has another size", std::to_string(*file.size) + " bytes",
                       std::to_string(bytes) + " bytes", where, "try again later"});
        }
        total = bytes;
      } else if (!total) {
        throw Error(ErrorKind::kData, {"the server does not say how long the file is", "", "", where, ""});
      }
    }
    std::error_code failed;
    const fs::space_info space = fs::space(fs::absolute(partial.path()).parent_path(), failed);
    if (!failed && total && *total > partial.size() && space.available < *total - partial.size()) {
      throw Error(ErrorKind::kIo,
                  {"the disk has too little space", std::to_string((*total - partial.size()) >> 20) + " MiB",
                   std::to_string(space.available >> 20) + " MiB", where,
                   "free some space or choose another folder"});
    }
  };
  streamed.sink = [&](std::string_view piece) {
    if (unusable) return;
    if (total && partial.size() + piece.size() > *total) {
      // What came before is part of the same wrong content, however the network cut it.
      partial.Restart("");
      throw Error(ErrorKind::kData, {"the server sends more than the file has",
                                     std::to_string(*total) + " bytes", "", where, "try again later"});
    }
    partial.Append(piece);
    if (progress) progress(partial.size(), total.value_or(0));
  };
  client.Stream(file.url, streamed);
  if (unusable) partial.Restart("");
  return total;
}

}  // namespace

void Download(HttpClient& client, const DownloadFile& file,
              const std::function<void(uint64_t, uint64_t)>& progress) {
  PartialFile partial(file.target);
  // A second round only when the first one built on an older partial file that turned out useless.
  for (bool resumed = partial.size() > 0;; resumed = false) {
    std::optional<uint64_t> total = file.size;
    const bool complete =
        file.size && partial.size() == *file.size && (!file.sha256.empty() || !file.git_sha1.empty());
    if (!complete) total = Transfer(client, file, partial, progress);
    const bool right_size = total && partial.size() == *total;
    const std::string problem = right_size ? HashProblem(file, partial.path()) : "";
    if (right_size && problem.empty()) break;
    const std::string found = right_size ? problem : std::to_string(partial.size()) + " bytes";
    partial.Restart("");
    if (resumed) continue;
    partial.Remove();
    throw Error(ErrorKind::kData,
                {"the file that came is not the expected one",
                 right_size ? (file.sha256.empty() ? "git blob " + file.git_sha1 : "SHA-256 " + file.sha256)
                            : std::to_string(total.value_or(0)) + " bytes",
                 found, file.target.string(), "it was removed; try again later"});
  }
  partial.Finish();
}

std::string GitBlobSha1(const fs::path& path) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  std::ifstream file(path, std::ios::binary);
  std::error_code failed;
  const uint64_t size = fs::file_size(path, failed);
  if (!file || failed) throw Error(ErrorKind::kIo, {"cannot open file", "", "", path.string(), ""});
  bool good = context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr) == 1;
  const std::string head = "blob " + std::to_string(size);
  good = good && EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1) == 1;
  char buffer[1 << 16];
  while (good && file.read(buffer, sizeof buffer).gcount() > 0) {
    good = EVP_DigestUpdate(context.get(), buffer, static_cast<size_t>(file.gcount())) == 1;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  good = good && EVP_DigestFinal_ex(context.get(), digest, &length) == 1;
  if (!good || file.bad()) throw Error(ErrorKind::kIo, {"cannot hash the file", "", "", path.string(), ""});
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

}  // namespace tnb
