#include <memory>

#include "harness/command.h"
#include "harness/worker_process.h"

namespace tnb {

std::function<int()> DeclareWorker(CLI::App& app) {
  auto phase = std::make_shared<std::string>();
  app.add_option("phase", *phase, "compress, quality, speed or training")->required();
  return [phase] { return RunWorker(*phase); };
}

}  // namespace tnb
