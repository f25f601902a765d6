#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "models/formats/safetensors.h"

namespace tnb {
namespace {

constexpr uint64_t kAlignment = 64;

// Header room such that the data starts at a multiple of kAlignment.
uint64_t RoundHeader(uint64_t bytes) { return (bytes + 8 + kAlignment - 1) / kAlignment * kAlignment - 8; }

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, uint64_t reserved_header_bytes,
                                     std::map<std::string, std::string> metadata)
    : path_(path),
      temporary_(TemporaryBeside(path)),
      header_bytes_(RoundHeader(reserved_header_bytes)),
      metadata_(std::move(metadata)) {
  file_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) Fail("create file");
  ::flock(file_, LOCK_EX | LOCK_NB);  // where locks do not work, leftovers of others are not removed either
  RemoveLeftovers(path);
  if (::lseek(file_, static_cast<off_t>(8 + header_bytes_), SEEK_SET) < 0) Fail("seek in file");
}

SafetensorsWriter::~SafetensorsWriter() { Abandon(); }

void SafetensorsWriter::Abandon() {
  if (file_ < 0) return;
  ::close(std::exchange(file_, -1));
  ::unlink(temporary_.c_str());
}

void SafetensorsWriter::Fail(const std::string& action) {
  const int code = errno;
  Abandon();
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  throw Error(ErrorKind::kIo,
              {"cannot " + action, "", std::strerror(code), temporary_.string(),
               full ? "free some space or choose another folder" : "check that the folder is writable"});
}

void SafetensorsWriter::Write(int file, const void* data, uint64_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t wrote = ::write(file, next, std::min<uint64_t>(bytes, 1 << 30));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) Fail("write file");
    next += wrote;
    bytes -= static_cast<uint64_t>(wrote);
  }
}

void SafetensorsWriter::AddEntry(const std::string& name, const std::string& dtype,
                                 const std::vector<int64_t>& shape, uint64_t bytes) {
  header_[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {position_, position_ + bytes}}};
  position_ += bytes;
}

void SafetensorsWriter::Append(const std::string& name, const std::string& dtype,
                               const std::vector<int64_t>& shape, const void* data, uint64_t bytes) {
  if (file_ < 0)
    throw Error(ErrorKind::kInternal, {"Append after Finish or an error", "", "", path_.string(), ""});
  int64_t expected = SafetensorsElementBytes(dtype);
  bool wrong = expected == 0;
  for (const int64_t size : shape)
    wrong = wrong || size < 0 || __builtin_mul_overflow(expected, size, &expected);
  if (wrong || static_cast<uint64_t>(expected) != bytes) {
    throw Error(ErrorKind::kInternal,
                {"bytes of tensor '" + name + "' do not fit its dtype " + dtype + " and shape",
                 std::to_string(expected), std::to_string(bytes), path_.string(), ""});
  }
  if (header_.contains(name) || name == "__metadata__" || name.starts_with("_padding.")) {
    throw Error(ErrorKind::kInternal, {"tensor name '" + name + "' is taken", "", "", path_.string(), ""});
  }
  if (const uint64_t gap = (kAlignment - position_ % kAlignment) % kAlignment; gap > 0) {
    constexpr char kZeros[kAlignment] = {};
    Write(file_, kZeros, gap);
    AddEntry("_padding." + std::to_string(paddings_++), "U8", {static_cast<int64_t>(gap)}, gap);
  }
  Write(file_, data, bytes);
  AddEntry(name, dtype, shape, bytes);
}

void SafetensorsWriter::MoveDataBehind(uint64_t header_bytes) {
  // From the end to the front, within the same file: no second copy of the data is needed on the disk.
  const uint64_t from = 8 + header_bytes_;
  const uint64_t to = 8 + header_bytes;
  std::vector<char> buffer(1 << 22);
  for (uint64_t end = position_; end > 0;) {
    const uint64_t size = std::min<uint64_t>(end, buffer.size());
    end -= size;
    for (uint64_t done = 0; done < size;) {
      const ssize_t got =
          ::pread(file_, buffer.data() + done, size - done, static_cast<off_t>(from + end + done));
      if (got < 0 && errno == EINTR) continue;
      if (got == 0) errno = EIO;
      if (got <= 0) Fail("read back file");
      done += static_cast<uint64_t>(got);
    }
    if (::lseek(file_, static_cast<off_t>(to + end), SEEK_SET) < 0) Fail("seek in file");
    Write(file_, buffer.data(), size);
  }
  header_bytes_ = header_bytes;
}

void SafetensorsWriter::Finish() {
  if (file_ < 0)
    throw Error(ErrorKind::kInternal, {"Finish after Finish or an error", "", "", path_.string(), ""});
  if (!metadata_.empty()) header_["__metadata__"] = metadata_;
  std::string text;
  try {
    text = header_.dump();
  } catch (const Json::exception& error) {  // a name or metadata text that is not UTF-8
    Abandon();
    throw Error(ErrorKind::kInternal,
                {"the header cannot be written", "UTF-8", error.what(), path_.string(), ""});
  }
  if (text.size() > header_bytes_) MoveDataBehind(RoundHeader(text.size()));
  text.resize(header_bytes_, ' ');
  if (::lseek(file_, 0, SEEK_SET) < 0) Fail("seek in file");
  Write(file_, &header_bytes_, sizeof header_bytes_);
  Write(file_, text.data(), text.size());
  if (::fsync(file_) != 0) Fail("sync file");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) Fail("rename file");
  ::close(std::exchange(file_, -1));
}

}  // namespace tnb
