// `tnbench compare`: two sides, number by number, with interval, p (raw and adjusted by Holm over the whole
// table) and verdict.
//
// What is compared of a pair of runs:
//   accuracy   main metrics of the quality phase, paired item by item (reports/statistics/verdict.h)
//   drift      main metrics of the drift phase, by their standard errors: the tokens are not kept
//   memory     stored bytes (an exact count: no test) and peak resident bytes
//   time       load, prefill, decode: repetitions by ranks
//   training   step times and peak
// A number is refused, and it is said what differs, when the protocols, the data or the prompts differ, when
// times come from different machines or settings, and when both sides show the same measurement.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "records/store.h"
#include "reports/metric_shape.h"
#include "reports/statistics/verdict.h"
#include "reports/table.h"

namespace tnb {

struct ComparedSide {
  std::string label{};  // as the user wrote it
  const Store* store = nullptr;
  std::vector<RunView> runs{};
  bool one_method = false;  // the side is a method: paired with whatever method the other side has
};

struct CompareOptions {
  TestOptions tests{};                 // the margin: of shares, and relative for everything else
  double noise_floor = 0.02;           // of timings, until A/A runs in the record show a larger one
  std::vector<std::string> aspects{};  // "accuracy" "drift" "memory" "time" "training"; empty: all
  MetricShapes shapes{};
};

struct ComparedNumber {
  std::string aspect{};
  std::string name{};  // "boolq acc", "decode_64"
  std::string unit{};
  std::string protocol{};  // "boolq 0-shot 1f3a5c7e9b2d"
  double first = 0, second = 0;
  bool exact = false;  // a count without error: better or worse as it is
  Comparison comparison{};
  Judgment judgment{};
  std::string refusal{};  // not comparable, and why; then there is no verdict
  // "worse", "worse, within the margin", "not distinguishable", "not comparable: ..."
  std::string Verdict() const;
  bool IsRegression() const;  // worse, and not surely by less than the margin
};

struct RunComparison {
  RunView first{}, second{};
  std::vector<ComparedNumber> numbers{};
  std::vector<std::string> notes{};
};

// Pairs runs of equal model (and method, unless a side is one method), settings and machine where there are
// such, otherwise of equal model; two single runs are paired as they are. Judges all numbers as one family.
// Error{kUsage} for an unknown aspect or no pair.
std::vector<RunComparison> CompareSides(const ComparedSide& first, const ComparedSide& second,
                                        const CompareOptions& options);

// Timings of two methods from alternating processes: each run is one observation of every timing, and the
// comparison is judged by itself.
RunComparison CompareRepeated(const Store& store, const std::vector<int64_t>& first,
                              const std::vector<int64_t>& second, const CompareOptions& options);

// One table a pair.
std::vector<Table> CompareTables(const std::vector<RunComparison>& comparisons, const ComparedSide& first,
                                 const ComparedSide& second, const CompareOptions& options);
Json CompareJson(const std::vector<RunComparison>& comparisons, const CompareOptions& options);

// 3 when nothing could be compared or an accuracy was refused, else 1 when something is worse and that is
// asked for, else 0.
int CompareExitCode(const std::vector<RunComparison>& comparisons, bool fail_on_regression);

}  // namespace tnb
