#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "records/store.h"

namespace tnb {
namespace {

struct Options {
  int64_t run = 0;
  std::string db = "tnbench.db", tasks;
  bool items = false;
};

Json ItemJson(const ItemRow& item) {
  return {{"task", item.task},
          {"doc", item.doc_index},
          {"prompt_sha256", item.prompt_sha256},
          {"prompt", item.prompt},
          {"loglikelihoods", item.loglikelihoods},
          {"greedy", item.greedy},
          {"text", item.text},
          {"target", item.target},
          {"scores", item.scores},
          {"tokens", item.tokens}};
}

void PrintItems(const Store& store, int64_t data_id, const std::string& task) {
  for (const ItemRow& item : store.Items(data_id, task)) {
    std::cout << ItemJson(item).dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
  }
}

int Export(const Options& options) {
  if (!options.items) {
    throw Error(ErrorKind::kUsage, "nothing to export was named", "--items exports one JSON line an item");
  }
  const Store store = Store::OpenReadOnly(options.db);
  store.Run(options.run);  // an unknown run is an error that names the known ones
  for (const PhaseRow& phase : store.Phases(options.run)) {
    if (phase.name != "quality") continue;
    if (phase.status == PhaseStatus::kSkipped || phase.status == PhaseStatus::kNotMeasured) {
      throw Error(ErrorKind::kData, "run " + std::to_string(options.run) + " has no items: " + phase.reason);
    }
    if (options.tasks.empty()) {
      PrintItems(store, phase.data_id, "");
    } else {
      for (const std::string& task : SplitList(options.tasks, "--tasks")) {
        if (store.Items(phase.data_id, task).empty()) {
          throw Error(ErrorKind::kUsage,
                      {"the run has no items of this task", "", task, "--tasks",
                       "tnbench show " + std::to_string(options.run) + " lists its tasks"});
        }
        PrintItems(store, phase.data_id, task);
      }
    }
    if (!std::cout.flush())
      throw Error(ErrorKind::kIo, "cannot write to standard output", "is the disk full?");
    return 0;
  }
  throw Error(ErrorKind::kData, "run " + std::to_string(options.run) + " has no quality phase");
}

}  // namespace

std::function<int()> DeclareExport(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("run", options->run, "run number, as shown by tnbench run and report")->required();
  app.add_flag("--items", options->items, "one JSON line an item: prompt, log-likelihoods, text, scores");
  app.add_option("--tasks", options->tasks, "only these tasks: a,b");
  app.add_option("--db", options->db, "results database")->capture_default_str();
  return [options] { return Export(*options); };
}

}  // namespace tnb
