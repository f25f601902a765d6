#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/cell.h"
#include "harness/command.h"
#include "harness/driver.h"
#include "harness/rescore.h"
#include "methods/recipe.h"
#include "models/known.h"
#include "records/store.h"
#include "reports/report.h"

namespace tnb {
namespace {

struct CommandRunOptions {
  RunRequest request;
  std::string models = kDefaultModel, tasks, phases, weights = "checkpoint", db = "tnbench.db";
  std::string data_dir, artefacts, drift_text;
  bool no_base = false, json = false;
};

void PrintReport(const Store& store, const std::vector<int64_t>& runs, const std::string& base, bool json) {
  ReportOptions report;
  report.filter.ids = runs;
  if (!base.empty()) report.base_method = ParseRecipe(base).text;
  report.label = ShortRecipe;
  report.width = TerminalWidth();
  std::cout << RenderReport(store, report, json ? ReportFormat::kJson : ReportFormat::kMarkdown);
}

RunRequest RequestOf(const CommandRunOptions& options) {
  RunRequest request = options.request;
  request.models = SplitList(options.models, "--model");
  request.tasks = SplitList(options.tasks, "--tasks");
  request.phases = SplitList(options.phases, "--phases");
  request.data_dir = options.data_dir;
  request.artefacts = options.artefacts;
  request.drift_text = options.drift_text;
  request.random_weights = options.weights == "random";
  if (options.no_base) request.base.clear();
  return request;
}

int Run(const CommandRunOptions& options) {
  RunRequest request = RequestOf(options);
  request.command = CommandLine();
  const Plan plan = ExpandCells(request);
  Store store = Store::Open(options.db);
  const DriverResult result = RunPlan(plan, store);
  if (!result.runs.empty()) PrintReport(store, result.runs, plan.request.base, options.json);
  if (result.interrupted) return 130;
  return result.failed ? 1 : 0;
}

int RunRescore(const CommandRunOptions& options, RescoreRequest request) {
  request.data_dir = options.data_dir;
  request.command = CommandLine();
  Store::OpenReadOnly(options.db);  // a new file would hold no run
  Store store = Store::Open(options.db);
  PrintReport(store, {Rescore(request, store)}, "", options.json);
  return 0;
}

std::shared_ptr<CommandRunOptions> Declare(OptionList& command) {
  auto options = std::make_shared<CommandRunOptions>();
  RunRequest& request = options->request;
  command.Add("--method", request.methods, "methods, comma-separated (tnbench list methods)").ShowDefault();
  command.Add("--model", options->models, "names or paths, comma-separated (tnbench list models)")
      .ShowDefault();
  command.Add(
      "--tasks", options->tasks,
      "names of tasks or groups (mmlu, 'xsum*': all that match), task files, or the perplexity of a text "
      "file: ppl.gptq:FILE, "
      "ppl.llamacpp:FILE, ppl.lmeval:FILE (ppl.gptq-1024:FILE: windows of 1024 tokens); comma-separated "
      "(default: the world-* tasks for nano, the sample-* tasks for other models)");
  command.Add("--data-dir", options->data_dir, "folder of the datasets");
  command.Add("--db", options->db, "results database").ShowDefault();
  command.Add("--limit", request.limit, "only the first N items of each task (of each member of a group)");
  command.Add("--num-fewshot", request.num_fewshot,
              "examples in the prompt, instead of each task's own number");
  command.Add("--max-length", request.max_length,
              "longest input in tokens (default: the model's own context, as in lm-evaluation-harness); "
              "longer ones lose their beginning");
  command
      .Add("--fewshot-compat", request.fewshot_compat,
           "lm-eval: examples as lm-evaluation-harness draws them, one generator for all items; document: "
           "from each item's number alone, so that they do not depend on the items before")
      .OneOf({"lm-eval", "document"})
      .ShowDefault();
  command.Flag("--apply-chat-template", request.apply_chat_template,
               "prompts become the user's turn, by the chat template of the model's own files");
  command.Flag("--fewshot-as-multiturn", request.fewshot_as_multiturn,
               "each example becomes a turn of its own");
  command.Add("--system-instruction", request.system_instruction,
              "text before everything; with a chat template the system's turn");
  command.Add("--seed", request.seed, "of few-shot draws, random token ids and random weights");
  command.Add("--phases", options->phases, "compress,quality,drift,speed,training (default: all)");
  command.Add("--base", request.base, "uncompressed method that is run first").ShowDefault();
  command.Flag("--no-base", options->no_base, "run nothing but what --method lists");
  command.Flag("--control", request.control,
               "with a healed method also train the uncompressed model on the same tokens: what the text "
               "alone brings");
  command.Flag("--force", request.force, "measure again what is measured already");
  command
      .Add("--weights", options->weights,
           "checkpoint, or random: the model's shape with random weights, whose time and memory can be "
           "measured")
      .OneOf({"checkpoint", "random"})
      .ShowDefault();
  command.Add("--threads", request.threads, "0: one a logical core").ShowDefault();
  command.Add("--device", request.device, "cpu or cuda").ShowDefault();
  command.Add("--repetitions", request.repetitions, "of each timing").ShowDefault();
  command
      .Add("--drift-tokens", request.drift_tokens,
           "tokens of a text over which predictions are compared with the base's; the base's take 2 bytes a "
           "token and vocabulary entry on disk")
      .ShowDefault();
  command.Add("--drift-text", options->drift_text,
              "that text (default: wikitext2 of --data-dir, else the sample summaries)");
  command.Add("--artefacts", options->artefacts,
              "folder of compressed models (default: in the user's cache)");
  command.Add("--timeout", request.timeout, "seconds that a phase may take; 0: no limit").ShowDefault();
  command.Flag("--json", options->json, "print the tables as JSON");
  return options;
}

}  // namespace

std::function<int()> DeclareRun(OptionList& command) {
  const auto options = Declare(command);
  return [options] { return Run(*options); };
}

// tnbench run --phases quality, or the same without the model.
std::function<int()> DeclareEval(OptionList& command) {
  const auto options = Declare(command);
  command.Remove("--phases");
  options->phases = "quality";
  const auto rescore = std::make_shared<RescoreRequest>();
  const DeclaredOption run =
      command.Add("--rescore", rescore->run,
                  "instead of running a model: score the stored outputs of this run again, as a "
                  "new run");
  command
      .Add("--task-file", rescore->task_files,
           "with --rescore: a changed definition of one of its tasks; may be given several times")
      .Needs(run);
  return [options, rescore, run] { return run.Given() ? RunRescore(*options, *rescore) : Run(*options); };
}

RunOptions DeclareRunOptions(OptionList& command) {
  const auto options = Declare(command);
  std::vector<DeclaredOption> declared;
  for (const DeclaredOption& option : command.Declared()) {
    const std::string name = option.Name();
    if (name != "--help" && name != "--db" && name != "--json") declared.push_back(option);
  }
  const auto given = [declared] {
    std::vector<std::string> arguments;
    for (const DeclaredOption& option : declared) {
      if (!option.Given()) continue;
      arguments.push_back(option.Name());
      if (!option.TakesValue()) continue;
      std::string value;
      for (const std::string& part : option.Texts()) value += (value.empty() ? "" : ",") + part;
      arguments.push_back(value);
    }
    return arguments;
  };
  return {given, [options] { return options->db; }, [options] { return options->json; }};
}

RunRequest ParseRunArguments(const std::vector<std::string>& arguments, const std::string& where) {
  std::shared_ptr<CommandRunOptions> options;
  ParseOptions(
      arguments, [&](OptionList& command) { options = Declare(command); }, where, "tnbench run");
  RunRequest request = RequestOf(*options);
  request.command = "tnbench run";
  for (const std::string& argument : arguments) request.command.append(" ").append(ShellQuoted(argument));
  return request;
}

}  // namespace tnb
