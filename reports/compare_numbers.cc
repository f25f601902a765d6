#include "reports/compare_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "reports/noise.h"
#include "reports/paired_items.h"
#include "reports/run_data.h"
#include "reports/statistics/ranks.h"

namespace tnb {
namespace {

// Everything that two runs have in common while their numbers are compared.
class Comparer {
 public:
  Comparer(const Store& first_store, const RunView& first, const Store& second_store, const RunView& second,
           const CompareOptions& options)
      : first_store_(first_store),
        second_store_(second_store),
        options_(options),
        first_(LoadRun(first_store, first)),
        second_(LoadRun(second_store, second)) {}
  Comparer(const Store& store, const RunData& first, const RunData& second, const CompareOptions& options)
      : first_store_(store), second_store_(store), options_(options), first_(first), second_(second) {}

  ComparedNumber CompareOne(const ColumnSpec& column) const {
    const MetricRow& metric = *Find(first_, column);
    const MetricRow& other = *Find(second_, column);
    ComparedNumber number{.aspect = "accuracy",
                          .name = NameOf(metric),
                          .unit = metric.unit,
                          .first = metric.value,
                          .second = other.value};
    CompareScores(column.phase, metric, other, number);
    return number;
  }

  std::vector<ComparedNumber> Compare() {
    const std::set<std::string> members = GroupMembers({&first_, &second_});
    for (const auto& [phase, metric] : first_.metrics) {
      const MetricRow* other = Other(phase, metric);
      if (other == nullptr || members.count(metric.task) != 0) continue;
      const std::string aspect = AspectOf(phase, metric);
      if (aspect.empty() || !Asked(aspect)) continue;
      ComparedNumber number{.aspect = aspect,
                            .name = NameOf(metric),
                            .unit = metric.unit,
                            .first = metric.value,
                            .second = other->value};
      if (aspect == "accuracy" || aspect == "drift") {
        CompareScores(phase, metric, *other, number);
      } else {
        // Compressing and training have a peak of their own.
        if (phase != "speed" && metric.name != "stored_bytes") number.name = phase + " " + number.name;
        CompareMeasured(phase, metric, *other, number);
      }
      numbers_.push_back(std::move(number));
    }
    const auto rank = [](const ComparedNumber& number) {
      static const std::vector<std::string> order = {"accuracy", "drift", "memory", "time", "training"};
      return std::find(order.begin(), order.end(), number.aspect) - order.begin();
    };
    std::stable_sort(numbers_.begin(), numbers_.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return std::move(numbers_);
  }

 private:
  bool Asked(const std::string& aspect) const {
    const auto& asked = options_.aspects;
    return asked.empty() || std::count(asked.begin(), asked.end(), aspect) != 0;
  }

  const MetricRow* Other(const std::string& phase, const MetricRow& metric) const {
    for (const auto& [other_phase, row] : second_.metrics) {
      if (other_phase == phase && row.name == metric.name && row.task == metric.task &&
          row.filter == metric.filter && row.variant == metric.variant) {
        return &row;
      }
    }
    return nullptr;
  }

  // What of the record is worth a row; everything else follows from it.
  static std::string AspectOf(const std::string& phase, const MetricRow& metric) {
    if (phase == "quality") return metric.main ? "accuracy" : "";
    if (phase == "drift") return metric.main ? "drift" : "";
    if (metric.unit == "bytes") {
      static const std::set<std::string> kShown = {"stored_bytes", "resident_peak", "peak_resident"};
      return kShown.count(metric.name) == 0 ? "" : phase == "training" ? "training" : "memory";
    }
    if (phase == "training") return metric.name == "step_ms" ? "training" : "";
    if (phase != "speed" || !metric.variant.empty()) return "";
    return metric.unit == "tokens/s" || metric.unit == "s" ? "time" : "";
  }

  static std::string NameOf(const MetricRow& metric) {
    std::string name = metric.task.empty() ? metric.name : metric.task + " " + metric.name;
    for (const std::string& part : {metric.filter, metric.variant}) {
      if (!part.empty() && part != "none") name += " " + part;
    }
    return name;
  }

  int64_t DataId(const RunData& run, const std::string& phase) const { return run.phases.at(phase).data_id; }

  bool SameMeasurement(const std::string& phase) const {
    return first_store_.path() == second_store_.path() && DataId(first_, phase) == DataId(second_, phase);
  }

  // Empty when both numbers are of one protocol and one file of data.
  std::string ProtocolConflict(const MetricRow& a, const MetricRow& b, ComparedNumber& number) const {
    if (!a.protocol_id || !b.protocol_id) return "no protocol was recorded";
    const ProtocolRow first = first_store_.Protocol(*a.protocol_id);
    const ProtocolRow second = second_store_.Protocol(*b.protocol_id);
    number.protocol = first.name + " " + first.hash.substr(0, 12);
    if (first.hash != second.hash) {
      return "the protocols differ: " + JsonDifference(first.content, second.content);
    }
    if (a.dataset_id && b.dataset_id) {
      const DatasetRow data = first_store_.Dataset(*a.dataset_id),
                       other = second_store_.Dataset(*b.dataset_id);
      if (data.hash != other.hash) {
        return fmt::format("the data differ: sha256 {} and {}", data.hash.substr(0, 12),
                           other.hash.substr(0, 12));
      }
    }
    return "";
  }

  MetricShape ShapeOf(const MetricRow& metric) const {
    return options_.shapes ? options_.shapes(metric.name) : MetricShape{};
  }

  void CompareScores(const std::string& phase, const MetricRow& a, const MetricRow& b,
                     ComparedNumber& number) const {
    number.refusal = ProtocolConflict(a, b, number);
    if (number.refusal.empty() && SameMeasurement(phase)) number.refusal = "it is the same measurement";
    if (!number.refusal.empty()) return;
    if (!std::isfinite(a.value) || !std::isfinite(b.value)) {
      number.refusal = "a value is infinite";
      return;
    }
    const MetricShape shape = ShapeOf(a);
    if (phase == "drift") {
      CompareDrift(a, b, shape, number);
      return;
    }
    const PairedItems items =
        PairItems({&first_store_, DataId(first_, phase)}, {&second_store_, DataId(second_, phase)}, a,
                  first_store_.Protocol(*a.protocol_id).content, shape);
    number.refusal = items.refusal;
    if (number.refusal.empty()) number.comparison = CompareItems(items, a, shape, options_.tests);
  }

  // Of the tokens only sums are kept, so that the two are taken as independent, which two models on the same
  // tokens are not: that makes the error too large, never too small.
  void CompareDrift(const MetricRow& a, const MetricRow& b, const MetricShape& shape,
                    ComparedNumber& number) const {
    if (!a.se || !b.se || a.n != b.n) {
      number.refusal = a.n == b.n ? "a standard error is missing" : fmt::format("{} tokens and {}", a.n, b.n);
      return;
    }
    TestOptions tests = options_.tests;
    if (a.unit != "fraction") tests.margin = std::max(tests.margin * std::fabs(a.value), 1e-300);
    number.comparison = CompareEstimates({a.value, *a.se}, {b.value, *b.se}, a.n, tests);
    number.comparison.higher_is_better = shape.higher_is_better;
  }

  // Times and resident bytes.
  void CompareMeasured(const std::string& phase, const MetricRow& a, const MetricRow& b,
                       ComparedNumber& number) const {
    number.comparison.higher_is_better = a.unit == "tokens/s";
    if (a.name == "stored_bytes") {
      number.exact = true;
      return;
    }
    number.refusal = MachineConflict(phase, a.unit != "bytes");
    if (number.refusal.empty() && SameMeasurement(phase)) number.refusal = "it is the same measurement";
    if (!number.refusal.empty()) return;
    const std::vector<double> first = Observations(first_store_, DataId(first_, phase), a);
    const std::vector<double> second = Observations(second_store_, DataId(second_, phase), b);
    const bool positive = std::all_of(first.begin(), first.end(), [](double x) { return x > 0; }) &&
                          std::all_of(second.begin(), second.end(), [](double x) { return x > 0; });
    if (!positive) {
      number.refusal = "a value is not positive";
      return;
    }
    std::vector<double> ratios = SameCellRatios(first_store_, first_, phase, a);
    for (const double ratio : SameCellRatios(second_store_, second_, phase, a)) ratios.push_back(ratio);
    TestOptions tests = options_.tests;
    const double floor = std::max({NoiseFloor(ratios, options_.noise_floor),
                                   StoredNoise(first_store_, first_.view.machine.hash, a.name),
                                   StoredNoise(second_store_, second_.view.machine.hash, a.name)});
    tests.margin = std::max(tests.margin, floor);  // less than the noise cannot be asked for
    number.comparison = CompareTimes(first, second, floor, tests);
    number.comparison.higher_is_better = a.unit == "tokens/s";
  }

  std::string MachineConflict(const std::string& phase, bool timed) const {
    if (timed && first_.view.machine.hash != second_.view.machine.hash) {
      return fmt::format("the machines differ: {} and {}", first_.view.machine.name,
                         second_.view.machine.name);
    }
    Json first = first_.phases.at(phase).settings, second = second_.phases.at(phase).settings;
    for (Json* settings : {&first, &second}) {
      for (const char* harmless : {"artefact", "repetitions", "version", "seed"}) settings->erase(harmless);
    }
    return first == second ? "" : "the settings differ: " + JsonDifference(first, second);
  }

  static std::vector<double> Observations(const Store& store, int64_t data_id, const MetricRow& metric) {
    std::vector<double> values;
    for (const SampleRow& sample : store.Samples(data_id)) {
      if (sample.benchmark == metric.name && sample.variant == metric.variant) values.push_back(sample.value);
    }
    if (values.empty()) values.push_back(metric.value);
    return values;
  }

  // A/A: the same cell measured again on the same machine, by this metric.
  static std::vector<double> SameCellRatios(const Store& store, const RunData& run, const std::string& phase,
                                            const MetricRow& metric) {
    std::vector<double> ratios;
    std::optional<double> previous;
    std::set<int64_t> seen;
    for (const RunView& view : store.Runs({.model = run.view.model.name, .method = run.view.method.text})) {
      if (view.cell.id != run.view.cell.id || view.machine.id != run.view.machine.id ||
          view.build.commit != run.view.build.commit) {
        continue;
      }
      for (const PhaseRow& row : store.Phases(view.run.id)) {
        if (row.name != phase || row.status != PhaseStatus::kOk || !seen.insert(row.data_id).second) continue;
        for (const MetricRow& candidate : store.Metrics(row.data_id)) {
          if (candidate.name != metric.name || candidate.variant != metric.variant) continue;
          if (candidate.value <= 0) continue;
          if (previous) ratios.push_back(candidate.value / *previous);
          previous = candidate.value;
        }
      }
    }
    return ratios;
  }

  const Store& first_store_;
  const Store& second_store_;
  const CompareOptions& options_;
  RunData first_, second_;
  std::vector<ComparedNumber> numbers_;
};

}  // namespace

std::vector<ComparedNumber> CompareNumbers(const Store& first_store, const RunView& first,
                                           const Store& second_store, const RunView& second,
                                           const CompareOptions& options) {
  return Comparer(first_store, first, second_store, second, options).Compare();
}

ComparedNumber CompareQuality(const Store& store, const RunData& first, const RunData& second,
                              const ColumnSpec& column, const CompareOptions& options) {
  return Comparer(store, first, second, options).CompareOne(column);
}

}  // namespace tnb
