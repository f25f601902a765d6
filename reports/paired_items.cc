#include "reports/paired_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace tnb {
namespace {

// Those of the metric's task, or of all tasks of its group.
std::vector<ItemScore> ItemsOf(const ItemSource& source, const MetricRow& metric, const Json& protocol) {
  if (!protocol.is_object() || !protocol.contains("group")) {
    return source.store->ItemScores(source.data_id, metric.task);
  }
  std::vector<ItemScore> items;
  const Json tasks = protocol.value("tasks", Json::object());
  for (const auto& [task, unused] : tasks.items()) {
    for (ItemScore& item : source.store->ItemScores(source.data_id, task)) {
      item.cluster = task;
      items.push_back(std::move(item));
    }
  }
  return items;
}

// The score of an item that makes the metric.
std::string ScoreName(const MetricRow& metric, const MetricShape& shape) {
  if (shape.ratio) return "loglikelihood";
  const bool filtered = !metric.filter.empty() && metric.filter != "none";
  return filtered ? metric.name + "," + metric.filter : metric.name;
}

std::optional<double> Take(const ItemScore& item, const std::string& score) {
  if (!item.scores.contains(score) || !item.scores.at(score).is_number()) return std::nullopt;
  return item.scores.at(score).get<double>();
}

std::string Refusal(const std::vector<ItemScore>& first, const std::vector<ItemScore>& second) {
  if (first.empty() || second.empty()) return "its items are not in the database, so nothing can be paired";
  if (first.size() != second.size()) return fmt::format("{} items and {}", first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    if (first[i].doc_index == second[i].doc_index && first[i].prompt_sha256 == second[i].prompt_sha256)
      continue;
    return fmt::format("the prompts of document {} differ", first[i].doc_index);
  }
  return "";
}

bool IsRightOrWrong(double score) { return score == 0 || score == 1; }

}  // namespace

PairedItems PairItems(const ItemSource& first, const ItemSource& second, const MetricRow& metric,
                      const Json& protocol, const MetricShape& shape) {
  PairedItems pairs;
  const std::vector<ItemScore> a = ItemsOf(first, metric, protocol), b = ItemsOf(second, metric, protocol);
  pairs.refusal = Refusal(a, b);
  if (!pairs.refusal.empty()) return pairs;
  const std::string score = ScoreName(metric, shape);
  const double sign = shape.ratio ? -1 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    const std::optional<double> before = Take(a[i], score), after = Take(b[i], score);
    if (!before || !after) {
      pairs.refusal = fmt::format("document {} has no score '{}'", a[i].doc_index, score);
      return pairs;
    }
    pairs.first.push_back(sign * *before);
    pairs.second.push_back(sign * *after);
    pairs.right_or_wrong = pairs.right_or_wrong && IsRightOrWrong(*before) && IsRightOrWrong(*after);
    // Items that an older version recorded have no cluster.
    pairs.clusters.push_back(a[i].cluster.empty() ? b[i].cluster : a[i].cluster);
    if (shape.denominator.empty()) continue;
    const std::optional<double> weight = Take(a[i], shape.denominator);
    if (!weight || weight != Take(b[i], shape.denominator)) {
      pairs.refusal = fmt::format("document {} has another number of {}", a[i].doc_index, shape.denominator);
      return pairs;
    }
    pairs.weights.push_back(*weight);
  }
  return pairs;
}

Comparison CompareItems(const PairedItems& items, const MetricRow& metric, const MetricShape& shape,
                        const TestOptions& options) {
  Comparison comparison;
  const bool share = metric.unit == "fraction";
  TestOptions relative = options;
  // Of 0 or infinity there is no per cent; then nothing is equivalent but what is equal.
  if (!share) {
    const double size = std::isfinite(metric.value) ? std::fabs(metric.value) : 0;
    relative.margin = std::max(options.margin * size, 1e-300);
  }
  if (shape.ratio && metric.unit == "bits/byte") {
    std::vector<double> first = items.first, second = items.second;
    for (std::vector<double>* side : {&first, &second}) {
      for (double& nats : *side) nats /= std::log(2.0);
    }
    comparison = CompareMeans(first, second, items.weights, items.clusters, 0, relative);
  } else if (shape.ratio) {
    comparison = ComparePerplexities(items.first, items.second, items.weights, items.clusters, options);
  } else if (share && items.right_or_wrong) {
    comparison = CompareShares(items.first, items.second, items.clusters, options);
  } else {
    comparison =
        CompareMeans(items.first, items.second, items.weights, items.clusters, share ? 1 : 0, relative);
  }
  comparison.higher_is_better = shape.higher_is_better;
  return comparison;
}

}  // namespace tnb
