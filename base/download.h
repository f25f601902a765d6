// One file from a server to disk, verified, and resumed where an earlier attempt stopped.
//
// The content is collected in TARGET.partial (base/partial_file.h) and renamed when it is
// complete and has the expected size and hash: TARGET itself is never half a file. What is interrupted (a
// signal, a full disk, a lost connection) keeps the partial file, and the next call goes on from there; when
// the file on the server changed meanwhile (If-Range), or the server knows no ranges, it begins anew. A
// content that has the wrong hash is removed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/http.h"

namespace tnb {

struct DownloadFile {
  std::string url;
  std::filesystem::path target;
  std::optional<uint64_t> size;  // bytes
  std::string sha256;            // hexadecimal; "": not known
  std::string git_sha1;          // id of the content as a git blob; "": not known
};

// `progress` is told of bytes there are and in all (0: unknown). Throws what HttpClient throws; Error{kIo}
// when the disk is full or another process fetches the same file; Error{kData} when size or hash are wrong,
// or when the server neither says a length nor `size` is given (a cut connection could not be told from the
// end).
void Download(HttpClient& client, const DownloadFile& file,
              const std::function<void(uint64_t done, uint64_t total)>& progress = nullptr);

// SHA-1 over "blob SIZE\0" and the content, as git and the hub name files outside of LFS.
std::string GitBlobSha1(const std::filesystem::path& path);

}  // namespace tnb
