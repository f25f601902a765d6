// Files: whole-file reads, read-only memory maps, atomic writes, the user's cache folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace tnb {

// Throws Error{kIo} with the system's reason when the file cannot be read.
std::string ReadFile(const std::filesystem::path& path);
// Writes to a temporary file beside `path`, syncs, renames: readers see the old or the new content. Removes
// what killed writers of the same path left behind.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

// For writers that rename when all is written: "PATH.part" and the process id. The writer holds an exclusive
// flock on it.
std::filesystem::path TemporaryBeside(const std::filesystem::path& path);
// Removes the temporary files of `path` whose writers were killed: nobody holds their lock, and on this
// machine there is no such process. Where locks do not work, those of other machines are safe all the same
// unless their process ids are free here.
void RemoveLeftovers(const std::filesystem::path& path);

// $TNBENCH_CACHE, else $XDG_CACHE_HOME/tnbench, else ~/.cache/tnbench. Not created here.
std::filesystem::path CacheFolder();

// A read-only map of a whole file. Movable. Throws Error{kIo}.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }
  // Tells the kernel that a range will not be needed again, so that it leaves resident memory.
  void Release(size_t offset, size_t size) const;

 private:
  std::filesystem::path path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tnb
