// How comparisons are shown.
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "reports/compare.h"
#include "reports/numbers.h"

namespace tnb {
namespace {

// A difference in words: percentage points for shares, a factor for ratios, else a signed number.
std::string Amount(double difference, const ComparedNumber& number) {
  if (number.comparison.ratio) return fmt::format("{}x", FormatNumber(difference));
  if (IsShare(number.unit)) return FormatFixed((number.unit == "fraction" ? 100 : 1) * difference, 1, true);
  return fmt::format("{}{}", difference > 0 ? "+" : "", FormatNumber(difference));
}

std::string DifferenceText(const ComparedNumber& number) {
  if (number.exact) {
    return number.first > 0 ? fmt::format("{}x", FormatNumber(number.second / number.first)) : "";
  }
  const Comparison& comparison = number.comparison;
  std::string text = Amount(comparison.difference, number);
  if (comparison.interval) {
    text += fmt::format(" [{}, {}]", Amount(comparison.interval->lo, number),
                        Amount(comparison.interval->hi, number));
  }
  return text;
}

// The smallest difference that would have been seen.
std::string Detectable(const ComparedNumber& number) {
  if (!number.refusal.empty() || number.exact || !number.judgment.detectable) return "";
  const double seen = *number.judgment.detectable;
  if (number.comparison.ratio) return fmt::format("{} %", FormatNumber(100 * seen));
  if (number.unit == "fraction") return fmt::format("{} points", FormatFixed(100 * seen, 1));
  return FormatNumber(seen);
}

std::string Observations(const ComparedNumber& number) {
  if (!number.refusal.empty()) return "";
  if (number.exact) return "exact";
  std::string text = std::to_string(number.comparison.n);
  if (number.comparison.clusters < number.comparison.n) {
    text += fmt::format(" in {}", number.comparison.clusters);
  }
  return text;
}

Cell Number(double value, const std::string& text) { return {.text = text, .value = value}; }

std::vector<Cell> Row(const ComparedNumber& number) {
  const std::string unit = ShownUnit(number.unit);
  std::vector<Cell> row = {{.text = unit.empty() ? number.name : fmt::format("{} [{}]", number.name, unit),
                            .full = fmt::format("{} [{}]", number.name, number.unit)},
                           Number(number.first, FormatInUnit(number.first, number.unit)),
                           Number(number.second, FormatInUnit(number.second, number.unit))};
  const Comparison& comparison = number.comparison;
  const bool tested = number.refusal.empty() && !number.exact;
  row.push_back(tested ? Number(comparison.difference, DifferenceText(number))
                       : Cell{.text = number.refusal.empty() ? DifferenceText(number) : ""});
  row.push_back(tested ? Number(number.judgment.p_adjusted, FormatP(number.judgment.p_adjusted)) : Cell{});
  row.push_back({.text = number.refusal.empty() ? number.Verdict() : "not comparable"});
  row.push_back({.text = Detectable(number)});
  row.push_back(tested ? Number(comparison.p, FormatP(comparison.p)) : Cell{});
  row.push_back(tested ? Number(static_cast<double>(comparison.n), Observations(number))
                       : Cell{.text = Observations(number)});
  const Discordant& flips = comparison.flips;
  row.push_back(
      {.text = flips.first + flips.second > 0 ? fmt::format("{}/{}", flips.first, flips.second) : ""});
  return row;
}

std::string Describe(const RunView& run) {
  return fmt::format("run {} ({}, {})", run.run.id, run.method.text, run.run.started.substr(0, 10));
}

Json NumberOrText(double value) {
  return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value));
}

Json NumberJson(const ComparedNumber& number) {
  Json json = {{"aspect", number.aspect},
               {"name", number.name},
               {"unit", number.unit},
               {"protocol", number.protocol},
               {"a", NumberOrText(number.first)},
               {"b", NumberOrText(number.second)},
               {"verdict", number.Verdict()}};
  if (!number.refusal.empty() || number.exact) return json;
  const Comparison& comparison = number.comparison;
  json.update({{"difference", comparison.difference},
               {"is_ratio", comparison.ratio},
               {"lo", nullptr},
               {"hi", nullptr},
               {"test", comparison.test},
               {"p", comparison.p},
               {"p_holm", number.judgment.p_adjusted},
               {"p_equivalent", comparison.p_equivalent},
               {"p_equivalent_holm", number.judgment.p_equivalent_adjusted},
               {"smallest_p", comparison.smallest_p},
               {"margin", comparison.margin},
               {"noise_floor", comparison.noise_floor},
               {"n", comparison.n},
               {"clusters", comparison.clusters},
               {"lost", comparison.flips.first},
               {"gained", comparison.flips.second},
               {"detectable", nullptr}});
  if (comparison.interval) {
    json["lo"] = NumberOrText(comparison.interval->lo);
    json["hi"] = NumberOrText(comparison.interval->hi);
  }
  if (number.judgment.detectable) json["detectable"] = *number.judgment.detectable;
  return json;
}

}  // namespace

std::vector<Table> CompareTables(const std::vector<RunComparison>& comparisons, const ComparedSide& first,
                                 const ComparedSide& second, const CompareOptions& options) {
  size_t tests = 0, family = 0;
  for (const RunComparison& pair : comparisons) {
    for (const ComparedNumber& number : pair.numbers) {
      if (!number.refusal.empty() || number.exact) continue;
      ++tests;
      family += CanReject(number.comparison, options.tests.alpha) ? 1 : 0;
    }
  }
  std::vector<Table> tables;
  for (const RunComparison& pair : comparisons) {
    Table table;
    table.caption =
        fmt::format("Model {} (sha256 {}), machine {}. A = {}: {}. B = {}: {}.", pair.first.model.name,
                    pair.first.model.hash.substr(0, 12), pair.first.machine.name, first.label,
                    Describe(pair.first), second.label, Describe(pair.second));
    table.columns = {{"number", Alignment::kLeft, "number", 0},
                     {"A", Alignment::kRight, "a", 1},
                     {"B", Alignment::kRight, "b", 1},
                     {fmt::format("B - A or B / A [{:g} %]", 100 * (1 - options.tests.alpha)),
                      Alignment::kLeft, "difference", 1},
                     {"p (Holm)", Alignment::kRight, "p_holm", 1},
                     {"verdict on B", Alignment::kLeft, "verdict", 1},
                     {"sees", Alignment::kRight, "detectable", 2},
                     {"p", Alignment::kRight, "p", 2},
                     {"n", Alignment::kRight, "n", 2},
                     {"flips", Alignment::kRight, "flips", 2}};
    std::set<std::string> protocols, how;
    std::vector<std::string> refusals;
    for (const ComparedNumber& number : pair.numbers) {
      if (!number.refusal.empty()) {
        refusals.push_back(fmt::format("{} is not comparable: {}", number.name, number.refusal));
      }
      table.rows.push_back(Row(number));
      if (!number.protocol.empty()) protocols.insert(number.protocol);
      if (!number.comparison.test.empty()) how.insert(number.comparison.test);
    }
    table.notes = refusals;
    for (const std::string& protocol : protocols) table.notes.push_back("protocol " + protocol);
    if (tests > 0)
      table.notes.push_back(fmt::format(
          "tests: {}; p adjusted by Holm over {} of {} tests, those that can be significant; alpha {:g}; "
          "margin "
          "{:g} points or %, timings at least their noise floor; 'sees': smallest difference with power 0.8; "
          "flips: lost/gained items; n 'in' clusters",
          fmt::join(how, ", "), family, tests, options.tests.alpha, 100 * options.tests.margin));
    for (const std::string& note : pair.notes) table.notes.push_back(note);
    tables.push_back(std::move(table));
  }
  return tables;
}

Json CompareJson(const std::vector<RunComparison>& comparisons, const CompareOptions& options) {
  Json pairs = Json::array();
  for (const RunComparison& pair : comparisons) {
    Json numbers = Json::array();
    for (const ComparedNumber& number : pair.numbers) numbers.push_back(NumberJson(number));
    const auto side = [](const RunView& run) {
      return Json{
          {"run", run.run.id},          {"uuid", run.run.uuid},           {"method", run.method.text},
          {"model", run.model.name},    {"model_sha256", run.model.hash}, {"machine", run.machine.name},
          {"commit", run.build.commit}, {"started", run.run.started}};
    };
    pairs.push_back(
        {{"a", side(pair.first)}, {"b", side(pair.second)}, {"numbers", numbers}, {"notes", pair.notes}});
  }
  return {{"alpha", options.tests.alpha},
          {"margin", options.tests.margin},
          {"resamples", options.tests.resampling.resamples},
          {"seed", options.tests.resampling.seed},
          {"comparisons", pairs}};
}

}  // namespace tnb
