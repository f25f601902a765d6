// What tests of every folder share: the optional shared data, temporary folders, errors by content.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tnb::testing {

// The folder of real datasets, tokenizers and tiny models ($TNBENCH_TEST_DATA, else ../shared/data beside the
// project), when `relative` exists in it. Otherwise prints "SKIPPED: ..." on stderr and returns nothing; the
// test then returns at once.
std::optional<std::filesystem::path> SharedData(const std::string& relative);

// The file of the smollm2-135m checkpoint in the cache folder, when it is there; else as SharedData.
std::optional<std::filesystem::path> SmolLM2();

// A fresh folder that disappears with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace tnb::testing
