// The items of one quality metric in two runs, side by side, and the tests that belong to it. For the files
// of reports/ only.
#pragma once

#include <string>
#include <vector>

#include "records/store.h"
#include "reports/metric_shape.h"
#include "reports/statistics/verdict.h"

namespace tnb {

// A quality phase and the store that has its items.
struct ItemSource {
  const Store* store = nullptr;
  int64_t data_id = 0;
};

struct PairedItems {
  std::vector<double> first, second;  // scores; of perplexities and bits negative log-likelihoods in nats
  std::vector<double> weights;        // what a ratio divides by (words, tokens); empty: 1 an item
  std::vector<std::string> clusters;  // "" an item of its own
  bool right_or_wrong = true;         // all scores are 0 or 1
  std::string refusal;                // why nothing can be paired; then the rest does not count
};

// `metric` is that of the first source, `protocol` the content of its protocol (of a group: with its tasks,
// whose names are the clusters then). Refused, never an exception: missing items, another number of them,
// other prompts, items without the score, other denominators.
PairedItems PairItems(const ItemSource& first, const ItemSource& second, const MetricRow& metric,
                      const Json& protocol, const MetricShape& shape);

// Shares: exact McNemar; scores: sign flips; perplexities and bits: of log-likelihoods. The margin of
// `options` is one of shares, and relative for everything else.
Comparison CompareItems(const PairedItems& items, const MetricRow& metric, const MetricShape& shape,
                        const TestOptions& options);

}  // namespace tnb
