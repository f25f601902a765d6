#include "base/partial_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void ThrowSystemError(const std::string& action, const fs::path& path) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EFBIG || code == EDQUOT;
  throw Error(ErrorKind::kIo,
              {"cannot " + action, "", std::strerror(code), path.string(),
               full ? "free some space and run the same command again: it goes on where it stopped" : ""});
}

}  // namespace

PartialFile::PartialFile(const fs::path& target)
    : target_(target), path_(target.string() + ".partial"), note_path_(target.string() + ".partial.note") {
  std::error_code failed;
  if (target.has_parent_path()) fs::create_directories(target.parent_path(), failed);
  if (failed) {
    throw Error(ErrorKind::kIo,
                {"cannot create folder", "", failed.message(), target.parent_path().string(), ""});
  }
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) ThrowSystemError("create file", path_);
  struct stat status {};
  const bool locked = ::flock(file_, LOCK_EX | LOCK_NB) == 0;
  if (!locked || ::fstat(file_, &status) != 0) {
    const int code = errno;
    ::close(file_);
    errno = code;
    if (locked) ThrowSystemError("stat file", path_);
    throw Error(ErrorKind::kIo,
                {"another process is fetching this file", "", "", path_.string(), "wait until it has ended"});
  }
  size_ = static_cast<uint64_t>(status.st_size);
  if (size_ > 0 && fs::exists(note_path_, failed)) note_ = ReadFile(note_path_);
}

PartialFile::~PartialFile() { ::close(file_); }

void PartialFile::Append(std::string_view piece) {
  while (!piece.empty()) {
    const ssize_t wrote = ::pwrite(file_, piece.data(), piece.size(), static_cast<off_t>(size_));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) ThrowSystemError("write file", path_);
    size_ += static_cast<uint64_t>(wrote);
    piece.remove_prefix(static_cast<size_t>(wrote));
  }
}

void PartialFile::Truncate(uint64_t size) {
  if (::ftruncate(file_, static_cast<off_t>(size)) != 0) ThrowSystemError("write file", path_);
  size_ = size;
}

void PartialFile::SetNote(const std::string& note) {
  note_ = note;
  if (note.empty()) {
    std::error_code ignored;
    fs::remove(note_path_, ignored);
  } else {
    WriteFileAtomically(note_path_, note);
  }
}

void PartialFile::Restart(const std::string& note) {
  Truncate(0);
  SetNote(note);
}

void PartialFile::Finish() {
  if (::fsync(file_) != 0 || ::rename(path_.c_str(), target_.c_str()) != 0) {
    ThrowSystemError("finish file", target_);
  }
  SetNote("");
}

void PartialFile::Remove() {
  std::error_code ignored;
  fs::remove(path_, ignored);
  SetNote("");
}

}  // namespace tnb
