#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "records/store.h"
#include "reports/show.h"
#include "tasks/task.h"

namespace tnb {
namespace {

struct Options {
  std::optional<int64_t> run;
  std::string db = "tnbench.db", task, data_dir;
  int64_t doc = 0;
  bool json = false, items = false;
};

// A document as the model sees it.
int ShowPrompt(const Options& options) {
  const Task task(LoadTaskSpec(options.task), {.data_dir = options.data_dir});
  if (options.doc < 0 || options.doc >= static_cast<int64_t>(task.size())) {
    throw Error(ErrorKind::kUsage, {"no such document", "0 to " + std::to_string(task.size() - 1),
                                    std::to_string(options.doc), "--doc", ""});
  }
  const Item item = task.BuildPrompts().at(static_cast<size_t>(options.doc));
  if (options.json) {
    const Json json = {{"task", task.spec().name},
                       {"doc", item.doc},
                       {"prompt", item.prompt},
                       {"prompt_sha256", item.prompt_sha256},
                       {"continuations", item.continuations},
                       {"target", item.target}};
    std::cout << json.dump(2) << "\n";
    return 0;
  }
  std::cout << item.prompt << "\n--- expected: " << item.target << "\n";
  for (size_t i = 0; i < item.continuations.size(); ++i) {
    std::cout << (i == item.gold ? "*" : " ") << " '" << item.continuations[i] << "'\n";
  }
  return 0;
}

int Show(const Options& options) {
  if (options.run.has_value() == !options.task.empty()) {
    throw Error(ErrorKind::kUsage, "give either a run or --task",
                "tnbench show 3, or tnbench show --task NAME --doc N");
  }
  if (!options.task.empty()) return ShowPrompt(options);
  const Store store = Store::OpenReadOnly(options.db);
  if (options.json) {
    std::cout
        << ShowRunJson(store, *options.run, options.items).dump(2, ' ', false, Json::error_handler_t::replace)
        << "\n";
  } else {
    std::cout << ShowRun(store, *options.run);
  }
  return 0;
}

}  // namespace

std::function<int()> DeclareShow(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("run", options->run, "run number");
  app.add_option("--db", options->db, "results database")->capture_default_str();
  app.add_flag("--json", options->json, "everything, in full precision");
  app.add_flag("--items", options->items, "with --json: also every item");
  app.add_option("--task", options->task, "instead of a run: a task, whose prompt is shown");
  app.add_option("--doc", options->doc, "document of the task, from 0")->capture_default_str();
  app.add_option("--data-dir", options->data_dir, "folder of the datasets");
  return [options] { return Show(*options); };
}

}  // namespace tnb
