// Claims against the record.
#include "reports/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/numbers.h"
#include "reports/paired_items.h"
#include "reports/run_data.h"

namespace tnb {
namespace {

ColumnSpec ColumnOf(const ClaimMeasure& measure) {
  return {measure.phase, measure.metric, measure.task, measure.filter, measure.variant, ""};
}

// The filter of a task without one is "none" in the record, and may be left out of a claim.
const MetricRow* FindMeasured(const RunData& run, const ClaimMeasure& measure) {
  if (const MetricRow* row = Find(run, ColumnOf(measure))) return row;
  if (!measure.filter.empty()) return nullptr;
  ColumnSpec column = ColumnOf(measure);
  column.filter = "none";
  return Find(run, column);
}

bool NeedsBase(const ClaimMeasure& measure) {
  return measure.relation != ClaimRelation::kValue &&
         (measure.against == "base" || measure.relation == ClaimRelation::kDifference ||
          measure.relation == ClaimRelation::kRelativeChange ||
          measure.relation == ClaimRelation::kTimeChange);
}

// Standard error of the difference of two runs over the same items, clusters independent; none where nothing
// can be paired.
std::optional<double> PairedError(const Store& store, const RunData& run, const RunData& base,
                                  const MetricRow& metric) {
  const ColumnSpec column = TaskColumn("quality", metric);
  const auto protocol = run.protocol_contents.find(column.Key());
  if (protocol == run.protocol_contents.end() || Find(base, column) == nullptr) return std::nullopt;
  const PairedItems items =
      PairItems({&store, base.phases.at("quality").data_id}, {&store, run.phases.at("quality").data_id},
                metric, protocol->second, {});
  if (!items.refusal.empty()) return std::nullopt;
  const PairedSample sample = MakePairedSample(items.first, items.second, {}, items.clusters);
  if (sample.sums.size() < 2) return std::nullopt;
  return ClusterStandardError(sample);
}

struct Outcome {
  std::optional<double> value, se;
  std::string why;               // there is none
  std::optional<double> lo, hi;  // 95 % interval, where the number itself is claimed
};

// Of a quotient m / b whose errors are taken as independent.
std::optional<double> QuotientError(const MetricRow& m, double b, std::optional<double> b_se) {
  if (!m.se && !b_se) return std::nullopt;
  const double relative_m = m.value != 0 ? m.se.value_or(0) / m.value : 0;
  const double relative_b = b != 0 ? b_se.value_or(0) / b : 0;
  return std::fabs(m.value / b) * std::hypot(relative_m, relative_b);
}

Outcome Evaluate(const Store& store, const ClaimMeasure& measure, const RunData& run, const RunData* base) {
  const MetricRow* m = FindMeasured(run, measure);
  if (m == nullptr)
    return {.why = measure.phase + " of run " + std::to_string(run.view.run.id) + " has no " +
                   ColumnOf(measure).Key()};
  if (measure.relation == ClaimRelation::kValue) {
    Outcome outcome{.value = measure.scale * m->value};
    if (m->se) outcome.se = std::fabs(measure.scale) * *m->se;
    if (const auto interval = IntervalOf(*m)) {
      outcome.lo = std::min(measure.scale * interval->lo, measure.scale * interval->hi);
      outcome.hi = std::max(measure.scale * interval->lo, measure.scale * interval->hi);
    }
    return outcome;
  }
  double reference = 0;
  std::optional<double> reference_se;
  if (NeedsBase(measure)) {
    const MetricRow* b = base != nullptr ? FindMeasured(*base, measure) : nullptr;
    if (b == nullptr) return {.why = "the uncompressed model was not measured with the same settings"};
    reference = b->value;
    reference_se = b->se;
  } else {
    const MetricRow* r = Find(run, {"compress", measure.against, "", "", "", ""});
    if (r == nullptr) return {.why = "the run has no " + measure.against};
    reference = r->value;
  }
  if (measure.relation == ClaimRelation::kDifference) {
    Outcome outcome{.value = measure.scale * (m->value - reference)};
    std::optional<double> error;
    if (measure.phase == "quality") error = PairedError(store, run, *base, *m);
    if (!error && (m->se || reference_se)) error = std::hypot(m->se.value_or(0), reference_se.value_or(0));
    if (error) outcome.se = std::fabs(measure.scale) * *error;
    return outcome;
  }
  if (!(reference > 0) || !std::isfinite(reference) || !std::isfinite(m->value) || !(m->value > 0)) {
    return {.why =
                "no quotient can be made of " + FormatNumber(m->value) + " and " + FormatNumber(reference)};
  }
  const double quotient = m->value / reference;
  const std::optional<double> error = QuotientError(*m, reference, reference_se);
  const auto scaled = [&](double value, double factor) {
    Outcome outcome{.value = value};
    if (error) outcome.se = factor * *error;
    return outcome;
  };
  switch (measure.relation) {
    case ClaimRelation::kReduction:
      return scaled(100 * (1 - quotient), 100);
    case ClaimRelation::kRatio:
      return scaled(quotient, 1);
    case ClaimRelation::kPercent:
      return scaled(100 * quotient, 100);
    case ClaimRelation::kRelativeChange:
      return scaled(100 * (quotient - 1), 100);
    case ClaimRelation::kTimeChange:
      return scaled(100 * (1 / quotient - 1), 100 / (quotient * quotient));
    default:
      throw Error(ErrorKind::kInternal, "a relation is not handled");
  }
}

// How far the claim may be from the measured value. No item of a hundred solved has a standard error of 0 and
// says little about a claim of 1 %: the interval does.
double RoomToClaim(const Claim& claim, const Outcome& outcome) {
  double room = 2 * outcome.se.value_or(0);
  if (outcome.lo && claim.value < *outcome.value) room = std::max(room, *outcome.value - *outcome.lo);
  if (outcome.hi && claim.value > *outcome.value) room = std::max(room, *outcome.hi - *outcome.value);
  return room + claim.rounding;
}

// What differs between the claim's protocol and that of the run.
void CompareProtocol(const Claim& claim, const RunData& run, MeasuredClaim* result) {
  const RunView& view = run.view;
  auto& mismatches = result->mismatches;
  if (view.model.name != claim.model) {
    mismatches.push_back(fmt::format("model {}, not {}", view.model.name, claim.model));
  }
  if (view.cell.settings.value("weights", "") == "random") mismatches.push_back("random weights");
  Json content = Json::object();
  if (const MetricRow* row = FindMeasured(run, *claim.measure)) {
    const ColumnSpec column = TaskColumn(claim.measure->phase, *row);
    const auto found = run.protocol_contents.find(column.Key());
    if (claim.measure->phase == "quality" && found != run.protocol_contents.end()) content = found->second;
  }
  const Json limit = view.cell.settings.value("limit", Json());
  if (claim.measure->phase == "quality" && !limit.is_null()) {
    mismatches.push_back(fmt::format("only the first {} items", limit.dump()));
  }
  for (const auto& [key, stated] : claim.protocol.items()) {
    if (stated.is_null()) {
      result->not_stated.push_back(key);
      continue;
    }
    const std::string text = stated.is_string() ? stated.get<std::string>() : stated.dump();
    const auto differs = [&](const Json& found) {
      if (found != stated) mismatches.push_back(fmt::format("{} {}, not {}", key, found.dump(), text));
    };
    if (key == "shots") {
      differs(content.value("num_fewshot", Json()));
    } else if (key == "context") {
      differs(content.value("context_length", Json()));
    } else if (key == "healing") {
      const bool healed = view.method.text.find("heal") != std::string::npos;
      if (!healed && text != "none") mismatches.push_back("not healed (the paper: " + text + ")");
      if (healed && text == "none") mismatches.push_back("healed");
    } else if (key == "hardware") {
      // Time only: nothing else depends on it.
      const bool timed = claim.measure->phase == "speed" || claim.measure->phase == "training";
      if (timed && view.machine.name.find(text) == std::string::npos) {
        mismatches.push_back(fmt::format("hardware {}, not {}", view.machine.name, text));
      }
    } else if (key == "counting") {
      // How bytes were counted: ours are stored bytes with every scale and every untouched layer.
      if (text != "stored") mismatches.push_back("counting stored bytes, not " + text);
    }
  }
}

// The newest finished run of the method that has the number; the claim's own model before others.
const RunData* Choose(const std::vector<RunData>& runs, const Claim& claim, const std::string& method) {
  const RunData* chosen = nullptr;
  for (const RunData& run : runs) {
    if (run.view.method.text != method || FindMeasured(run, *claim.measure) == nullptr) continue;
    const auto rank = [&](const RunData& data) {
      const bool whole = data.view.cell.settings.value("limit", Json()).is_null();
      return std::make_tuple(data.view.model.name == claim.model, whole, data.view.run.id);
    };
    if (chosen == nullptr || rank(run) > rank(*chosen)) chosen = &run;
  }
  return chosen;
}

const RunData* BaseOf(const std::vector<RunData>& runs, const RunData& run, const std::string& method) {
  const RunData* base = nullptr;
  for (const RunData& other : runs) {
    const bool same = other.view.method.text == method && other.view.model.id == run.view.model.id &&
                      other.view.machine.id == run.view.machine.id &&
                      other.view.cell.settings_hash == run.view.cell.settings_hash &&
                      Conflict(other, run).empty();
    if (same) base = &other;  // the newest
  }
  return base;
}

// A difference of two percentages is in points.
std::string DifferenceUnit(const Claim& claim) { return claim.unit == "%" ? "points" : claim.unit; }

std::string Value(const Claim& claim, double value) { return FormatNumber(value) + " " + claim.unit; }

}  // namespace

const char* ToString(ClaimVerdict verdict) {
  switch (verdict) {
    case ClaimVerdict::kWithin:
      return "within";
    case ClaimVerdict::kOutside:
      return "outside";
    case ClaimVerdict::kNotComparable:
      return "not comparable";
    case ClaimVerdict::kNotMeasured:
      return "not measured";
  }
  throw Error(ErrorKind::kInternal, "a verdict is not named");
}

std::vector<MeasuredClaim> MeasureClaims(const Paper& paper, const Store& store,
                                         const ClaimOptions& options) {
  std::vector<RunData> runs;
  for (const RunView& view : store.Runs({.model = options.model})) {
    const bool good = view.run.status == RunStatus::kOk || view.run.status == RunStatus::kPartial;
    if (good) runs.push_back(LoadRun(store, view));
  }
  const auto base_text = options.canonical.find(paper.baseline);
  std::vector<MeasuredClaim> measured;
  for (const Claim& claim : paper.claims) {
    MeasuredClaim result{.claim = &claim};
    const auto canonical = options.canonical.find(claim.method);
    if (!claim.measure) {
      result.mismatches = {!claim.unmeasured.empty() ? claim.unmeasured
                           : claim.derived           ? "only its arithmetic is checked"
                                                     : "tnbench has no measure of this"};
    } else if (canonical == options.canonical.end()) {
      result.mismatches = {"this program has no method '" + claim.method + "'"};
    } else if (const RunData* run = Choose(runs, claim, canonical->second); run == nullptr) {
      result.mismatches = {"no run of " + claim.method + " has it"};
    } else {
      const RunData* base =
          base_text == options.canonical.end() ? nullptr : BaseOf(runs, *run, base_text->second);
      const Outcome outcome = Evaluate(store, *claim.measure, *run, base);
      result.run = run->view.run.id;
      if (!outcome.value) {
        result.mismatches = {outcome.why};
      } else {
        result.value = outcome.value;
        result.se = outcome.se;
        result.difference = *outcome.value - claim.value;
        const MetricRow& number = *FindMeasured(*run, *claim.measure);
        result.n = number.n;
        result.protocol = ProtocolOf(*run, claim.measure->phase, number);
        CompareProtocol(claim, *run, &result);
        const bool near = std::fabs(*result.difference) <= RoomToClaim(claim, outcome);
        result.verdict = !result.mismatches.empty() ? ClaimVerdict::kNotComparable
                         : near                     ? ClaimVerdict::kWithin
                                                    : ClaimVerdict::kOutside;
      }
    }
    measured.push_back(std::move(result));
  }
  return measured;
}

Table ClaimsTable(const Paper& paper, const std::vector<MeasuredClaim>& measured) {
  Table table{.caption = fmt::format("{}: {} ({})", paper.name, paper.title, paper.source)};
  table.columns = {{"claim", Alignment::kLeft, "claim"},
                   {"quantity", Alignment::kLeft, "quantity"},
                   {"method", Alignment::kLeft, "method"},
                   {"claimed", Alignment::kRight, "claimed", 0},
                   {"measured", Alignment::kRight, "measured", 1},
                   {"n", Alignment::kRight, "n", 1},
                   {"difference", Alignment::kRight, "difference", 1},
                   {"verdict", Alignment::kLeft, "verdict", 1},
                   {"protocol", Alignment::kLeft, "protocol", 2},
                   {"source", Alignment::kLeft, "source", 2}};
  ProtocolNames protocols;
  for (const MeasuredClaim& row : measured) {
    const Claim& claim = *row.claim;
    std::string claimed = Value(claim, claim.value);
    if (claim.baseline) claimed += fmt::format(" (from {})", FormatNumber(*claim.baseline));
    std::vector<std::string> said = row.mismatches;
    if (row.value) {
      said.insert(said.begin(), fmt::format("run {}, {}", row.run, protocols.Name(row.protocol)));
    }
    if (row.mismatches.empty() && row.value) said.push_back("match");
    if (!row.not_stated.empty())
      said.push_back(fmt::format("not stated: {}", fmt::join(row.not_stated, " ")));
    Cell number{.text = "not measured"}, n{.text = ""}, difference{.text = ""};
    if (row.value) {
      number = {.text = Value(claim, *row.value), .value = row.value, .se = row.se};
      if (row.se) number.text += " ± " + FormatNumber(*row.se);
      n = {.text = std::to_string(row.n), .value = static_cast<double>(row.n)};
      difference = {.text = fmt::format("{}{} {}", *row.difference > 0 ? "+" : "",
                                        FormatNumber(*row.difference), DifferenceUnit(claim)),
                    .value = row.difference};
    }
    table.rows.push_back({{.text = claim.id},
                          {.text = claim.task.empty() ? claim.metric : claim.task + " " + claim.metric},
                          {.text = claim.method.empty() ? "-" : claim.method},
                          {.text = claimed, .value = claim.value},
                          number,
                          n,
                          difference,
                          {.text = ToString(row.verdict)},
                          {.text = fmt::format("{}", fmt::join(said, "; "))},
                          {.text = claim.place}});
  }
  for (const std::string& note : protocols.notes()) table.notes.push_back(note);
  for (const ArithmeticCheck& check : CheckArithmetic(paper)) {
    if (!check.holds) table.notes.push_back("contradicts itself: " + check.text);
  }
  for (const Claim& claim : paper.claims) {
    if (!claim.note.empty()) table.notes.push_back(claim.id + ": " + claim.note);
  }
  if (!paper.note.empty()) table.notes.push_back(paper.note);
  table.notes.push_back(
      "within: the same protocol, and no further from the claim than 2 standard errors, or the 95 % interval "
      "where it is wider, and its rounding");
  return table;
}

Table PapersTable(const std::vector<Paper>& papers) {
  Table table{.caption = "Papers with claims"};
  table.columns = {{"paper", Alignment::kLeft, "paper"},
                   {"claims", Alignment::kRight, "claims"},
                   {"measurable", Alignment::kRight, "measurable"},
                   {"contradictions", Alignment::kRight, "contradictions"},
                   {"model", Alignment::kLeft, "model"},
                   {"title", Alignment::kLeft, "title", 1}};
  for (const Paper& paper : papers) {
    const auto checks = CheckArithmetic(paper);
    const auto count = [](int64_t n) {
      return Cell{.text = std::to_string(n), .value = static_cast<double>(n)};
    };
    table.rows.push_back(
        {{.text = paper.name},
         count(static_cast<int64_t>(paper.claims.size())),
         count(std::count_if(paper.claims.begin(), paper.claims.end(),
                             [](const Claim& claim) { return claim.measure.has_value(); })),
         count(std::count_if(checks.begin(), checks.end(), [](const auto& check) { return !check.holds; })),
         {.text = paper.model},
         {.text = paper.title}});
    for (const ArithmeticCheck& check : checks) {
      if (!check.holds) table.notes.push_back(paper.name + " contradicts itself: " + check.text);
    }
  }
  return table;
}

}  // namespace tnb
