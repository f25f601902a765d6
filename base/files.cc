#include "base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace tnb {
namespace {

const char kUnfinished[] = ".part";  // followed by the writer's process id

[[noreturn]] void ThrowSystemError(const std::string& action, const std::filesystem::path& path) {
  const int code = errno;
  std::string hint;
  if (code == ENOENT) hint = "check the path";
  if (code == ENOSPC) hint = "free some space or choose another folder";
  throw Error(ErrorKind::kIo, {"cannot " + action, "", std::strerror(code), path.string(), hint});
}

}  // namespace

std::string ReadFile(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) ThrowSystemError("open file", path);
  std::string content;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(file, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      ::close(file);
      ThrowSystemError("read file", path);
    }
    if (got == 0) break;
    content.append(buffer, static_cast<size_t>(got));
  }
  ::close(file);
  return content;
}

std::filesystem::path TemporaryBeside(const std::filesystem::path& path) {
  return path.string() + kUnfinished + std::to_string(::getpid());
}

void RemoveLeftovers(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  const std::string prefix = path.filename().string() + kUnfinished;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::absolute(path).parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    pid_t process = 0;
    const auto [end, error] =
        std::from_chars(name.data() + prefix.size(), name.data() + name.size(), process);
    if (error != std::errc() || end != name.data() + name.size() || process <= 0) continue;
    if (::kill(process, 0) == 0 || errno != ESRCH) continue;
    const int file = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0) continue;
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) ::unlink(entry.path().c_str());
    ::close(file);
  }
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path temporary = TemporaryBeside(path);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) ThrowSystemError("create file", temporary);
  ::flock(file, LOCK_EX | LOCK_NB);
  RemoveLeftovers(path);
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t wrote = ::write(file, content.data() + done, content.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int code = errno;
      ::close(file);
      ::unlink(temporary.c_str());
      errno = code;
      ThrowSystemError("write file", temporary);
    }
    done += static_cast<size_t>(wrote);
  }
  if (::fsync(file) != 0 || ::close(file) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    errno = code;
    ThrowSystemError("finish file", path);
  }
}

std::filesystem::path CacheFolder() {
  if (const char* own = std::getenv("TNBENCH_CACHE"); own != nullptr && *own != 0) return own;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != 0) {
    return std::filesystem::path(xdg) / "tnbench";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0) {
    return std::filesystem::path(home) / ".cache" / "tnbench";
  }
  return std::filesystem::temp_directory_path() / "tnbench-cache";
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) ThrowSystemError("open file", path);
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    ::close(file);
    ThrowSystemError("stat file", path);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(file);
    throw Error(ErrorKind::kIo, {"not a regular file", "", "", path.string(), "check the path"});
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file, 0);
    ::close(file);
    if (address == MAP_FAILED) ThrowSystemError("map file", path);
    data_ = static_cast<const uint8_t*>(address);
  } else {
    ::close(file);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

void MappedFile::Release(size_t offset, size_t size) const {
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = std::min(offset + size, size_) / page * page;
  if (begin < end) ::madvise(const_cast<uint8_t*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace tnb
