// Facts about the machine and about this program, as stored with every run. Only lasting ones: what varies
// from day to day (load, free memory, clock) would make a new machine of the same one.
#pragma once

#include <string>

#include "records/rows.h"

namespace tnb {

// Processor, logical cores, memory size, system. `name`: "AMD EPYC 7B13, 2 cores, 8 GiB".
MachineRow ThisMachine();
// Version, commit ("-dirty" when files differed at build time, "unknown" outside a repository), compiler,
// flags, LibTorch.
BuildRow ThisBuild();
// "0.1.0"
std::string Version();

}  // namespace tnb
