// A file that is fetched piece by piece: TARGET.partial, with a note beside it (TARGET.partial.note) that
// says what the pieces belong to. It is renamed to TARGET when all is there; a process that ends before
// leaves both, and the next one goes on. Other processes are kept out by a lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace tnb {

class PartialFile {
 public:
  // Creates the folder, opens or creates the partial file. Error{kIo} when another process has it open.
  explicit PartialFile(const std::filesystem::path& target);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }
  const std::string& note() const { return note_; }  // "" without one

  // Error{kIo} with the system's reason, also for a full disk; what was written before stays.
  void Append(std::string_view piece);
  void Truncate(uint64_t size);
  void SetNote(const std::string& note);
  void Restart(const std::string& note);  // empty, with another note
  // Syncs and renames to the target; the note goes.
  void Finish();
  // Both files go.
  void Remove();

 private:
  std::filesystem::path target_, path_, note_path_;
  int file_ = -1;
  uint64_t size_ = 0;
  std::string note_;
};

}  // namespace tnb
