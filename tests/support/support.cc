#include "tests/support/support.h"

#include <cstdlib>
#include <iostream>

#include "base/error.h"
#include "base/files.h"

namespace tnb::testing {
namespace {

std::optional<std::filesystem::path> IfThere(const std::filesystem::path& path, const std::string& hint) {
  if (std::filesystem::exists(path)) return path;
  std::cerr << "SKIPPED: " << path << " is not there; " << hint << "\n";
  return std::nullopt;
}

}  // namespace

std::optional<std::filesystem::path> SharedData(const std::string& relative) {
  const char* chosen = std::getenv("TNBENCH_TEST_DATA");
  const std::filesystem::path root = chosen != nullptr
                                         ? std::filesystem::path(chosen)
                                         : std::filesystem::path(TNBENCH_SOURCE_DIR) / "../shared/data";
  return IfThere(root / relative, "set TNBENCH_TEST_DATA to the folder that holds it");
}

std::optional<std::filesystem::path> SmolLM2() {
  return IfThere(CacheFolder() / "models/smollm2-135m/SmolLM2-135M-Instruct.Q4_1.gguf",
                 "run ./tnbench once to fetch it");
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tnbench-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw Error(ErrorKind::kIo, "cannot create a temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace tnb::testing
