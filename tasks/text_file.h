// The perplexity of any text file as a task, for the command line:
//
//   ppl.gptq:FILE   ppl.llamacpp:FILE   ppl.lmeval:FILE
//   ppl.gptq-1024:FILE   with the window's length in tokens instead of 2048 (llamacpp: 512)
//
// FILE is found from the current folder or in the data folder; whatever its format, it counts as one text.
// What the protocols are: tasks/windows.h.
#pragma once

#include <string>

#include "tasks/spec.h"

namespace tnb {

bool IsTextFileTask(const std::string& name);
// Error{kUsage} for an unknown protocol or length.
TaskSpec TextFileTask(const std::string& name);

}  // namespace tnb
