#include "reports/flips.h"

#include <algorithm>
#include <map>

namespace tnb {
namespace {

std::string ScoreName(const MetricRow& row) {
  return row.filter.empty() || row.filter == "none" ? row.name : row.name + "," + row.filter;
}

// The main metrics by task.
std::map<std::string, MetricRow> MainMetrics(const Store& store, int64_t data_id) {
  std::map<std::string, MetricRow> metrics;
  for (MetricRow& row : store.Metrics(data_id)) {
    if (row.main) metrics.emplace(row.task, std::move(row));
  }
  return metrics;
}

// Index of the first largest log-likelihood.
size_t Choice(const Json& loglikelihoods) {
  return static_cast<size_t>(std::max_element(loglikelihoods.begin(), loglikelihoods.end()) -
                             loglikelihoods.begin());
}

bool SameAnswer(const ItemRow& a, const ItemRow& b) {
  if (!a.loglikelihoods.is_array() || !b.loglikelihoods.is_array()) return a.text == b.text;
  if (a.loglikelihoods.size() > 1) return Choice(a.loglikelihoods) == Choice(b.loglikelihoods);
  return a.greedy == b.greedy;
}

// 1 or 0 as the score says; nothing for any other number.
std::optional<bool> IsRight(const ItemRow& item, const std::string& score) {
  if (!item.scores.contains(score)) return std::nullopt;
  if (item.scores.at(score) == 1.0) return true;
  if (item.scores.at(score) == 0.0) return false;
  return std::nullopt;
}

TaskFlips Count(const std::string& task, const std::string& score, const std::vector<ItemRow>& base,
                const std::vector<ItemRow>& items, bool right_or_wrong) {
  TaskFlips flips{.task = task, .metric = score};
  int64_t worse = 0, better = 0;
  std::map<int64_t, const ItemRow*> by_doc;
  for (const ItemRow& item : base) by_doc[item.doc_index] = &item;
  for (const ItemRow& item : items) {
    const auto found = by_doc.find(item.doc_index);
    if (found == by_doc.end() || found->second->prompt_sha256 != item.prompt_sha256) continue;
    ++flips.items;
    const std::optional<bool> before = IsRight(*found->second, score), after = IsRight(item, score);
    right_or_wrong = right_or_wrong && before && after;
    const bool flipped = right_or_wrong && *before != *after;
    if (flipped) ++(*before ? worse : better);
    if (flipped || !SameAnswer(*found->second, item)) ++flips.changed;
  }
  if (right_or_wrong) {
    flips.right_to_wrong = worse;
    flips.wrong_to_right = better;
  }
  return flips;
}

}  // namespace

std::vector<TaskFlips> CountFlips(const Store& store, int64_t base_data_id, int64_t data_id) {
  std::vector<TaskFlips> all;
  const std::map<std::string, MetricRow> base = MainMetrics(store, base_data_id);
  for (const auto& [task, metric] : MainMetrics(store, data_id)) {
    const auto found = base.find(task);
    if (found == base.end() || found->second.protocol_id != metric.protocol_id || metric.unit != "fraction") {
      continue;
    }
    // A mean of rights and wrongs; ROUGE is a fraction too, and no answer is right by it.
    const bool right_or_wrong = metric.name.starts_with("acc") || metric.name == "exact_match";
    TaskFlips flips = Count(task, ScoreName(metric), store.Items(base_data_id, task),
                            store.Items(data_id, task), right_or_wrong);
    if (flips.items > 0) all.push_back(std::move(flips));
  }
  return all;
}

bool IsUncompressed(const std::string& method, const std::string& format) {
  if (!method.starts_with(format) || method.find('+') != std::string::npos) return false;
  const std::string rest = method.substr(format.size());
  const size_t at = rest.find('@');
  return (rest.empty() || rest[0] == ':' || rest[0] == '@') &&
         (at == std::string::npos || rest.substr(at) == "@all");
}

std::optional<RunView> BaseRunOf(const Store& store, const RunView& run) {
  const std::vector<RunView> runs = store.Runs({.model = run.model.name});
  for (const char* format : {"fp32", "fp16", "bf16"}) {
    for (auto other = runs.rbegin(); other != runs.rend(); ++other) {
      if (other->model.id != run.model.id || other->cell.settings_hash != run.cell.settings_hash) continue;
      if (!IsUncompressed(other->method.text, format)) continue;
      for (const PhaseRow& phase : store.Phases(other->run.id)) {
        if (phase.name != "quality" || phase.status != PhaseStatus::kOk) continue;
        if (other->method.text == run.method.text) return std::nullopt;
        return *other;
      }
    }
  }
  return std::nullopt;
}

}  // namespace tnb
