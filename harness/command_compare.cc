#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/cell.h"
#include "harness/command.h"
#include "harness/driver.h"
#include "harness/metric_shapes.h"
#include "methods/recipe.h"
#include "models/known.h"
#include "records/store.h"
#include "reports/compare.h"
#include "reports/render.h"

namespace tnb {
namespace {

struct CommandCompareOptions {
  std::string first, second, db = "tnbench.db", model, only, format = "text", artefacts;
  double margin = 1, alpha = 0.05, noise = 2;  // percent, share, percent
  bool json = false, fail = false, measure = false;
  int rounds = 3, repetitions = 3, threads = 0;
};

// A side with the store it needs.
struct Opened {
  std::unique_ptr<Store> store;
  ComparedSide side;
};

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// The beginning of a run's uuid: eight hexadecimal digits and a hyphen at least.
bool IsUuid(const std::string& text) {
  return text.size() > 8 && text[8] == '-' &&
         text.find_first_not_of("0123456789abcdef-") == std::string::npos;
}

std::string Canonical(const std::string& method) {
  try {
    return ParseRecipe(method).text;
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage,
                {"'" + method + "' is nothing to compare",
                 "a run (3 or its uuid), a method, a database file, FILE:METHOD, or commit:HASH[:METHOD]",
                 error.detail().what, "", "tnbench report shows runs and methods"});
  }
}

// "FILE" or "FILE:METHOD": where the file's name ends; npos when it names none.
size_t EndOfFile(const std::string& text) {
  for (size_t end = text.size(); end != std::string::npos && end > 0; end = text.rfind(':', end - 1)) {
    if (std::filesystem::is_regular_file(text.substr(0, end))) return end;
  }
  return std::string::npos;
}

Opened Open(const std::string& text, const CommandCompareOptions& options) {
  const std::string kCommit = "commit:";
  std::string path = options.db, method;
  RunFilter filter = {.model = options.model, .newest_only = true};
  if (text.starts_with(kCommit)) {
    const size_t end = text.find(':', kCommit.size());
    filter.commit = text.substr(kCommit.size(), end - kCommit.size());
    if (filter.commit.empty())
      throw Error(ErrorKind::kUsage, "no commit in '" + text + "'", "commit:1a2b3c4");
    if (end != std::string::npos) method = text.substr(end + 1);
  } else if (IsNumber(text)) {
    filter.ids = {std::stoll(text.substr(0, 18))};
    filter.newest_only = false;
  } else if (IsUuid(text)) {
    filter.uuid = text;
    filter.newest_only = false;
  } else if (const size_t end = EndOfFile(text); end != std::string::npos) {
    path = text.substr(0, end);
    if (end < text.size()) method = text.substr(end + 1);
  } else {
    method = text;
  }
  if (!method.empty()) filter.method = Canonical(method);
  Opened opened;
  opened.store = std::make_unique<Store>(Store::OpenReadOnly(path));
  opened.side = {.label = text, .store = opened.store.get(), .one_method = !method.empty()};
  opened.side.runs = opened.store->Runs(filter);
  if (opened.side.runs.empty()) {
    throw Error(ErrorKind::kUsage, {"there is no such run", "", "'" + text + "'", path,
                                    filter.method.empty() ? "" : "its canonical method is " + filter.method});
  }
  return opened;
}

int Print(const std::vector<RunComparison>& comparisons, const ComparedSide& first,
          const ComparedSide& second, const CompareOptions& compare, const CommandCompareOptions& options) {
  if (options.json || options.format == "json") {
    std::cout << CompareJson(comparisons, compare).dump(2, ' ', false, Json::error_handler_t::replace)
              << "\n";
  } else {
    std::cout << RenderTables(CompareTables(comparisons, first, second, compare),
                              ReportFormatFrom(options.format), TerminalWidth());
  }
  return CompareExitCode(comparisons, options.fail);
}

// Speed phases of both methods in turns, A B B A, each in a process and a run of its own.
int Measure(const CommandCompareOptions& options, const CompareOptions& compare) {
  RunRequest request = {.models = {options.model}, .phases = {"speed"}};
  request.repetitions = options.repetitions;
  request.threads = options.threads;
  request.artefacts = options.artefacts;
  request.base.clear();
  request.force = true;
  request.command = "tnbench compare --measure " + options.first + " " + options.second;
  std::vector<Plan> plans;
  for (const std::string& method : {options.first, options.second}) {
    request.methods = method;
    plans.push_back(ExpandCells(request));
    if (plans.back().cells.size() != 1) {
      throw Error(ErrorKind::kUsage, {"one method a side", "", method, "--measure", ""});
    }
  }
  Store store = Store::Open(options.db);
  std::vector<int64_t> runs[2];
  for (int round = 0; round < options.rounds; ++round) {
    for (const int side : {0, 1, 1, 0}) {
      const DriverResult result = RunPlan(plans[static_cast<size_t>(side)], store);
      if (result.interrupted) return 130;
      if (result.failed || result.runs.empty()) {
        throw Error(ErrorKind::kData, "a measurement failed", "tnbench show tells why");
      }
      runs[side].push_back(result.runs.at(0));
    }
  }
  const ComparedSide first = {.label = options.first}, second = {.label = options.second};
  return Print({CompareRepeated(store, runs[0], runs[1], compare)}, first, second, compare, options);
}

int Compare(const CommandCompareOptions& options) {
  const CompareOptions compare = {.tests = {.alpha = options.alpha, .margin = options.margin / 100},
                                  .noise_floor = options.noise / 100,
                                  .aspects = SplitList(options.only, "--only"),
                                  .shapes = ShapeOfMetric};
  if (options.measure) return Measure(options, compare);
  const Opened first = Open(options.first, options), second = Open(options.second, options);
  const std::vector<RunComparison> comparisons = CompareSides(first.side, second.side, compare);
  return Print(comparisons, first.side, second.side, compare, options);
}

}  // namespace

std::function<int()> DeclareCompare(OptionList& command) {
  auto options = std::make_shared<CommandCompareOptions>();
  command.Add("A", options->first, "run, method, FILE[:METHOD] or commit:HASH[:METHOD]").Required();
  command.Add("B", options->second, "the same; verdicts are about B").Required();
  command.Add("--db", options->db, "results database").ShowDefault();
  command.Add("--model", options->model, "only this model");
  command.Add("--only", options->only, "of accuracy,drift,memory,time,training");
  command
      .Add("--margin", options->margin,
           "what counts as equivalent: points of shares, percent of everything else")
      .Between(0.001, 50.0)
      .ShowDefault();
  command.Add("--alpha", options->alpha, "error rate of the whole table").Between(1e-6, 0.5).ShowDefault();
  command.Add("--noise", options->noise, "percent by which timings differ by themselves; A/A runs raise it")
      .Between(0.0, 100.0)
      .ShowDefault();
  command.Flag("--fail-on-regression", options->fail, "exit code 1 when something is worse than the margin");
  command.Flag("--measure", options->measure,
               "time the two methods now, process by process in turns A B B A");
  command.Add("--rounds", options->rounds, "--measure: of A B B A").Between(1, 1000).ShowDefault();
  command.Add("--repetitions", options->repetitions, "--measure: in each process")
      .Between(1, 1000)
      .ShowDefault();
  command.Add("--threads", options->threads, "--measure: 0: one a logical core").ShowDefault();
  command.Add("--artefacts", options->artefacts,
              "--measure: folder of compressed models (default: in the user's cache)");
  command.Add("--format", options->format, "text, md, csv, json, latex or html").ShowDefault();
  command.Flag("--json", options->json, "short for --format json");
  return [options] {
    if (options->measure && options->model.empty()) options->model = kDefaultModel;
    return Compare(*options);
  };
}

}  // namespace tnb
