// What a reader must know of texts before believing their scores, and one number over all tasks.
// For the files of reports/ only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/run_data.h"

namespace tnb {

// Generated texts may differ in length by this share of the base run's before scores of overlap (ROUGE) stop
// being comparable: MLPerf Inference's rule for summarization.
constexpr double kLengthTolerance = 0.10;

// One note a task and run: empty texts, and lengths more than 10 % off those of the base run. `base` may be
// null, then only empty texts are seen.
std::vector<std::string> TextNotes(const std::vector<const RunData*>& runs, const RunData* base);

// One note a model whose linears were on a quantizer's grid before these runs compressed them (metric
// grid_linears of the compress phase).
std::vector<std::string> GridNotes(const std::vector<const RunData*>& runs);

// The "accuracy score" of tensor-network compression talks: the mean over tasks of a method's main score
// divided by the base's. Only shares where more is better count (accuracy, exact match, ROUGE): perplexities
// have no such ratio.
struct AccuracyScore {
  double value = 0;
  // By the delta method, as if the two runs had been measured on different items: too large rather than too
  // small. Absent when a score has none.
  std::optional<double> se;
  int64_t tasks = 0;
  std::string zero_task{};  // of which the base's score is 0: then there is no such mean
};
// Nothing when there is no task that both have.
std::optional<AccuracyScore> RelativeAccuracy(const RunData& run, const RunData& base);

}  // namespace tnb
