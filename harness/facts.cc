#include "harness/facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "tnbench_commit.h"  // generated: TNBENCH_COMMIT

namespace tnb {
namespace {

// The text after `separator` on the first line that begins with `name`; empty when there is none.
std::string ReadField(const char* file, const std::string& name, char separator) {
  std::ifstream input(file);
  for (std::string line; std::getline(input, line);) {
    const size_t at = line.find(separator);
    if (line.compare(0, name.size(), name) != 0 || at == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t\"", at + 1);
    const size_t end = line.find_last_not_of(" \t\"");
    return begin == std::string::npos ? "" : line.substr(begin, end - begin + 1);
  }
  return "";
}

// Which of the instruction sets that matter to the kernels the processor has.
Json InstructionSets() {
  static const std::set<std::string> wanted = {
      "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd", "sve", "i8mm"};
  std::istringstream flags(ReadField("/proc/cpuinfo", "flags", ':') + " " +
                           ReadField("/proc/cpuinfo", "Features", ':'));
  std::set<std::string> found;
  for (std::string flag; flags >> flag;) {
    if (wanted.count(flag) != 0) found.insert(flag);
  }
  return found;
}

}  // namespace

MachineRow ThisMachine() {
  utsname system{};
  ::uname(&system);
  std::string processor = ReadField("/proc/cpuinfo", "model name", ':');
  if (processor.empty()) processor = system.machine;
  const int64_t cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  // Kernels of one machine differ by some MiB in what they report.
  const double bytes =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  const auto memory = static_cast<int64_t>(std::lround(bytes / (1 << 30)));
  MachineRow row;
  row.name = processor + ", " + std::to_string(cores) + " cores, " + std::to_string(memory) + " GiB";
  row.facts = {{"processor", processor},
               {"architecture", system.machine},
               {"cores", cores},
               {"memory_gib", memory},
               {"instruction_sets", InstructionSets()},
               {"system", ReadField("/etc/os-release", "PRETTY_NAME", '=')}};
  return row;
}

BuildRow ThisBuild() {
  BuildRow row;
  row.commit = TNBENCH_COMMIT;
  row.facts = {{"version", TNBENCH_VERSION},
               {"compiler", TNBENCH_COMPILER},
               {"flags", TNBENCH_FLAGS},
               {"libtorch", TNBENCH_LIBTORCH}};
  return row;
}

std::string Version() { return TNBENCH_VERSION; }

}  // namespace tnb
