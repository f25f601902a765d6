#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/home.h"
#include "harness/command.h"
#include "harness/sweep.h"
#include "methods/recipe.h"
#include "models/known.h"
#include "reports/claims.h"
#include "tasks/family.h"

namespace tnb {
namespace {

struct ClaimsOptions {
  std::string paper, format = "md";
  bool measure = false;
  RunOptions run;

  // --model, of the options of tnbench run; empty: not given.
  std::string model() const {
    const std::vector<std::string> given = run.given();
    const auto found = std::find(given.begin(), given.end(), "--model");
    return found == given.end() ? "" : *(found + 1);
  }
};

// Canonical texts of the recipes that this program has.
std::map<std::string, std::string> Canonical(const Paper& paper) {
  std::map<std::string, std::string> canonical;
  std::set<std::string> recipes = {paper.baseline};
  for (const Claim& claim : paper.claims) {
    if (!claim.method.empty()) recipes.insert(claim.method);
  }
  for (const std::string& recipe : recipes) {
    try {
      canonical[recipe] = ParseRecipe(recipe).text;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUsage) throw;  // no such method here
    }
  }
  return canonical;
}

// A task, or a group of them (mmlu).
bool IsTask(const std::string& name) {
  try {
    SelectTasks({name});
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;  // there is one, and its file is wrong
    return false;
  }
}

// By what name the record knows --model: that of the files where it is a path.
std::string NameOf(const std::string& model) {
  return std::filesystem::exists(model) ? ResolveModel(model).name : model;
}

// Measures what the claims of the paper are about.
int RunCells(const ClaimsOptions& options, const Paper& paper,
             const std::map<std::string, std::string>& canonical) {
  std::string methods, tasks, phases;
  std::set<std::string> seen, absent;
  const auto add = [&](std::string* list, const std::string& name) {
    if (seen.insert(list == &methods ? "m " + name : list == &tasks ? "t " + name : "p " + name).second) {
      *list += (list->empty() ? "" : ",") + name;
    }
  };
  for (const Claim& claim : paper.claims) {
    if (!claim.measure) continue;
    if (canonical.count(claim.method) == 0) {
      absent.insert("method " + claim.method);
      continue;
    }
    if (!claim.measure->task.empty() && !IsTask(claim.measure->task)) {
      absent.insert("task " + claim.measure->task);
      continue;
    }
    add(&methods, claim.method);
    add(&phases, claim.measure->phase);
    if (!claim.measure->task.empty()) add(&tasks, claim.measure->task);
  }
  for (const std::string& name : absent)
    std::cerr << paper.name << ": left out, there is no " << name << " here\n";
  if (methods.empty()) {
    throw Error(ErrorKind::kData, "tnbench has no method that a claim of " + paper.name + " is about",
                "tnbench claims " + paper.name + " shows them");
  }
  std::vector<std::string> arguments = {"--method", methods, "--phases", phases, "--base", paper.baseline};
  if (!tasks.empty()) arguments.insert(arguments.end(), {"--tasks", tasks});
  arguments.insert(arguments.end(), {"--model", options.model().empty() ? paper.model : options.model()});
  const std::vector<std::string> extra = options.run.given();
  arguments.insert(arguments.end(), extra.begin(), extra.end());
  Store store = Store::Open(options.run.db());
  const SweepResult result =
      RunSweep(PlanSweep({ParseRunArguments(arguments, "the command line")}), store, 0);
  if (result.driver.interrupted) return 130;
  return result.driver.failed ? 1 : 0;
}

std::string Rendered(const Table& table, const ClaimsOptions& options) {
  if (options.run.json() || options.format == "json") return ToJson(table).dump(2) + "\n";
  if (options.format == "csv") return RenderCsv(table);
  if (options.format != "md" && options.format != "text") {
    throw Error(ErrorKind::kUsage,
                {"unknown format", "md, text, csv or json", "'" + options.format + "'", "--format", ""});
  }
  std::string text;
  for (const Table& part : SplitToWidth(table, TerminalWidth())) {
    if (!text.empty()) text += "\n";
    text += options.format == "md" ? RenderMarkdown(part) : RenderTerminal(part);
  }
  return text;
}

int Claims(const ClaimsOptions& options) {
  const std::vector<Paper> papers = ReadPapers(HomeFolder() / "reports" / "claims");
  if (options.paper.empty()) {
    if (options.measure) throw Error(ErrorKind::kUsage, "--run needs a paper", "tnbench claims lists them");
    std::cout << Rendered(PapersTable(papers), options);
    return 0;
  }
  const Paper& paper = FindPaper(papers, options.paper);
  const ClaimOptions claims{.model = NameOf(options.model()), .canonical = Canonical(paper)};
  int exit_code = 0;
  if (options.measure) exit_code = RunCells(options, paper, claims.canonical);
  // Without a database the claims are shown all the same; ":memory:" is one without a file.
  const bool exists = std::filesystem::exists(options.run.db());
  if (!exists) std::cerr << "there is no " << options.run.db() << ": nothing is measured yet\n";
  const Store store = exists ? Store::OpenReadOnly(options.run.db()) : Store::Open(":memory:");
  std::cout << Rendered(ClaimsTable(paper, MeasureClaims(paper, store, claims)), options);
  return exit_code;
}

}  // namespace

std::function<int()> DeclareClaims(OptionList& command) {
  auto options = std::make_shared<ClaimsOptions>();
  options->run = DeclareRunOptions(command);
  command.Add("paper", options->paper, "one paper; without: all papers, and which contradict themselves");
  command.Flag("--run", options->measure,
               "first measure what the claims need, with these options (without --model: the paper's model)");
  command.Add("--format", options->format, "md, text, csv or json").ShowDefault();
  return [options] { return Claims(*options); };
}

}  // namespace tnb
