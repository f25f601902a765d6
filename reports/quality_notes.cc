#include "reports/quality_notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace tnb {
namespace {

const MetricRow* TaskMetricOf(const RunData& run, const std::string& task, const std::string& name) {
  for (const auto& [phase, row] : run.metrics) {
    if (phase == "quality" && row.task == task && row.name == name) return &row;
  }
  return nullptr;
}

// Higher is better and the unit is a share: "empty" is a share too, but never the main metric.
bool IsScore(const std::string& phase, const MetricRow& row) {
  return phase == "quality" && row.main && row.unit == "fraction" && row.name != "empty";
}

}  // namespace

std::vector<std::string> TextNotes(const std::vector<const RunData*>& runs, const RunData* base) {
  std::vector<std::string> notes;
  for (const RunData* run : runs) {
    for (const auto& [phase, row] : run->metrics) {
      if (phase != "quality") continue;
      const std::string who =
          fmt::format("{}, {} (run {})", row.task, run->view.method.text, run->view.run.id);
      if (row.name == "empty" && row.value > 0) {
        notes.push_back(fmt::format("EMPTY TEXTS: {}: {:.1f} % of {} texts are empty and score 0", who,
                                    100 * row.value, row.n));
      }
      if (row.name != "generated_tokens" || base == nullptr || run == base) continue;
      const MetricRow* reference = TaskMetricOf(*base, row.task, row.name);
      if (reference == nullptr) continue;
      const double ratio = row.value / reference->value;
      if (reference->value > 0 && std::abs(ratio - 1) <= kLengthTolerance + 1e-9) continue;
      if (reference->value == row.value) continue;
      notes.push_back(fmt::format(
          "LENGTH: {}: {:.1f} tokens a text against the base's {:.1f}: outside ±{:.0f} % (MLPerf's rule), so "
          "scores of overlap are not comparable",
          who, row.value, reference->value, 100 * kLengthTolerance));
    }
  }
  return notes;
}

std::vector<std::string> GridNotes(const std::vector<const RunData*>& runs) {
  std::map<std::string, double> linears;  // by model
  for (const RunData* run : runs) {
    for (const auto& [phase, row] : run->metrics) {
      if (phase != "compress" || row.name != "grid_linears" || row.value <= 0) continue;
      double& most = linears[run->view.model.name];
      most = std::max(most, row.value);
    }
  }
  std::vector<std::string> notes;
  for (const auto& [model, count] : linears) {
    notes.push_back(fmt::format(
        "GRID: {:.0f} linears of {} were quantized before and lie on a grid: a quantizer that hits it "
        "looks lossless; compare quantizers as rotate+METHOD",
        count, model));
  }
  return notes;
}

std::optional<AccuracyScore> RelativeAccuracy(const RunData& run, const RunData& base) {
  AccuracyScore score;
  double variance = 0;
  bool errors = true;
  for (const auto& [phase, row] : run.metrics) {
    if (!IsScore(phase, row)) continue;
    const MetricRow* reference = Find(base, TaskColumn(phase, row));
    if (reference == nullptr) continue;
    if (reference->value <= 0) {
      score.zero_task = row.task;
      return score;
    }
    const double ratio = row.value / reference->value;
    score.value += ratio;
    ++score.tasks;
    errors = errors && row.se && reference->se;
    if (!errors) continue;
    const double mine = *row.se / reference->value, theirs = ratio * *reference->se / reference->value;
    variance += mine * mine + theirs * theirs;
  }
  if (score.tasks == 0) return std::nullopt;
  score.value /= static_cast<double>(score.tasks);
  if (errors) score.se = std::sqrt(variance) / static_cast<double>(score.tasks);
  if (&run == &base) score.se.reset();
  return score;
}

}  // namespace tnb
