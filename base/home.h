// Where files that belong to tnbench are found at run time.
#pragma once

#include <filesystem>

namespace tnb {

// The folder with datasets/sample, tasks/definitions and models/nano: $TNBENCH_HOME, else the source folder
// that the program was built from.
std::filesystem::path HomeFolder();

}  // namespace tnb
