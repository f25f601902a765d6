// The golden files of this folder, and the byte-level alphabet seen from the other side.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace tnb::testing {

inline std::filesystem::path GoldenPath(const std::string& name) {
  return std::filesystem::path(TNBENCH_SOURCE_DIR) / "tests/models/tokenizers/golden" / name;
}

inline Json Golden(const std::string& name) { return ReadJsonFile(GoldenPath(name)); }

}  // namespace tnb::testing
