#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/cell.h"
#include "harness/command.h"
#include "harness/show_task.h"
#include "models/checkpoint.h"
#include "models/known.h"
#include "records/store.h"
#include "reports/show.h"
#include "tasks/requests.h"
#include "tasks/task.h"

namespace tnb {
namespace {

struct ShowOptions {
  std::string what, name;  // a run's number, or "task" and its name
  std::string db = "tnbench.db", task, data_dir, model;
  std::optional<int64_t> num_fewshot, max_length;
  int64_t doc = 0;
  bool json = false, items = false;
};

// The tokenizer of --model, or of the default model when it is there; null without.
struct Reader {
  std::unique_ptr<Tokenizer> tokenizer;
  std::string name;
  int64_t context_length = 0;
};
Reader OpenTokenizer(const std::string& model, std::optional<int64_t> max_length) {
  Reader reader;
  try {
    const ResolvedModel resolved = ResolveModel(model.empty() ? kDefaultModel : model);
    reader.tokenizer = LoadTokenizer(OpenCheckpoint(resolved.path)->tokenizer());
    reader.name = resolved.name;
    reader.context_length = ScoringContext(resolved.config, max_length);
  } catch (const Error& error) {
    if (!model.empty() || error.kind() != ErrorKind::kIo) throw;
  }
  return reader;
}

// A document as the model sees it.
int ShowPrompt(const ShowOptions& options) {
  const Task task(LoadTaskSpec(options.task),
                  {.data_dir = options.data_dir, .num_fewshot = options.num_fewshot});
  if (options.doc < 0 || options.doc >= static_cast<int64_t>(task.size())) {
    throw Error(ErrorKind::kUsage, {"no such document", "0 to " + std::to_string(task.size() - 1),
                                    std::to_string(options.doc), "--doc", ""});
  }
  const Reader reader = OpenTokenizer(options.model, options.max_length);
  const Tokenizer* tokenizer = reader.tokenizer.get();
  const auto doc = static_cast<size_t>(options.doc);
  Item item = task.BuildPrompts().at(doc);
  if (tokenizer != nullptr) {
    AddRequests(task.spec(), *tokenizer, reader.context_length, task.dataset().Where(doc), item);
  }
  if (options.json) {
    std::cout << ShowItemJson(task, item, tokenizer).dump(2) << "\n";
    return 0;
  }
  std::cout << ShowItem(task, item, tokenizer);
  if (tokenizer != nullptr) {
    std::cout << "tokens of " << reader.name << ", context of " << reader.context_length << "\n";
  } else {
    std::cout << "no tokens: give --model\n";
  }
  return 0;
}

int Show(const ShowOptions& options) {
  if (options.what == "task" && options.task.empty() && !options.name.empty()) {
    ShowOptions named = options;
    named.task = options.name;
    return ShowPrompt(named);
  }
  if (!options.name.empty() || options.what.empty() == options.task.empty()) {
    throw Error(ErrorKind::kUsage, "give either a run or a task",
                "tnbench show 3, or tnbench show task NAME --doc N (--task NAME does the same)");
  }
  if (!options.task.empty()) return ShowPrompt(options);
  int64_t run = 0;
  if (!ParseInteger(options.what, run)) {
    throw Error(ErrorKind::kUsage, {"not a run", "a number, or task NAME", "'" + options.what + "'", "", ""});
  }
  const Store store = Store::OpenReadOnly(options.db);
  if (options.json) {
    std::cout << ShowRunJson(store, run, options.items).dump(2, ' ', false, Json::error_handler_t::replace)
              << "\n";
  } else {
    std::cout << ShowRun(store, run);
  }
  return 0;
}

}  // namespace

std::function<int()> DeclareShow(OptionList& command) {
  auto options = std::make_shared<ShowOptions>();
  command.Add("what", options->what, "run number, or the word task").ShownAs("RUN|task");
  command.Add("name", options->name, "with task: its name or file").ShownAs("NAME");
  command.Add("--db", options->db, "results database").ShowDefault();
  command.Flag("--json", options->json, "everything, in full precision");
  command.Flag("--items", options->items, "with --json: also every item");
  command.Add("--task", options->task, "the same as task NAME");
  command.Add("--model", options->model,
              "with a task: whose tokens are shown (default: smollm2-135m if it is there)");
  command.Add("--num-fewshot", options->num_fewshot, "with a task: number of examples");
  command.Add("--max-length", options->max_length, "with a task: as in tnbench run").Positive();
  command.Add("--doc", options->doc, "document of the task, from 0").ShowDefault();
  command.Add("--data-dir", options->data_dir, "folder of the datasets");
  return [options] { return Show(*options); };
}

}  // namespace tnb
