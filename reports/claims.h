// Published numbers ("claims") and what was measured of them. A paper is one JSON file in reports/claims/:
//
//   {"paper": "compactifai", "title": ..., "source": "arXiv 2401.14109 v2", "model": "llama2-7b",
//    "baseline": "fp32", "note": ...,
//    "claims": [{"id": "memory-88", "place": "Table I", "says": "...", "metric": "weights", "unit": "GB",
//                "value": 4.1, "baseline": 27.1, "rounding": 0.05, "method": "compactifai-88",
//                "protocol": {"shots": null}, "measure": {...}, "derived": {...}, "note": ...}]}
//
// `rounding` is half a unit of the last digit that was printed. `protocol` holds what the paper says of how
// the number came about; null is "not stated". `measure` names the recorded metric that is the same quantity:
// {"phase", "metric", "task", "filter", "variant", "relation", "against", "scale"}. `derived` says from which
// other numbers of the file the value follows by arithmetic: {"op": "reduction", "of": ["memory-88",
// "memory-88.baseline"]}; where it does not follow, the claim contradicts itself. A claim without a measure
// says why in `unmeasured`, or the paper does for all of its own.
//
// Reading is strict: unknown fields, units, relations or references, repeated ids, NaN and numbers out of
// their type are Error{kData} naming the file and the claim.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "records/store.h"
#include "reports/table.h"

namespace tnb {

// How a recorded metric becomes the claimed quantity; m is the number of the method's run, b that of the
// baseline's run with the same settings, r either b or the metric `against` of the same compress phase.
enum class ClaimRelation {
  kValue,           // scale * m
  kReduction,       // 100 (1 - m / r)
  kRatio,           // m / r
  kPercent,         // 100 m / r
  kDifference,      // scale * (m - b)
  kRelativeChange,  // 100 (m - b) / b
  kTimeChange,      // 100 (b / m - 1): the change of time when m and b are rates
};

struct ClaimMeasure {
  std::string phase{}, metric{}, task{}, filter{}, variant{};
  ClaimRelation relation = ClaimRelation::kValue;
  std::string against = "base";
  double scale = 1;
};

struct ClaimDerivation {
  std::string op{};               // reduction ratio percent difference relative_change mean sum product
  std::vector<std::string> of{};  // "id" or "id.baseline"
};

struct Claim {
  std::string id{}, place{}, says{}, metric{}, task{}, unit{}, note{};
  double value = 0;
  std::optional<double> baseline{};
  double rounding = 0;
  std::string model{};   // the paper's unless given
  std::string method{};  // recipe or preset of tnbench; empty: there is none
  Json protocol = Json::object();
  std::optional<ClaimMeasure> measure{};
  std::optional<ClaimDerivation> derived{};
  std::string unmeasured{};  // why nothing in the record is this quantity
};

struct Paper {
  std::string name{}, title{}, source{}, model{}, note{}, unmeasured{};
  std::string baseline = "fp32";  // recipe of the uncompressed model
  std::vector<Claim> claims{};
};

Paper PaperFromJson(const Json& json, const std::string& where);
// All *.json of the folder, by name. Error{kIo} when there is none.
std::vector<Paper> ReadPapers(const std::filesystem::path& folder);
// Error{kUsage} naming the known ones.
const Paper& FindPaper(const std::vector<Paper>& papers, const std::string& name);

// A claim that should follow from other numbers of its file.
struct ArithmeticCheck {
  const Claim* claim = nullptr;
  double computed = 0;
  double tolerance = 0;  // rounding of the claim and of what it is computed from
  bool holds = false;
  std::string text{};  // "93 % should be 92.3 % by reduction(memory-93, memory-93.baseline)"
};
std::vector<ArithmeticCheck> CheckArithmetic(const Paper& paper);

enum class ClaimVerdict {
  kWithin,         // same protocol, within 2 standard errors (or the 95 % interval) and the rounding
  kOutside,        // same protocol, further away
  kNotComparable,  // measured, but not under what the paper states
  kNotMeasured,
};
const char* ToString(ClaimVerdict verdict);

struct MeasuredClaim {
  const Claim* claim = nullptr;
  ClaimVerdict verdict = ClaimVerdict::kNotMeasured;
  int64_t run = 0;
  std::optional<double> value{}, se{};    // in the claim's unit
  int64_t n = 0;                          // observations behind the method's number
  std::string protocol{};                 // how it was measured, as ProtocolOf says it
  std::optional<double> difference{};     // measured - claimed
  std::vector<std::string> mismatches{};  // what differs from the claim's protocol, or why not measured
  std::vector<std::string> not_stated{};  // fields of the protocol that the paper leaves open
};

struct ClaimOptions {
  std::string model{};  // name of the model whose runs count; empty: any, the claim's own first
  // Recipe of the file -> canonical text; one that is not in it cannot be measured by this program.
  std::map<std::string, std::string> canonical{};
};
std::vector<MeasuredClaim> MeasureClaims(const Paper& paper, const Store& store, const ClaimOptions& options);

// Claimed, measured ± SE, difference, verdict, protocol; the notes say which claims contradict themselves.
Table ClaimsTable(const Paper& paper, const std::vector<MeasuredClaim>& measured);
// One row a paper: claims, how many name a method and a measure, contradictions.
Table PapersTable(const std::vector<Paper>& papers);

}  // namespace tnb
