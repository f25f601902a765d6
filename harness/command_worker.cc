#include <memory>

#include "harness/command.h"
#include "harness/worker_process.h"

namespace tnb {

std::function<int()> DeclareWorker(OptionList& command) {
  auto phase = std::make_shared<std::string>();
  command.Add("phase", *phase, "compress, quality, speed or training").Required();
  return [phase] { return RunWorker(*phase); };
}

}  // namespace tnb
