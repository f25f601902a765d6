#include "base/home.h"

#include <cstdlib>

namespace tnb {

std::filesystem::path HomeFolder() {
  if (const char* home = std::getenv("TNBENCH_HOME"); home != nullptr && *home != '\0') return home;
  return TNBENCH_SOURCE_FOLDER;
}

}  // namespace tnb
