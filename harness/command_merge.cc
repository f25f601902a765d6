#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "records/store.h"

namespace tnb {
namespace {

struct Options {
  std::vector<std::string> sources;
  std::string db = "tnbench.db";
};

int Merge(const Options& options) {
  for (const std::string& source : options.sources)
    Store::OpenReadOnly(source);  // all are there, before the first
  Store store = Store::Open(options.db);
  for (const std::string& source : options.sources) {
    const MergeCounts counts = store.Merge(source);
    std::cout << source << ": " << counts.runs << " runs with " << counts.items << " items copied, "
              << counts.known << " known already";
    if (counts.unfinished != 0) std::cout << ", " << counts.unfinished << " left out: not finished yet";
    std::cout << "\n";
  }
  return 0;
}

}  // namespace

std::function<int()> DeclareMerge(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("sources", options->sources, "databases whose runs are copied")->required();
  app.add_option("--db", options->db, "database that they are copied into; made when absent")
      ->capture_default_str();
  return [options] { return Merge(*options); };
}

}  // namespace tnb
