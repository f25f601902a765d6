#include "reports/night.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>

#include "reports/paired_items.h"
#include "reports/run_data.h"

namespace tnb {
namespace {

// One night of one cell.
struct Past {
  RunData data;
  std::set<std::string> own;  // phases that were measured in this run
};

Past LoadNight(const Store& store, const RunView& view) {
  Past past{.data = LoadRun(store, view), .own = {}};
  for (const auto& [name, phase] : past.data.phases) {
    if (phase.status == PhaseStatus::kOk && phase.data_id == phase.id) past.own.insert(name);
  }
  return past;
}

std::string KeyOf(const std::string& phase, const MetricRow& row) {
  return ColumnSpec{phase, row.name, row.task, row.filter, row.variant, row.unit}.Key();
}

// What is watched when the suite does not say.
std::optional<WatchedSeries> DefaultWatch(const std::string& phase, const MetricRow& row) {
  const std::string key = KeyOf(phase, row);
  if (phase == "speed" && row.variant.empty()) {
    if (row.unit == "tokens/s") return WatchedSeries{key, true, 0.02};
    if (row.name == "resident_peak") return WatchedSeries{key, false, 0.02};
  }
  if (phase == "training" && (row.name == "step_ms" || row.name == "peak_resident")) {
    return WatchedSeries{key, false, 0.02};
  }
  if (phase == "compress") {
    if (row.name == "stored_bytes") return WatchedSeries{key, false, 0.001};
    if (row.name == "seconds") return WatchedSeries{key, false, 0.05};
    if (row.name == "peak_resident") return WatchedSeries{key, false, 0.02};
  }
  return std::nullopt;
}

std::optional<WatchedSeries> Watched(const NightOptions& options, const std::string& phase,
                                     const MetricRow& row) {
  if (options.series.empty()) return DefaultWatch(phase, row);
  for (const WatchedSeries& series : options.series) {
    if (series.series == KeyOf(phase, row)) return series;
  }
  return std::nullopt;
}

// The nights of one cell: those before (oldest first) and tonight, and why there are none.
class CellNights {
 public:
  CellNights(const Store& store, int64_t run_id, const NightOptions& options)
      : store_(store), options_(options), tonight_(LoadNight(store, store.Run(run_id))) {
    const RunView& now = tonight_.data.view;
    for (const RunView& view : store.Runs({.method = now.method.text})) {
      const bool good = view.run.status == RunStatus::kOk || view.run.status == RunStatus::kPartial;
      const bool asked =
          view.model.name == now.model.name && view.cell.settings_hash == now.cell.settings_hash;
      if (!good || !asked || view.run.id >= run_id) continue;
      if (view.model.hash != now.model.hash) {
        elsewhere_ = "the model's weights changed since run " + std::to_string(view.run.id);
      } else if (MachineClass(view.machine) != MachineClass(now.machine)) {
        elsewhere_ = fmt::format("run {} is of another machine: {}, not {}", view.run.id, view.machine.name,
                                 now.machine.name);
      } else {
        past_.push_back(LoadNight(store, view));
      }
    }
    accepted_ = store.Acceptances(options.suite);
  }

  void Judge(Night* night) {
    const RunData& now = tonight_.data;
    if (now.view.run.status != RunStatus::kOk && now.view.run.status != RunStatus::kPartial) {
      NightRow row = MakeRow("run");
      row.verdict = NightVerdict::kRegression;
      row.text = "the run " + ToString(now.view.run.status) + ": " + now.view.run.message;
      night->rows.push_back(row);
    }
    for (const auto& [phase, metric] : now.metrics) {
      if (phase == "quality" || tonight_.own.count(phase) == 0) continue;
      if (const auto watched = Watched(options_, phase, metric)) JudgeWatched(phase, metric, *watched, night);
    }
    JudgeQuality(night);
    JudgeLimits(night);
  }

 private:
  NightRow MakeRow(const std::string& series) const {
    return {.run = tonight_.data.view.run.id,
            .model = tonight_.data.view.model.name,
            .method = tonight_.data.view.method.text,
            .series = series};
  }

  NightRow MakeRow(const std::string& phase, const MetricRow& metric) const {
    NightRow row = MakeRow(KeyOf(phase, metric));
    row.unit = metric.unit;
    row.tonight = metric.value;
    row.n = metric.n;
    row.protocol = ProtocolOf(tonight_.data, phase, metric);
    return row;
  }

  // The numbers of the nights before that are of the same protocol, and where they come from.
  struct Series {
    std::vector<double> values;
    std::vector<const Past*> nights;
    std::string refused;  // why some night was left out
  };

  // What was accepted of a series at tonight's run or at one of its nights.
  std::vector<AcceptanceRow> AcceptedOf(const std::string& key, const Series& series) const {
    std::vector<AcceptanceRow> rows;
    for (const AcceptanceRow& row : accepted_) {
      if (row.series == key && NightOf(row, series) <= series.nights.size()) rows.push_back(row);
    }
    return rows;
  }

  // Which night of the series it was; tonight comes after all of them.
  size_t NightOf(const AcceptanceRow& row, const Series& series) const {
    if (row.run_id == tonight_.data.view.run.id) return series.nights.size();
    for (size_t i = 0; i < series.nights.size(); ++i) {
      if (series.nights[i]->data.view.run.id == row.run_id) return i;
    }
    return SIZE_MAX;
  }

  static std::string Said(const AcceptanceRow& row) {
    return fmt::format("accepted at run {}: {}", row.run_id, row.reason);
  }

  Series Collect(const std::string& phase, const MetricRow& metric) const {
    Series series;
    series.refused = elsewhere_;
    const ColumnSpec column{phase, metric.name, metric.task, metric.filter, metric.variant, metric.unit};
    const std::string key = column.Key();
    for (const Past& past : past_) {
      if (past.own.count(phase) == 0) continue;
      const MetricRow* row = Find(past.data, column);
      if (row == nullptr) continue;
      const bool has_protocol = tonight_.data.protocols.count(key) != 0;
      if (has_protocol && past.data.protocols.at(key) != tonight_.data.protocols.at(key)) {
        series.refused = fmt::format("run {} has another protocol: {}, not {}", past.data.view.run.id,
                                     past.data.protocols.at(key), tonight_.data.protocols.at(key));
        continue;
      }
      series.values.push_back(row->value);
      series.nights.push_back(&past);
    }
    return series;
  }

  // Nothing to compare with: the first night, or nights that must not be compared.
  static void NoHistory(const Series& series, NightRow* row) {
    row->verdict = series.refused.empty() ? NightVerdict::kTooFewNights : NightVerdict::kNotComparable;
    row->text = series.refused.empty() ? "the first night" : series.refused;
  }

  void AddChanges(const Series& series, const NightRow& row, double floor, Night* night) const {
    std::vector<double> values = series.values;
    values.push_back(*row.tonight);
    if (values.size() < options_.watch.least_history) return;
    const std::vector<size_t> starts = FindPieces(values, options_.watch.nights, floor / 2);
    const auto piece = [&](size_t i) {
      const size_t end = i + 1 < starts.size() ? starts[i + 1] : values.size();
      return std::span(values).subspan(starts[i], end - starts[i]);
    };
    for (size_t i = 1; i < starts.size(); ++i) {
      const double before = Median(piece(i - 1)), after = Median(piece(i));
      if (std::fabs(after / before - 1) <= floor) continue;
      const int64_t run = starts[i] < series.nights.size() ? series.nights[starts[i]]->data.view.run.id
                                                           : tonight_.data.view.run.id;
      NightChange change;
      change.row.run_id = run;
      change.row.suite = options_.suite;
      change.row.series = row.series;
      change.row.level_before = before;
      change.row.level_after = after;
      change.row.unit = row.unit;
      change.nights_before = piece(i - 1).size();
      change.nights_after = piece(i).size();
      change.protocol = row.protocol;
      night->changes.push_back(std::move(change));
    }
  }

  void JudgeWatched(const std::string& phase, const MetricRow& metric, const WatchedSeries& watched,
                    Night* night) const {
    NightRow row = MakeRow(phase, metric);
    const Series series = Collect(phase, metric);
    bool positive = metric.value > 0 && std::isfinite(metric.value);
    for (const double value : series.values) positive = positive && value > 0 && std::isfinite(value);
    if (series.values.empty()) {
      NoHistory(series, &row);
    } else if (!positive) {
      row.verdict = NightVerdict::kNotComparable;
      row.text = "a number is infinite or not positive";
    } else {
      std::vector<double> values = series.values;
      values.push_back(metric.value);
      WatchOptions watch = options_.watch;
      watch.floor = watched.floor;
      watch.higher_is_better = watched.higher_is_better;
      std::string said;
      for (const AcceptanceRow& accepted : AcceptedOf(row.series, series)) {
        values = AcceptLevel(values, NightOf(accepted, series), watch);
        said += "; " + Said(accepted);
      }
      const SeriesJudgment judgment = JudgeSeries(values, watch);
      row.verdict = judgment.verdict;
      if (judgment.nights == 0) {
        row.text = fmt::format("nights before: {}, needed: {}", series.values.size(), watch.least_history);
      } else {
        row.level = judgment.level;
        row.change = judgment.change;
        row.text = fmt::format("{} nights at this level; {:.1f} % would be said", judgment.nights,
                               100 * judgment.threshold);
      }
      row.text += said;
      AddChanges(series, row, watched.floor, night);
    }
    night->rows.push_back(row);
  }

  // Items count from the newest accepted night on.
  std::string DropBeforeAcceptance(const std::string& key, Series* series) const {
    std::string said;
    size_t first = 0;
    for (const AcceptanceRow& accepted : AcceptedOf(key, *series)) {
      first = std::max(first, NightOf(accepted, *series));
      said += "; " + Said(accepted);
    }
    const auto count = static_cast<std::ptrdiff_t>(first);
    series->values.erase(series->values.begin(), series->values.begin() + count);
    series->nights.erase(series->nights.begin(), series->nights.begin() + count);
    return said;
  }

  void JudgeQuality(Night* night) const {
    if (tonight_.own.count("quality") == 0) return;
    std::vector<NightRow> rows;
    std::vector<size_t> tested;  // rows with a test
    std::vector<Comparison> comparisons;
    std::vector<double> p_values;
    for (const auto& [phase, metric] : tonight_.data.metrics) {
      if (phase != "quality" || !metric.main) continue;
      NightRow row = MakeRow(phase, metric);
      const Series all = Collect(phase, metric);
      Series series = all;
      const std::string said = DropBeforeAcceptance(row.series, &series);
      if (series.values.empty()) {
        if (said.empty()) NoHistory(series, &row);
        if (!said.empty()) row.text = said.substr(2);
        rows.push_back(row);
        continue;
      }
      const size_t reference = ReferenceNight(series.values, options_.watch);
      const Past& before = *series.nights[reference];
      row.level = series.values[reference];
      row.change = metric.value - *row.level;
      const MetricShape shape = options_.shapes ? options_.shapes(metric.name) : MetricShape{};
      const PairedItems items = PairItems({&store_, before.data.phases.at("quality").data_id},
                                          {&store_, tonight_.data.phases.at("quality").data_id}, metric,
                                          tonight_.data.protocol_contents.at(row.series), shape);
      if (!items.refusal.empty() || items.first.size() < 2) {
        row.verdict = NightVerdict::kNotComparable;
        row.text = fmt::format("against run {}: {}", before.data.view.run.id,
                               items.refusal.empty() ? "a single item" : items.refusal);
        rows.push_back(row);
        continue;
      }
      const Comparison comparison = CompareItems(
          items, metric, shape, {.alpha = options_.accuracy_alpha, .resampling = {}, .intervals = false});
      row.text =
          fmt::format("{} items against run {}: {} (p {:.2g}){}", comparison.n, before.data.view.run.id,
                      comparison.identical ? "the same answers" : comparison.test, comparison.p, said);
      if (comparison.flips.first + comparison.flips.second > 0) {
        row.text += fmt::format("; {} lost, {} won", comparison.flips.first, comparison.flips.second);
      }
      tested.push_back(rows.size());
      p_values.push_back(comparison.p);
      comparisons.push_back(comparison);
      rows.push_back(row);
      if (metric.value > 0 && *row.level > 0) {
        AddChanges(all, row, options_.watch.floor, night);
      }
    }
    const std::vector<double> adjusted = p_values.empty() ? p_values : Holm(p_values);
    for (size_t i = 0; i < tested.size(); ++i) {
      if (adjusted[i] >= options_.accuracy_alpha) continue;
      rows[tested[i]].verdict =
          IsGain(comparisons[i]) ? NightVerdict::kImprovement : NightVerdict::kRegression;
    }
    night->rows.insert(night->rows.end(), rows.begin(), rows.end());
  }

  void JudgeLimits(Night* night) const {
    for (const NightLimit& limit : options_.limits) {
      if (!limit.method.empty() && limit.method != tonight_.data.view.method.text) continue;
      NightRow row = MakeRow("limit " + limit.series);
      for (const auto& [phase, metric] : tonight_.data.metrics) {
        if (KeyOf(phase, metric) != limit.series) continue;
        row = MakeRow(phase, metric);
        row.series = "limit " + limit.series;
      }
      if (!row.tonight) {
        row.verdict = NightVerdict::kNotComparable;
        row.text = "not measured tonight";
      } else {
        const bool low = limit.least && !(*row.tonight >= *limit.least);
        const bool high = limit.most && !(*row.tonight <= *limit.most);
        row.verdict = low || high ? NightVerdict::kRegression : NightVerdict::kFine;
        row.text = fmt::format("{}{}", limit.least ? fmt::format("at least {} ", *limit.least) : "",
                               limit.most ? fmt::format("at most {}", *limit.most) : "");
      }
      night->rows.push_back(row);
    }
  }

  const Store& store_;
  const NightOptions& options_;
  Past tonight_;
  std::vector<Past> past_;
  std::vector<AcceptanceRow> accepted_;
  std::string elsewhere_;
};

}  // namespace

std::string MachineClass(const MachineRow& machine) {
  Json facts = machine.facts;
  if (facts.is_object()) facts.erase("system");
  return facts.dump();
}

Night JudgeNight(const Store& store, const std::vector<int64_t>& runs, const NightOptions& options) {
  CheckWatchOptions(options.watch);
  if (!(options.accuracy_alpha > 0 && options.accuracy_alpha < 1)) {
    throw Error(ErrorKind::kUsage, {"value out of range", "above 0, below 1", "", "accuracy_alpha", ""});
  }
  Night night;
  for (const int64_t run : runs) CellNights(store, run, options).Judge(&night);
  return night;
}

std::vector<AcceptanceRow> AcceptRegressions(const Night& night, const std::string& suite,
                                             const std::vector<std::string>& series,
                                             const std::string& reason) {
  std::vector<AcceptanceRow> rows;
  std::set<std::string> known, unknown(series.begin(), series.end());
  for (const NightRow& row : night.rows) {
    // A broken run and a limit that is not kept are no levels.
    if (row.verdict != NightVerdict::kRegression || !row.level) continue;
    known.insert(row.series);
    if (unknown.count("all") == 0 && std::count(series.begin(), series.end(), row.series) == 0) continue;
    rows.push_back({.run_id = row.run, .suite = suite, .series = row.series, .reason = reason});
  }
  for (const std::string& name : known) unknown.erase(name);
  if (!rows.empty()) unknown.erase("all");
  if (unknown.empty() && !rows.empty()) return rows;
  throw Error(ErrorKind::kUsage,
              {"there is no such regression to accept",
               known.empty() ? "none: nothing regressed" : fmt::format("{}, or all", fmt::join(known, ", ")),
               fmt::format("{}", fmt::join(unknown, ", ")), "--accept",
               "limits are changed in the suite, failed runs are mended"});
}

int NightExitCode(const Night& night) {
  int code = 0;
  for (const NightRow& row : night.rows) {
    if (row.verdict == NightVerdict::kRegression) return 1;
    if (row.verdict == NightVerdict::kNotComparable) code = 3;
  }
  return code;
}

}  // namespace tnb
