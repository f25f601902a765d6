#include "harness/memory.h"

#include <malloc.h>

#include <fstream>
#include <sstream>
#include <string>

namespace tnb {
namespace {

// The figure of a line "Name:   123 kB".
std::optional<int64_t> ReadKilobytes(const char* file, const std::string& name) {
  std::ifstream input(file);
  for (std::string line; std::getline(input, line);) {
    if (line.compare(0, name.size(), name) != 0 || line[name.size()] != ':') continue;
    int64_t kilobytes = 0;
    if (std::istringstream(line.substr(name.size() + 1)) >> kilobytes) return kilobytes * 1024;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> ResidentBytes() { return ReadKilobytes("/proc/self/status", "VmRSS"); }
std::optional<int64_t> PeakResidentBytes() { return ReadKilobytes("/proc/self/status", "VmHWM"); }
std::optional<int64_t> ProportionalBytes() { return ReadKilobytes("/proc/self/smaps_rollup", "Pss"); }

void TrimAllocator() { ::malloc_trim(0); }

}  // namespace tnb
