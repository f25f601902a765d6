#include "reports/reproduction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "reports/numbers.h"
#include "reports/run_data.h"

namespace tnb {
namespace {

// Numbers that depend on the day: times, rates, resident bytes and energy.
bool IsMeasured(const std::string& phase, const MetricRow& row) {
  return phase == "speed" || row.unit == "s" || row.unit == "ms" || row.unit == "tokens/s" ||
         row.unit == "J" || row.name == "peak_resident" || row.name.starts_with("resident_") ||
         row.name.starts_with("proportional_");
}

std::string WithUnit(double value, const std::string& unit) {
  const std::string shown = ShownUnit(unit);
  return FormatInUnit(value, unit) + (shown.empty() ? "" : " " + shown);
}

class Comparer {
 public:
  Comparer(const Store& store, int64_t first, int64_t second)
      : store_(store), first_(LoadRun(store, store.Run(first))), second_(LoadRun(store, store.Run(second))) {}

  Reproduction Run(double tolerance) {
    bool any = false;
    for (const auto& [name, phase] : first_.phases) {
      const auto other = second_.phases.find(name);
      if (phase.status != PhaseStatus::kOk) continue;
      if (other == second_.phases.end() || other->second.status == PhaseStatus::kSkipped) continue;
      if (other->second.status != PhaseStatus::kOk) {
        Differ(name + " ended as " + ToString(other->second.status) + ": " + other->second.reason);
        decided_ = true;
        continue;
      }
      any = true;
      if (name == "compress") CompareArtefacts(phase, other->second);
      if (name == "quality") CompareItems(phase, other->second);
      CompareMetrics(name);
    }
    if (first_.view.model.hash != second_.view.model.hash) {
      Differ("the model's weights are others");
      decided_ = true;
    }
    Reproduction& result = result_;
    result.protocols = protocols_.notes();
    const bool same_answers =
        result.prompts_different == 0 && result.texts_different == 0 && result.scores_different == 0;
    if (decided_) {
      result.verdict = ReproductionVerdict::kDifferent;
    } else if (!any) {
      result.verdict = ReproductionVerdict::kNothingCompared;
    } else if (result.differences.empty()) {
      result.verdict = ReproductionVerdict::kReproduced;
    } else {
      // An artefact of other bits that answers the same is numerically equal; without items there is nothing
      // that could say so.
      const bool close = same_answers && result.largest_loglikelihood <= tolerance &&
                         result.largest_metric <= tolerance && (result.items > 0 || !ArtefactDiffers());
      result.verdict = close ? ReproductionVerdict::kNumericallyEqual : ReproductionVerdict::kDifferent;
    }
    return result;
  }

 private:
  void Differ(const std::string& text) { result_.differences.push_back(text); }
  bool ArtefactDiffers() const { return result_.artefact_compared && !result_.artefact_equal; }

  void CompareArtefacts(const PhaseRow& a, const PhaseRow& b) {
    const auto first = store_.Artefact(a.data_id), second = store_.Artefact(b.data_id);
    if (!first || !second) return;
    result_.artefact_compared = true;
    result_.artefact_equal = first->sha256 == second->sha256;
    if (!result_.artefact_equal) {
      Differ("artefact sha256 " + first->sha256.substr(0, 12) + " / " + second->sha256.substr(0, 12));
    }
  }

  void CompareItems(const PhaseRow& a, const PhaseRow& b) {
    std::map<std::pair<std::string, int64_t>, ItemRow> first;
    for (ItemRow& item : store_.Items(a.data_id)) first.emplace(std::pair(item.task, item.doc_index), item);
    int64_t unequal = 0;
    std::vector<ItemRow> again = store_.Items(b.data_id);
    for (const ItemRow& item : again) {
      const auto found = first.find({item.task, item.doc_index});
      if (found == first.end()) continue;
      const ItemRow& old = found->second;
      ++result_.items;
      result_.prompts_different += old.prompt_sha256 != item.prompt_sha256;
      result_.texts_different += old.text != item.text;
      result_.scores_different += ScoresDiffer(old.scores, item.scores);
      const double largest = LargestDifference(old.loglikelihoods, item.loglikelihoods);
      unequal += largest != 0;
      result_.largest_loglikelihood = std::max(result_.largest_loglikelihood, largest);
    }
    if (result_.items != static_cast<int64_t>(first.size()) || again.size() != first.size()) {
      Differ(fmt::format("{} items / {}", first.size(), again.size()));
      decided_ = true;
    }
    if (unequal != 0) {
      Differ(fmt::format("log-likelihoods of {} of {} items, by at most {:.3g} nats", unequal, result_.items,
                         result_.largest_loglikelihood));
    }
    const auto count = [&](int64_t number, const char* what) {
      if (number != 0) Differ(fmt::format("{} of {} items", what, number));
    };
    count(result_.prompts_different, "prompts");
    count(result_.texts_different, "generated texts");
    count(result_.scores_different, "scores");
  }

  static double LargestDifference(const Json& a, const Json& b) {
    if (a.is_null() && b.is_null()) return 0;
    if (!a.is_array() || !b.is_array() || a.size() != b.size()) return INFINITY;
    double largest = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] == b[i]) continue;
      if (!a[i].is_number() || !b[i].is_number()) return INFINITY;
      largest = std::max(largest, std::fabs(a[i].get<double>() - b[i].get<double>()));
    }
    return largest;
  }

  // Scores that are log-likelihoods are compared as such.
  bool ScoresDiffer(const Json& a, const Json& b) {
    if (a == b) return false;
    if (!a.is_object() || !b.is_object() || a.size() != b.size()) return true;
    for (const auto& [key, value] : a.items()) {
      if (!b.contains(key)) return true;
      if (b.at(key) == value) continue;
      if (key.find("loglikelihood") == std::string::npos || !value.is_number() || !b.at(key).is_number())
        return true;
      result_.largest_loglikelihood =
          std::max(result_.largest_loglikelihood, std::fabs(value.get<double>() - b.at(key).get<double>()));
      if (result_.differences.empty()) Differ("log-likelihoods of items");
    }
    return false;
  }

  void CompareMetrics(const std::string& phase) {
    for (const auto& [name, row] : first_.metrics) {
      if (name != phase) continue;
      const ColumnSpec column{phase, row.name, row.task, row.filter, row.variant, row.unit};
      const MetricRow* other = Find(second_, column);
      const std::string how = protocols_.Name(ProtocolOf(first_, phase, row));
      if (IsMeasured(phase, row)) {
        if (other == nullptr || !row.variant.empty() || row.value == 0) continue;
        result_.measured.push_back(fmt::format(
            "{}: {} -> {} ({:+.1f} %), n {} and {}, {}", column.Key(), WithUnit(row.value, row.unit),
            WithUnit(other->value, row.unit), 100 * (other->value / row.value - 1), row.n, other->n, how));
        continue;
      }
      if (other == nullptr) {
        Differ(column.Key() + " is missing");
        decided_ = true;
        continue;
      }
      if (row.value == other->value) continue;
      const double scale = std::max(std::fabs(row.value), std::fabs(other->value));
      const double difference = std::isfinite(scale) ? std::fabs(row.value - other->value) / scale : INFINITY;
      Differ(fmt::format("{}: {} / {} {}, n {} and {}, {}", column.Key(), row.value, other->value, row.unit,
                         row.n, other->n, how));
      if (difference > result_.largest_metric) {
        result_.largest_metric = difference;
        result_.largest_metric_name = column.Key();
      }
    }
  }

  const Store& store_;
  RunData first_, second_;
  Reproduction result_;
  ProtocolNames protocols_;
  bool decided_ = false;  // different, whatever the tolerance
};

}  // namespace

const char* ToString(ReproductionVerdict verdict) {
  switch (verdict) {
    case ReproductionVerdict::kReproduced:
      return "reproduced";
    case ReproductionVerdict::kNumericallyEqual:
      return "numerically equal";
    case ReproductionVerdict::kDifferent:
      return "different";
    case ReproductionVerdict::kNothingCompared:
      return "nothing compared";
  }
  throw Error(ErrorKind::kInternal, "a verdict is not named");
}

Reproduction CompareRuns(const Store& store, int64_t first, int64_t second, double tolerance) {
  return Comparer(store, first, second).Run(tolerance);
}

std::string ReproductionText(const Reproduction& result) {
  std::string text = fmt::format("{}\n", ToString(result.verdict));
  if (result.artefact_compared)
    text += fmt::format("artefact: {}\n", result.artefact_equal ? "the same file" : "other bits");
  if (result.items != 0) {
    text += fmt::format(
        "items: {}, largest difference of a log-likelihood {:.3g} nats, texts different {}, scores different "
        "{}\n",
        result.items, result.largest_loglikelihood, result.texts_different, result.scores_different);
  }
  if (result.largest_metric != 0) {
    text += fmt::format("metrics: largest relative difference {:.3g} ({})\n", result.largest_metric,
                        result.largest_metric_name);
  }
  for (const std::string& line : result.differences) text += "different: " + line + "\n";
  for (const std::string& line : result.measured) text += "measured: " + line + "\n";
  for (const std::string& line : result.protocols) text += line + "\n";
  return text;
}

Json ToJson(const Reproduction& result) {
  const auto finite = [](double value) { return std::isfinite(value) ? Json(value) : Json("inf"); };
  return {{"verdict", ToString(result.verdict)},
          {"artefact_equal", result.artefact_compared ? Json(result.artefact_equal) : Json(nullptr)},
          {"items", result.items},
          {"prompts_different", result.prompts_different},
          {"texts_different", result.texts_different},
          {"scores_different", result.scores_different},
          {"largest_loglikelihood_difference", finite(result.largest_loglikelihood)},
          {"largest_relative_metric_difference", finite(result.largest_metric)},
          {"differences", result.differences},
          {"measured", result.measured},
          {"protocols", result.protocols}};
}

}  // namespace tnb
