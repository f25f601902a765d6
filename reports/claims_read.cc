// Reading of claim files, and the arithmetic within them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "reports/claims.h"
#include "reports/numbers.h"

namespace tnb {
namespace {

const std::map<std::string, ClaimRelation>& Relations() {
  static const std::map<std::string, ClaimRelation> relations = {
      {"value", ClaimRelation::kValue},           {"reduction", ClaimRelation::kReduction},
      {"ratio", ClaimRelation::kRatio},           {"percent", ClaimRelation::kPercent},
      {"difference", ClaimRelation::kDifference}, {"relative_change", ClaimRelation::kRelativeChange},
      {"time_change", ClaimRelation::kTimeChange}};
  return relations;
}

const std::set<std::string>& Units() {
  static const std::set<std::string> units = {"%",     "points",  "GB",         "parameters",        "x",
                                              "s",     "minutes", "perplexity", "expectation value", "blocks",
                                              "epochs"};
  return units;
}

const std::set<std::string>& ProtocolFields() {
  static const std::set<std::string> fields = {"shots",   "harness",  "items",     "dataset", "context",
                                               "healing", "hardware", "precision", "score",   "baseline",
                                               "tokens",  "steps",    "counting"};
  return fields;
}

[[noreturn]] void Refuse(const std::string& where, const std::string& what, const std::string& expected,
                         const std::string& found) {
  throw Error(ErrorKind::kData, {what, expected, found, where, ""});
}

void CheckFields(const Json& json, const std::set<std::string>& allowed, const std::string& where) {
  if (!json.is_object()) Refuse(where, "not an object", "{...}", json.dump().substr(0, 60));
  for (const auto& [key, unused] : json.items()) {
    if (allowed.count(key) != 0) continue;
    std::string known;
    for (const std::string& name : allowed) known += (known.empty() ? "" : ", ") + name;
    Refuse(where, "unknown field", known, "'" + key + "'");
  }
}

std::string Text(const Json& json, const char* key, const std::string& where) {
  return Require<std::string>(json, key, where);
}

std::string OptionalText(const Json& json, const char* key, const std::string& where) {
  if (!json.contains(key)) return "";
  std::string text = Text(json, key, where);
  if (text.empty()) Refuse(where, std::string("field '") + key + "' is empty", "leave it out", "''");
  return text;
}

double Number(const Json& json, const char* key, const std::string& where) {
  const Json value = Require<Json>(json, key, where);
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    Refuse(where, std::string("field '") + key + "' is not a number", "a finite number",
           value.dump().substr(0, 60));
  }
  return value.get<double>();
}

ClaimMeasure MeasureFromJson(const Json& json, const std::string& where) {
  CheckFields(json, {"phase", "metric", "task", "filter", "variant", "relation", "against", "scale"}, where);
  ClaimMeasure measure;
  measure.phase = Text(json, "phase", where);
  if (measure.phase != "compress" && measure.phase != "quality" && measure.phase != "speed" &&
      measure.phase != "training") {
    Refuse(where, "unknown phase", "compress, quality, speed or training", "'" + measure.phase + "'");
  }
  measure.metric = Text(json, "metric", where);
  measure.task = OptionalText(json, "task", where);
  measure.filter = OptionalText(json, "filter", where);
  measure.variant = OptionalText(json, "variant", where);
  const std::string relation = Text(json, "relation", where);
  const auto found = Relations().find(relation);
  if (found == Relations().end()) {
    std::string known;
    for (const auto& [name, unused] : Relations()) known += (known.empty() ? "" : ", ") + name;
    Refuse(where, "unknown relation", known, "'" + relation + "'");
  }
  measure.relation = found->second;
  if (json.contains("against")) measure.against = Text(json, "against", where);
  if (json.contains("scale")) measure.scale = Number(json, "scale", where);
  if (measure.scale == 0) Refuse(where, "the scale is 0", "another number", "0");
  return measure;
}

ClaimDerivation DerivationFromJson(const Json& json, const std::string& where) {
  CheckFields(json, {"op", "of"}, where);
  ClaimDerivation derivation{.op = Text(json, "op", where),
                             .of = Require<std::vector<std::string>>(json, "of", where)};
  static const std::set<std::string> pairs = {"reduction", "ratio", "percent", "difference",
                                              "relative_change"};
  const bool pair = pairs.count(derivation.op) != 0;
  if (!pair && derivation.op != "mean" && derivation.op != "sum" && derivation.op != "product") {
    Refuse(where, "unknown operation",
           "reduction, ratio, percent, difference, relative_change, mean, sum or product",
           "'" + derivation.op + "'");
  }
  if (pair ? derivation.of.size() != 2 : derivation.of.empty()) {
    Refuse(where, derivation.op + " of the wrong number of values", pair ? "2" : "1 or more",
           std::to_string(derivation.of.size()));
  }
  return derivation;
}

Claim ClaimFromJson(const Json& json, const Paper& paper, const std::string& file) {
  const std::string where = file + ", claim '" + Optional<std::string>(json, "id", "?", file) + "'";
  CheckFields(json,
              {"id", "place", "says", "metric", "task", "unit", "value", "baseline", "rounding", "model",
               "method", "protocol", "measure", "derived", "unmeasured", "note"},
              where);
  Claim claim;
  claim.id = Text(json, "id", where);
  if (claim.id.empty() ||
      claim.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
    Refuse(where, "the id is not a plain word", "lower-case letters, digits and -", "'" + claim.id + "'");
  }
  claim.place = OptionalText(json, "place", where);
  claim.says = OptionalText(json, "says", where);
  claim.metric = Text(json, "metric", where);
  claim.task = OptionalText(json, "task", where);
  claim.note = OptionalText(json, "note", where);
  claim.unit = Text(json, "unit", where);
  if (Units().count(claim.unit) == 0) {
    std::string known;
    for (const std::string& unit : Units()) known += (known.empty() ? "" : ", ") + unit;
    Refuse(where, "unknown unit", known, "'" + claim.unit + "'");
  }
  claim.value = Number(json, "value", where);
  if (json.contains("baseline")) claim.baseline = Number(json, "baseline", where);
  claim.rounding = Number(json, "rounding", where);
  if (claim.rounding < 0) Refuse(where, "the rounding is negative", "0 or more", Json(claim.rounding).dump());
  claim.model = json.contains("model") ? Text(json, "model", where) : paper.model;
  claim.method = OptionalText(json, "method", where);
  if (json.contains("protocol")) {
    claim.protocol = json.at("protocol");
    CheckFields(claim.protocol, ProtocolFields(), where + ", protocol");
  }
  claim.unmeasured = json.contains("unmeasured") ? Text(json, "unmeasured", where) : paper.unmeasured;
  if (json.contains("measure") && json.contains("unmeasured")) {
    Refuse(where, "measured and unmeasured at once", "one of the two", claim.unmeasured);
  }
  if (json.contains("measure")) claim.measure = MeasureFromJson(json.at("measure"), where + ", measure");
  if (json.contains("derived")) claim.derived = DerivationFromJson(json.at("derived"), where + ", derived");
  if (claim.measure && claim.method.empty()) {
    Refuse(where, "a measure without a method", "a recipe or preset in 'method'", "none");
  }
  return claim;
}

struct Quantity {
  double value = 0, rounding = 0;
};

std::optional<Quantity> Lookup(const Paper& paper, const std::string& reference) {
  const size_t dot = reference.find('.');
  for (const Claim& claim : paper.claims) {
    if (claim.id != reference.substr(0, dot)) continue;
    if (dot == std::string::npos) return Quantity{claim.value, claim.rounding};
    if (reference.substr(dot) != ".baseline" || !claim.baseline) return std::nullopt;
    return Quantity{*claim.baseline, claim.rounding};
  }
  return std::nullopt;
}

double Compute(const std::string& op, const std::vector<double>& x) {
  if (op == "reduction") return 100 * (1 - x[0] / x[1]);
  if (op == "ratio") return x[0] / x[1];
  if (op == "percent") return 100 * x[0] / x[1];
  if (op == "difference") return x[0] - x[1];
  if (op == "relative_change") return 100 * (x[0] - x[1]) / x[1];
  double result = op == "product" ? 1 : 0;
  for (const double value : x) result = op == "product" ? result * value : result + value;
  return op == "mean" ? result / static_cast<double>(x.size()) : result;
}

}  // namespace

Paper PaperFromJson(const Json& json, const std::string& where) {
  CheckFields(json, {"paper", "title", "source", "model", "baseline", "unmeasured", "note", "claims"}, where);
  Paper paper{.name = Text(json, "paper", where),
              .title = Text(json, "title", where),
              .source = Text(json, "source", where),
              .model = Text(json, "model", where),
              .note = OptionalText(json, "note", where),
              .unmeasured = OptionalText(json, "unmeasured", where)};
  if (json.contains("baseline")) paper.baseline = Text(json, "baseline", where);
  const Json claims = Require<Json>(json, "claims", where);
  if (!claims.is_array() || claims.empty()) Refuse(where, "no claims", "a list", claims.dump().substr(0, 60));
  std::set<std::string> ids;
  for (const Json& entry : claims) {
    paper.claims.push_back(ClaimFromJson(entry, paper, where));
    if (!ids.insert(paper.claims.back().id).second) {
      Refuse(where, "a claim occurs twice", "", "'" + paper.claims.back().id + "'");
    }
  }
  for (const Claim& claim : paper.claims) {
    if (!claim.derived) continue;
    for (const std::string& reference : claim.derived->of) {
      if (Lookup(paper, reference)) continue;
      Refuse(where + ", claim '" + claim.id + "', derived", "there is no such number in the file",
             "an id, or id.baseline of a claim that has one", "'" + reference + "'");
    }
  }
  return paper;
}

std::vector<Paper> ReadPapers(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  if (files.empty()) {
    throw Error(ErrorKind::kIo, {"there are no claim files", "", "", folder.string(),
                                 "set TNBENCH_HOME to the folder that holds reports/claims"});
  }
  std::sort(files.begin(), files.end());
  std::vector<Paper> papers;
  for (const auto& file : files) {
    papers.push_back(PaperFromJson(ReadJsonFile(file), file.string()));
    if (papers.back().name != file.stem()) {
      Refuse(file.string(), "the paper's name is not that of its file", file.stem().string(),
             papers.back().name);
    }
  }
  return papers;
}

const Paper& FindPaper(const std::vector<Paper>& papers, const std::string& name) {
  std::string known;
  for (const Paper& paper : papers) {
    if (paper.name == name) return paper;
    known += (known.empty() ? "" : ", ") + paper.name;
  }
  throw Error(ErrorKind::kUsage, {"unknown paper", known, "'" + name + "'", "", "tnbench claims lists them"});
}

std::vector<ArithmeticCheck> CheckArithmetic(const Paper& paper) {
  std::vector<ArithmeticCheck> checks;
  for (const Claim& claim : paper.claims) {
    if (!claim.derived) continue;
    std::vector<double> values, roundings;
    std::string arguments;
    for (const std::string& reference : claim.derived->of) {
      const Quantity quantity = *Lookup(paper, reference);
      values.push_back(quantity.value);
      roundings.push_back(quantity.rounding);
      arguments += (arguments.empty() ? "" : ", ") + reference;
    }
    ArithmeticCheck check{.claim = &claim, .computed = Compute(claim.derived->op, values)};
    check.tolerance = claim.rounding;
    for (size_t i = 0; i < values.size(); ++i) {
      std::vector<double> moved = values;
      moved[i] += roundings[i];
      check.tolerance += std::fabs(Compute(claim.derived->op, moved) - check.computed);
    }
    // The last bits of the sums above are not what is checked.
    check.holds = std::fabs(check.computed - claim.value) <= check.tolerance * (1 + 1e-9) + 1e-12;
    check.text = fmt::format("{}: {} {} is {} {} by {}({})", claim.id, FormatNumber(claim.value), claim.unit,
                             FormatNumber(check.computed), claim.unit, claim.derived->op, arguments);
    checks.push_back(check);
  }
  return checks;
}

}  // namespace tnb
