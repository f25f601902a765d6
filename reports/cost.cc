#include "reports/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "reports/numbers.h"
#include "reports/statistics.h"
#include "reports/table.h"

namespace tnb {
namespace {

const char kBenchmark[] = "linear ";

std::string KindOf(const std::string& layer) {
  const size_t dot = layer.rfind('.');
  return dot == std::string::npos ? layer : layer.substr(dot + 1);
}

// Median seconds of each variant ("contracted 1") of each timed linear.
using Times = std::map<std::string, std::map<std::string, double>>;

Times TimesOf(const Store& store, int64_t speed) {
  std::map<std::string, std::map<std::string, std::vector<double>>> samples;
  for (const SampleRow& row : store.Samples(speed)) {
    if (row.benchmark.rfind(kBenchmark, 0) != 0) continue;
    samples[row.benchmark.substr(sizeof kBenchmark - 1)][row.variant].push_back(row.seconds);
  }
  Times times;
  for (const auto& [name, variants] : samples) {
    for (const auto& [variant, seconds] : variants) times[name][variant] = Median(seconds);
  }
  return times;
}

// Of a timed linear, for its kind. Only whole sets count: both ways at one token and at many.
void AddTimes(const std::map<std::string, double>& variants, LinearCosts& costs) {
  int64_t tokens = 0;
  for (const auto& [variant, seconds] : variants) {
    const size_t space = variant.rfind(' ');
    if (space == std::string::npos) return;
    tokens = std::max<int64_t>(tokens, std::strtoll(variant.c_str() + space, nullptr, 10));
  }
  double values[4];
  const std::string many = std::to_string(tokens);
  const std::string names[4] = {"contracted 1", "rebuilt 1", "contracted " + many, "rebuilt " + many};
  for (int i = 0; i < 4; ++i) {
    const auto found = variants.find(names[i]);
    if (found == variants.end()) return;
    values[i] = found->second;
  }
  double* const sums[4] = {&costs.contracted_one, &costs.rebuilt_one, &costs.contracted_many,
                           &costs.rebuilt_many};
  for (int i = 0; i < 4; ++i) {
    *sums[i] =
        (*sums[i] * static_cast<double>(costs.timed) + values[i]) / static_cast<double>(costs.timed + 1);
  }
  ++costs.timed;
  costs.tokens = tokens;
}

std::string Tokens(const std::optional<double>& count) {
  return count ? fmt::format("from {:.0f}", std::ceil(*count)) : "never";
}

std::string Milliseconds(double contracted, double rebuilt) {
  return fmt::format("{} / {}", FormatNumber(1e3 * contracted), FormatNumber(1e3 * rebuilt));
}

}  // namespace

std::optional<double> LinearCosts::BreakEven() const {
  if (contracted <= dense) return std::nullopt;
  return std::max(1.0, rebuild / (contracted - dense));
}

std::optional<double> LinearCosts::MeasuredBreakEven() const {
  if (timed == 0) return std::nullopt;
  const double one = contracted_one - rebuilt_one, many = contracted_many - rebuilt_many;
  if (one >= 0) return 1;
  if (many < 0 || tokens <= 1) return std::nullopt;
  return 1 + -one / (many - one) * static_cast<double>(tokens - 1);
}

std::vector<LinearCosts> CostsOf(const Store& store, int64_t run_id) {
  int64_t compress = 0, speed = 0;
  for (const PhaseRow& phase : store.Phases(run_id)) {
    if (phase.status != PhaseStatus::kOk) continue;
    if (phase.name == "compress") compress = phase.data_id;
    if (phase.name == "speed") speed = phase.data_id;
  }
  std::vector<LinearCosts> kinds;
  if (compress == 0) return kinds;
  // The last stage that touched a linear left it as the artefact has it.
  std::map<std::string, LayerRow> last;
  std::vector<std::string> order;
  for (const LayerRow& row : store.Layers(compress)) {
    const auto [place, fresh] = last.emplace(row.name, row);
    if (fresh) order.push_back(row.name);
    if (!fresh && row.stage_position >= place->second.stage_position) place->second = row;
  }
  const Times times = speed == 0 ? Times() : TimesOf(store, speed);
  for (const std::string& name : order) {
    const Json& detail = last.at(name).detail;
    if (!detail.contains("cost")) continue;
    const Json& cost = detail.at("cost");
    auto found = std::find_if(kinds.begin(), kinds.end(),
                              [&](const LinearCosts& costs) { return costs.kind == KindOf(name); });
    if (found == kinds.end()) {
      kinds.push_back({.kind = KindOf(name)});
      found = std::prev(kinds.end());
    }
    const auto number = [&](const char* key) { return Require<double>(cost, key, "cost of " + name); };
    ++found->linears;
    found->dense += number("dense");
    found->contracted += number("contracted");
    found->rebuild += number("rebuilt") - number("dense");
    if (const auto timed = times.find(name); timed != times.end()) AddTimes(timed->second, *found);
  }
  return kinds;
}

std::string CostText(const std::vector<LinearCosts>& costs) {
  if (costs.empty()) return "";
  int64_t tokens = 0;
  for (const LinearCosts& kind : costs) tokens = std::max(tokens, kind.tokens);
  Table table;
  table.columns = {{"linears", Alignment::kLeft}, {"dense [multiply-adds]"}, {"contracted"},
                   {"less than dense"},           {"rebuilding once"},       {"rebuilt needs less [tokens]"}};
  if (tokens > 0) {
    table.columns.push_back({"1 token [ms]"});
    table.columns.push_back({fmt::format("{} tokens [ms]", tokens)});
    table.columns.push_back({"rebuilt is faster [tokens]"});
  }
  for (const LinearCosts& kind : costs) {
    std::vector<Cell> row = {{.text = fmt::format("{} {}", kind.linears, kind.kind)},
                             {.text = FormatCount(kind.dense)},
                             {.text = fmt::format("{} ({}x)", FormatCount(kind.contracted),
                                                  FormatNumber(kind.contracted / kind.dense))},
                             {.text = kind.contracted < kind.dense ? "always" : "never"},
                             {.text = FormatCount(kind.rebuild)},
                             {.text = Tokens(kind.BreakEven())}};
    if (tokens > 0 && kind.timed == 0) {
      row.insert(row.end(), 3, Cell{.text = "not timed"});
    } else if (tokens > 0) {
      row.push_back({.text = Milliseconds(kind.contracted_one, kind.rebuilt_one)});
      row.push_back({.text = Milliseconds(kind.contracted_many, kind.rebuilt_many)});
      row.push_back({.text = kind.MeasuredBreakEven() ? Tokens(kind.MeasuredBreakEven())
                                                      : fmt::format("not up to {}", kind.tokens)});
    }
    table.rows.push_back(row);
  }
  std::string text =
      "\ncost of factorized linears, of one token and all linears of a kind\n" + RenderTerminal(table);
  if (tokens > 0)
    text += "times are contracted / rebuilt, of one linear; up to three structures of a kind are timed\n";
  return text;
}

Json ToJson(const std::vector<LinearCosts>& costs) {
  const auto maybe = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
  Json json = Json::array();
  for (const LinearCosts& kind : costs) {
    Json entry = {{"kind", kind.kind},
                  {"linears", kind.linears},
                  {"dense_multiply_adds", kind.dense},
                  {"contracted_multiply_adds", kind.contracted},
                  {"rebuild_multiply_adds", kind.rebuild},
                  {"break_even_tokens", maybe(kind.BreakEven())},
                  {"timed_linears", kind.timed}};
    if (kind.timed > 0) {
      entry["tokens"] = kind.tokens;
      entry["seconds"] = {{"contracted_one", kind.contracted_one},
                          {"rebuilt_one", kind.rebuilt_one},
                          {"contracted", kind.contracted_many},
                          {"rebuilt", kind.rebuilt_many}};
      entry["measured_break_even_tokens"] = maybe(kind.MeasuredBreakEven());
    }
    json.push_back(entry);
  }
  return json;
}

}  // namespace tnb
