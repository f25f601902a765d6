#include "reports/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "reports/compare_numbers.h"
#include "reports/run_data.h"

namespace tnb {
namespace {

const char* const kAspects[] = {"accuracy", "drift", "memory", "time", "training"};

using Pair = std::pair<const RunView*, const RunView*>;

std::vector<Pair> PairRuns(const ComparedSide& first, const ComparedSide& second) {
  if (first.runs.size() == 1 && second.runs.size() == 1) return {{&first.runs[0], &second.runs[0]}};
  const bool any_method = first.one_method || second.one_method;
  const auto same_subject = [&](const RunView& a, const RunView& b) {
    return a.model.hash == b.model.hash && (any_method || a.method.text == b.method.text);
  };
  const auto closeness = [](const RunView& a, const RunView& b) {
    return std::tuple(a.cell.settings_hash == b.cell.settings_hash, a.machine.hash == b.machine.hash,
                      b.run.started);
  };
  std::vector<Pair> pairs;
  for (const RunView& a : first.runs) {
    const RunView* best = nullptr;
    for (const RunView& b : second.runs) {
      if (same_subject(a, b) && (best == nullptr || closeness(a, b) > closeness(a, *best))) best = &b;
    }
    if (best != nullptr) pairs.emplace_back(&a, best);
  }
  // Where a model has pairs of equal settings, the makeshift ones only add refusals.
  std::set<std::string> matched;
  const auto equal = [](const Pair& pair) {
    return pair.first->cell.settings_hash == pair.second->cell.settings_hash;
  };
  for (const Pair& pair : pairs) {
    if (equal(pair)) matched.insert(pair.first->model.hash);
  }
  std::erase_if(pairs,
                [&](const Pair& pair) { return !equal(pair) && matched.count(pair.first->model.hash); });
  return pairs;
}

bool Tested(const ComparedNumber& number) { return number.refusal.empty() && !number.exact; }

void JudgeAll(std::vector<RunComparison>& comparisons, double alpha) {
  std::vector<Comparison> table;
  std::vector<ComparedNumber*> places;
  for (RunComparison& pair : comparisons) {
    for (ComparedNumber& number : pair.numbers) {
      if (!Tested(number)) continue;
      table.push_back(number.comparison);
      places.push_back(&number);
    }
  }
  const std::vector<Judgment> judged = Judge(table, alpha);
  for (size_t i = 0; i < judged.size(); ++i) places[i]->judgment = judged[i];
}

std::vector<std::string> Notes(const RunView& first, const RunView& second) {
  std::vector<std::string> notes;
  if (first.model.hash != second.model.hash) {
    notes.push_back(fmt::format("the models differ: {} and {}", first.model.name, second.model.name));
  }
  if (first.build.commit != second.build.commit) {
    notes.push_back(fmt::format("measured by tnbench {} and {}", first.build.commit, second.build.commit));
  }
  if (first.cell.settings_hash != second.cell.settings_hash) {
    notes.push_back("settings differ: " + JsonDifference(first.cell.settings, second.cell.settings));
  }
  return notes;
}

}  // namespace

std::vector<RunComparison> CompareSides(const ComparedSide& first, const ComparedSide& second,
                                        const CompareOptions& options) {
  for (const std::string& aspect : options.aspects) {
    if (std::count(std::begin(kAspects), std::end(kAspects), aspect) != 0) continue;
    throw Error(ErrorKind::kUsage,
                {"unknown aspect", fmt::format("{}", fmt::join(kAspects, ", ")), aspect, "--only", ""});
  }
  std::vector<RunComparison> comparisons;
  for (const auto& [a, b] : PairRuns(first, second)) {
    RunComparison pair{.first = *a, .second = *b, .notes = Notes(*a, *b)};
    pair.numbers = CompareNumbers(*first.store, *a, *second.store, *b, options);
    comparisons.push_back(std::move(pair));
  }
  if (comparisons.empty()) {
    throw Error(ErrorKind::kUsage,
                {"the two sides have no run in common to compare", "runs of one model on both sides",
                 fmt::format("{} runs of {} and {} of {}", first.runs.size(), first.label, second.runs.size(),
                             second.label),
                 "", "tnbench report shows the runs; two run numbers are always compared"});
  }
  JudgeAll(comparisons, options.tests.alpha);
  return comparisons;
}

std::string ComparedNumber::Verdict() const {
  if (!refusal.empty()) return "not comparable: " + refusal;
  if (exact) {
    if (first == second) return "equal";
    return (second > first) == comparison.higher_is_better ? "better (exact)" : "worse (exact)";
  }
  std::string text = ToString(judgment.verdict);
  if (judgment.within_margin) text += ", within the margin";
  if (comparison.identical) text += " (no item differs)";
  return text;
}

bool ComparedNumber::IsRegression() const {
  if (!refusal.empty()) return false;
  if (exact) return first != second && (second > first) != comparison.higher_is_better;
  return judgment.verdict == Verdict::kWorse && !judgment.within_margin;
}

int CompareExitCode(const std::vector<RunComparison>& comparisons, bool fail_on_regression) {
  bool compared = false, refused = false, worse = false;
  for (const RunComparison& pair : comparisons) {
    for (const ComparedNumber& number : pair.numbers) {
      compared = compared || number.refusal.empty();
      refused = refused || (!number.refusal.empty() && number.aspect == "accuracy");
      worse = worse || number.IsRegression();
    }
  }
  if (!compared || refused) return 3;
  return fail_on_regression && worse ? 1 : 0;
}

}  // namespace tnb
