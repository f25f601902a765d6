#include <filesystem>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "records/store.h"

namespace tnb {
namespace {

struct MergeOptions {
  std::vector<std::string> sources;
  std::string db = "tnbench.db";
};

// A file of an earlier version, as it is when it was opened for writing.
int BringUpToDate(const std::string& db) {
  if (!std::filesystem::exists(db)) {
    throw Error(ErrorKind::kUsage,
                {"there is nothing to merge", "databases to copy from, or a --db that exists", "", db,
                 "tnbench merge laptop.db server.db --db all.db"});
  }
  Store::Open(db);
  std::cout << db << ": up to date\n";
  return 0;
}

int Merge(const MergeOptions& options) {
  if (options.sources.empty()) return BringUpToDate(options.db);
  for (const std::string& source : options.sources)
    Store::OpenReadOnly(source);  // all are there, before the first
  Store store = Store::Open(options.db);
  for (const std::string& source : options.sources) {
    const MergeCounts counts = store.Merge(source);
    std::cout << source << ": " << counts.runs << " runs with " << counts.items << " items copied, "
              << counts.known << " known already";
    if (counts.unfinished != 0) std::cout << ", " << counts.unfinished << " left out: not finished yet";
    if (counts.measurements != 0) std::cout << ", " << counts.measurements << " measurements copied";
    std::cout << "\n";
  }
  return 0;
}

}  // namespace

std::function<int()> DeclareMerge(OptionList& command) {
  auto options = std::make_shared<MergeOptions>();
  command.Add("sources", options->sources,
              "databases whose runs are copied; none: --db is only brought up to date");
  command.Add("--db", options->db, "database that they are copied into; made when absent").ShowDefault();
  return [options] { return Merge(*options); };
}

}  // namespace tnb
