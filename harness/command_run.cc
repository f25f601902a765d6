#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/cell.h"
#include "harness/command.h"
#include "harness/driver.h"
#include "harness/rescore.h"
#include "methods/recipe.h"
#include "records/store.h"
#include "reports/report.h"

namespace tnb {
namespace {

struct Options {
  RunRequest request;
  std::string models = "smollm2-135m", tasks, phases, weights = "checkpoint", db = "tnbench.db";
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

RunRequest RequestOf(const Options& options) {
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

int Run(const Options& options) {
  RunRequest request = RequestOf(options);
  request.command = CommandLine();
  const Plan plan = ExpandCells(request);
  Store store = Store::Open(options.db);
  const DriverResult result = RunPlan(plan, store);
  if (!result.runs.empty()) PrintReport(store, result.runs, plan.request.base, options.json);
  if (result.interrupted) return 130;
  return result.failed ? 1 : 0;
}

int RunRescore(const Options& options, RescoreRequest request) {
  request.data_dir = options.data_dir;
  request.command = CommandLine();
  Store::OpenReadOnly(options.db);  // a new file would hold no run
  Store store = Store::Open(options.db);
  PrintReport(store, {Rescore(request, store)}, "", options.json);
  return 0;
}

std::shared_ptr<Options> Declare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  RunRequest& request = options->request;
  app.add_option("--method", request.methods, "methods, comma-separated (tnbench list methods)")
      ->capture_default_str();
  app.add_option("--model", options->models, "names or paths, comma-separated (tnbench list models)")
      ->capture_default_str();
  app.add_option(
      "--tasks", options->tasks,
      "names of tasks or groups (mmlu, 'xsum*': all that match), task files, or the perplexity of a text "
      "file: ppl.gptq:FILE, "
      "ppl.llamacpp:FILE, ppl.lmeval:FILE (ppl.gptq-1024:FILE: windows of 1024 tokens); comma-separated "
      "(default: the sample-* tasks)");
  app.add_option("--data-dir", options->data_dir, "folder of the datasets");
  app.add_option("--db", options->db, "results database")->capture_default_str();
  app.add_option("--limit", request.limit, "only the first N items of each task (of each member of a group)");
  app.add_option("--num-fewshot", request.num_fewshot,
                 "examples in the prompt, instead of each task's own number");
  app.add_option("--max-length", request.max_length,
                 "longest input in tokens (default: the model's own context, as in lm-evaluation-harness); "
                 "longer ones lose their beginning");
  app.add_option(
         "--fewshot-compat", request.fewshot_compat,
         "lm-eval: examples as lm-evaluation-harness draws them, one generator for all items; document: "
         "from each item's number alone, so that they do not depend on the items before")
      ->check(CLI::IsMember({"lm-eval", "document"}))
      ->capture_default_str();
  app.add_flag("--apply-chat-template", request.apply_chat_template,
               "prompts become the user's turn, by the chat template of the model's own files");
  app.add_flag("--fewshot-as-multiturn", request.fewshot_as_multiturn,
               "each example becomes a turn of its own");
  app.add_option("--system-instruction", request.system_instruction,
                 "text before everything; with a chat template the system's turn");
  app.add_option("--seed", request.seed, "of few-shot draws, random token ids and random weights");
  app.add_option("--phases", options->phases, "compress,quality,drift,speed,training (default: all)");
  app.add_option("--base", request.base, "uncompressed method that is run first")->capture_default_str();
  app.add_flag("--no-base", options->no_base, "run nothing but what --method lists");
  app.add_flag("--control", request.control,
               "with a healed method also train the uncompressed model on the same tokens: what the text "
               "alone brings");
  app.add_flag("--force", request.force, "measure again what is measured already");
  app.add_option("--weights", options->weights,
                 "checkpoint, or random: the model's shape with random weights, whose time and memory can be "
                 "measured")
      ->check(CLI::IsMember({"checkpoint", "random"}))
      ->capture_default_str();
  app.add_option("--threads", request.threads, "0: one a logical core")->capture_default_str();
  app.add_option("--device", request.device, "cpu or cuda")->capture_default_str();
  app.add_option("--repetitions", request.repetitions, "of each timing")->capture_default_str();
  app.add_option(
         "--drift-tokens", request.drift_tokens,
         "tokens of a text over which predictions are compared with the base's; the base's take 2 bytes a "
         "token and vocabulary entry on disk")
      ->capture_default_str();
  app.add_option("--drift-text", options->drift_text,
                 "that text (default: wikitext2 of --data-dir, else the sample summaries)");
  app.add_option("--artefacts", options->artefacts,
                 "folder of compressed models (default: in the user's cache)");
  app.add_option("--timeout", request.timeout, "seconds that a phase may take; 0: no limit")
      ->capture_default_str();
  app.add_flag("--json", options->json, "print the tables as JSON");
  return options;
}

}  // namespace

std::function<int()> DeclareRun(CLI::App& app) {
  const auto options = Declare(app);
  return [options] { return Run(*options); };
}

// tnbench run --phases quality, or the same without the model.
std::function<int()> DeclareEval(CLI::App& app) {
  const auto options = Declare(app);
  app.remove_option(app.get_option("--phases"));
  options->phases = "quality";
  const auto rescore = std::make_shared<RescoreRequest>();
  CLI::Option* run =
      app.add_option("--rescore", rescore->run,
                     "instead of running a model: score the stored outputs of this run again, as a "
                     "new run");
  app.add_option("--task-file", rescore->task_files,
                 "with --rescore: a changed definition of one of its tasks; may be given several times")
      ->needs(run);
  return
      [options, rescore, run] { return run->count() > 0 ? RunRescore(*options, *rescore) : Run(*options); };
}

RunOptions DeclareRunOptions(CLI::App& app) {
  const auto options = Declare(app);
  std::vector<const CLI::Option*> declared;
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (name != "--help" && name != "--db" && name != "--json") declared.push_back(option);
  }
  const auto given = [declared] {
    std::vector<std::string> arguments;
    for (const CLI::Option* option : declared) {
      if (option->count() == 0) continue;
      arguments.push_back(option->get_name());
      if (option->get_items_expected_max() == 0) continue;  // a flag
      std::string value;
      for (const std::string& part : option->results()) value += (value.empty() ? "" : ",") + part;
      arguments.push_back(value);
    }
    return arguments;
  };
  return {given, [options] { return options->db; }, [options] { return options->json; }};
}

RunRequest ParseRunArguments(const std::vector<std::string>& arguments, const std::string& where) {
  CLI::App app;
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  const auto options = Declare(app);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // as CLI11 takes them
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::kUsage, {error.what(), "options of tnbench run", "", where, "tnbench run --help"});
  }
  RunRequest request = RequestOf(*options);
  request.command = "tnbench run";
  for (const std::string& argument : arguments) request.command += " " + ShellQuoted(argument);
  return request;
}

}  // namespace tnb
