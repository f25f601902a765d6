// Whether a run that was done again gives the same: the artefact to the bit, every item (prompt,
// log-likelihoods, text, scores), every metric. Times and resident memory are shown beside each other and
// decide nothing.
#pragma once

#include <string>
#include <vector>

#include "records/store.h"
#include "reports/table.h"

namespace tnb {

enum class ReproductionVerdict {
  kReproduced,        // equal to the last bit
  kNumericallyEqual,  // log-likelihoods within the tolerance, the same texts and scores
  kDifferent,
  kNothingCompared,  // the runs have no finished phase in common
};
const char* ToString(ReproductionVerdict verdict);

struct Reproduction {
  ReproductionVerdict verdict = ReproductionVerdict::kNothingCompared;
  bool artefact_compared = false, artefact_equal = false;
  int64_t items = 0;              // compared
  int64_t prompts_different = 0;  // of these items
  int64_t texts_different = 0;
  int64_t scores_different = 0;
  double largest_loglikelihood = 0;  // |difference| of one answer
  double largest_metric = 0;         // relative difference of a metric that is not a time
  std::string largest_metric_name{};
  std::vector<std::string> differences{};  // in words, what is not equal to the bit
  // Times and resident memory: "speed.decode_64: 45.0 -> 45.3 tokens/s (+0.7 %), n 5 and 5, P2".
  std::vector<std::string> measured{};
  std::vector<std::string> protocols{};  // of everything that was compared: "P1: boolq 1f3a5c7e9b2d"
};

// `tolerance`: largest |difference| of log-likelihoods that counts as numerically equal. Sums of a few
// hundred float32 terms of size 10 in another order differ by about 1e-4.
Reproduction CompareRuns(const Store& store, int64_t first, int64_t second, double tolerance = 1e-3);
std::string ReproductionText(const Reproduction& reproduction);
Json ToJson(const Reproduction& reproduction);

}  // namespace tnb
