#include "reports/claims.h"

#include "base/files.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

std::vector<Paper> Shipped() {
  return ReadPapers(std::filesystem::path(TNBENCH_SOURCE_DIR) / "reports" / "claims");
}

const ArithmeticCheck& CheckOf(const std::vector<ArithmeticCheck>& checks, const std::string& id) {
  for (const ArithmeticCheck& check : checks) {
    if (check.claim->id == id) return check;
  }
  FAIL("no check of " << id);
  return checks.front();
}

const MeasuredClaim& RowOf(const std::vector<MeasuredClaim>& rows, const std::string& id) {
  for (const MeasuredClaim& row : rows) {
    if (row.claim->id == id) return row;
  }
  FAIL("no row of " << id);
  return rows.front();
}

Json SmallPaper() {
  return ParseJson(R"json({
    "paper": "small", "title": "A small paper", "source": "here", "model": "nano", "baseline": "fp32",
    "claims": [
      {"id": "size", "metric": "weights", "unit": "GB", "value": 4.1, "baseline": 27.1, "rounding": 0.05,
       "method": "int8", "measure": {"phase": "compress", "metric": "stored_bytes", "relation": "value", "scale": 1e-9}},
      {"id": "reduction", "metric": "reduction", "unit": "%", "value": 88, "rounding": 0.5, "method": "int8",
       "measure": {"phase": "compress", "metric": "stored_bytes", "relation": "reduction", "against": "fp32_bytes"},
       "derived": {"op": "reduction", "of": ["size", "size.baseline"]}},
      {"id": "accuracy", "metric": "accuracy", "task": "boolq", "unit": "%", "value": 75, "rounding": 0.5,
       "method": "int8", "protocol": {"shots": 0, "harness": null},
       "measure": {"phase": "quality", "metric": "acc", "task": "boolq", "relation": "value", "scale": 100}},
      {"id": "change", "metric": "change", "task": "boolq", "unit": "points", "value": -2, "rounding": 0.5,
       "method": "int8", "protocol": {"shots": 5},
       "measure": {"phase": "quality", "metric": "acc", "task": "boolq", "relation": "difference", "scale": 100}},
      {"id": "time", "metric": "change of time", "unit": "%", "value": -25, "rounding": 0.5, "method": "int8",
       "protocol": {"hardware": "8 NVIDIA A10g"},
       "measure": {"phase": "speed", "metric": "decode_64", "relation": "time_change"}},
      {"id": "elsewhere", "metric": "x", "unit": "x", "value": 1, "rounding": 0, "method": "unknown-method",
       "measure": {"phase": "speed", "metric": "decode_64", "relation": "value"}},
      {"id": "words", "metric": "x", "unit": "x", "value": 1, "rounding": 0, "unmeasured": "nobody counted them"}
    ]})json",
                   "small");
}

// 100 items; the first `wrong` are answered wrong.
void AddRun(Store& store, const std::string& method, double stored, int wrong, double rate) {
  const int64_t run = testing::BeginSampleRun(store, method);
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  store.AddMetric({.phase_id = compress, .name = "stored_bytes", .value = stored, .unit = "bytes"});
  store.AddMetric({.phase_id = compress, .name = "fp32_bytes", .value = 27.1e9, .unit = "bytes"});
  store.FinishPhase(compress, {});
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  std::vector<ItemRow> items;
  for (int i = 0; i < 100; ++i) {
    items.push_back(
        {.phase_id = quality, .task = "boolq", .doc_index = i, .scores = {{"acc", i < wrong ? 0.0 : 1.0}}});
  }
  store.AddItems(items);
  const double share = 1 - wrong / 100.0;
  store.AddMetric({.phase_id = quality,
                   .name = "acc",
                   .task = "boolq",
                   .filter = "none",
                   .value = share,
                   .unit = "fraction",
                   .n = 100,
                   .se = std::sqrt(share * (1 - share) / 99),
                   .main = true,
                   .protocol_id = store.PutProtocol({.name = "boolq", .content = {{"num_fewshot", 0}}})});
  store.FinishPhase(quality, {});
  const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
  store.AddMetric(
      {.phase_id = speed, .name = "decode_64", .value = rate, .unit = "tokens/s", .n = 5, .se = 1});
  store.FinishPhase(speed, {});
  store.FinishRun(run, RunStatus::kOk);
}

TEST_CASE("the shipped claim files are well-formed") {
  const std::vector<Paper> papers = Shipped();
  std::vector<std::string> names;
  size_t claims = 0;
  for (const Paper& paper : papers) {
    names.push_back(paper.name);
    claims += paper.claims.size();
    // An accuracy without a word about shots would look comparable.
    for (const Claim& claim : paper.claims) {
      CAPTURE(paper.name, claim.id);
      if (claim.measure && claim.measure->phase == "quality" && claim.metric != "WikiText-2 perplexity") {
        CHECK(claim.protocol.contains("shots"));
      }
      // "Not measured" stands with its reason.
      CHECK((claim.measure || claim.derived || !claim.unmeasured.empty()));
    }
  }
  for (const char* name :
       {"compactifai", "compactifai-v1-talk", "karipap", "qet", "aqlm", "saten", "picogpt", "kicked-ising"}) {
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
  CHECK(claims > 100);
  CHECK_THROWS_WITH(FindPaper(papers, "qett"), Contains("unknown paper") && Contains("qet"));
}

TEST_CASE("claims that contradict themselves are found by arithmetic") {
  const std::vector<Paper> papers = Shipped();
  const auto checks = CheckArithmetic(FindPaper(papers, "compactifai"));
  const ArithmeticCheck& reduction = CheckOf(checks, "reduction-88");
  CHECK(reduction.computed == Approx(100 * (1 - 4.1 / 27.1)));  // 84.9
  CHECK_FALSE(reduction.holds);
  CHECK_THAT(reduction.text, Contains("84.9"));
  CHECK(CheckOf(checks, "reduction-88-16bit").holds);  // 69.6
  CHECK(CheckOf(checks, "reduction-93-16bit").holds);  // 84.4
  CHECK(CheckOf(checks, "parameters-reduction").holds);
  for (const char* id : {"mean-original", "mean-8bit", "mean-4bit", "mean-88", "mean-93", "mean-change-93"}) {
    CAPTURE(id);
    CHECK(CheckOf(checks, id).holds);  // the table's own sums
  }
  CHECK_FALSE(CheckOf(checks, "accuracy-loss-relative").holds);  // -8.3 is not -2 to -3
  const auto talk = CheckArithmetic(FindPaper(papers, "compactifai-v1-talk"));
  CHECK(CheckOf(talk, "talk-reduction").holds);  // 84.6, called 85
  const auto article = CheckArithmetic(FindPaper(papers, "multiverse-blog"));
  CHECK_FALSE(CheckOf(article, "kept-88").holds);  // 97.3, called 98
  CHECK_FALSE(CheckOf(article, "kept-93").holds);  // 93.8, called 98
  CHECK(CheckOf(CheckArithmetic(FindPaper(papers, "picogpt")), "accuracy-kept").holds);
  CHECK(CheckOf(CheckArithmetic(FindPaper(papers, "picogpt")), "parameters-kept").holds);
  CHECK(CheckOf(CheckArithmetic(FindPaper(papers, "promptlayer")), "error-reduction").holds);
}

TEST_CASE("claims are joined with what was measured") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const Paper paper = PaperFromJson(SmallPaper(), "small");
  const ClaimOptions options = {.canonical = {{"int8", "int8@all"}, {"fp32", "fp32@all"}}};
  for (const MeasuredClaim& row : MeasureClaims(paper, store, options)) {
    CHECK(row.verdict == ClaimVerdict::kNotMeasured);
  }
  AddRun(store, "fp32@all", 27.1e9, 20, 40);
  AddRun(store, "int8@all", 4.5e9, 26, 50);
  const auto rows = MeasureClaims(paper, store, options);
  const MeasuredClaim& size = RowOf(rows, "size");
  CHECK(size.value == Approx(4.5));
  CHECK(size.difference == Approx(0.4));
  CHECK(size.verdict == ClaimVerdict::kOutside);
  CHECK(RowOf(rows, "reduction").value == Approx(100 * (1 - 4.5 / 27.1)));
  const MeasuredClaim& accuracy = RowOf(rows, "accuracy");
  CHECK(accuracy.value == Approx(74));
  CHECK(accuracy.se == Approx(100 * std::sqrt(0.74 * 0.26 / 99)));
  CHECK(accuracy.verdict == ClaimVerdict::kWithin);
  CHECK(accuracy.not_stated == std::vector<std::string>{"harness"});
  const MeasuredClaim& change = RowOf(rows, "change");
  CHECK(change.value == Approx(-6));
  // Paired: 6 of 100 items lost, none won; the sample deviation of the differences over 10.
  CHECK(change.se == Approx(100 * std::sqrt((0.06 - 0.06 * 0.06) * 100 / 99 / 100)));
  CHECK(change.verdict == ClaimVerdict::kNotComparable);
  CHECK_THAT(change.mismatches.at(0), Contains("shots 0, not 5"));
  const MeasuredClaim& time = RowOf(rows, "time");
  CHECK(time.value == Approx(-20));  // 40 to 50 tokens/s
  CHECK(time.verdict == ClaimVerdict::kNotComparable);
  CHECK_THAT(time.mismatches.at(0), Contains("laptop, not 8 NVIDIA A10g"));
  CHECK_THAT(RowOf(rows, "elsewhere").mismatches.at(0), Contains("no method 'unknown-method'"));
  CHECK(RowOf(rows, "words").verdict == ClaimVerdict::kNotMeasured);
  CHECK(RowOf(rows, "words").mismatches.at(0) == "nobody counted them");

  const std::string text = RenderMarkdown(ClaimsTable(paper, rows));
  CHECK_THAT(text, Contains("contradicts itself: reduction: 88.0 % is 84.9 %") &&
                       Contains("not comparable") && Contains("-20.0 %") && Contains("-1.00 points"));
  // Every number with its n and its protocol: 100 items of boolq, 5 timings under the settings of the run.
  CHECK(accuracy.n == 100);
  CHECK_THAT(accuracy.protocol, StartsWith("boolq "));
  CHECK(time.n == 5);
  CHECK_THAT(time.protocol, StartsWith("settings ") && Contains("seed"));
  CHECK_THAT(text, Contains(": " + accuracy.protocol) && Contains("| 100 |") && Contains("; match;"));
  CHECK_THAT(RenderMarkdown(PapersTable(Shipped())), Contains("kicked-ising"));
}

TEST_CASE("none of a hundred is no proof against a small claim") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, "int8@all", 4.1e9, 100, 50);
  Json json = SmallPaper();
  json["claims"][2]["value"] = 3;
  const ClaimOptions options = {.canonical = {{"int8", "int8@all"}}};
  // Standard error 0; Wilson's 95 % interval of 0 of 100 ends at 3.7 %.
  CHECK(RowOf(MeasureClaims(PaperFromJson(json, "small"), store, options), "accuracy").verdict ==
        ClaimVerdict::kWithin);
  json["claims"][2]["value"] = 5;
  CHECK(RowOf(MeasureClaims(PaperFromJson(json, "small"), store, options), "accuracy").verdict ==
        ClaimVerdict::kOutside);
}

TEST_CASE("another model is not comparable") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddRun(store, "int8@all", 4.1e9, 25, 50);
  Json json = SmallPaper();
  json["model"] = "llama2-7b";
  const Paper paper = PaperFromJson(json, "small");
  const auto rows = MeasureClaims(paper, store, {.canonical = {{"int8", "int8@all"}}});
  CHECK(RowOf(rows, "size").verdict == ClaimVerdict::kNotComparable);
  CHECK(RowOf(rows, "size").value == Approx(4.1));
  CHECK_THAT(RowOf(rows, "size").mismatches.at(0), Contains("model nano, not llama2-7b"));
  CHECK(RowOf(rows, "change").verdict == ClaimVerdict::kNotMeasured);  // no base row
  CHECK_FALSE(RowOf(rows, "change").mismatches.empty());
}

TEST_CASE("claim files are checked before they are believed") {
  const auto refused = [](const std::string& pointer, const Json& value, const std::string& message) {
    Json json = SmallPaper();
    json[Json::json_pointer(pointer)] = value;
    CAPTURE(pointer);
    CHECK_THROWS_WITH(PaperFromJson(json, "small.json"), Contains(message) && Contains("small.json"));
  };
  refused("/autor", "x", "unknown field");
  refused("/claims", Json::array(), "no claims");
  refused("/claims/0/vaule", 1, "unknown field");
  refused("/claims/0/unit", "gigabytes", "unknown unit");
  refused("/claims/0/value", "4.1", "not a number");
  refused("/claims/0/value", nullptr, "not a number");
  refused("/claims/0/rounding", -1, "negative");
  refused("/claims/0/baseline", true, "not a number");
  refused("/claims/0/id", "Size!", "plain word");
  refused("/claims/1/id", "size", "twice");
  refused("/claims/0/measure/phase", "inference", "unknown phase");
  refused("/claims/0/measure/relation", "quotient", "unknown relation");
  refused("/claims/0/measure/scale", 0, "scale is 0");
  refused("/claims/0/measure/metrics", "x", "unknown field");
  refused("/claims/1/derived/op", "minus", "unknown operation");
  refused("/claims/1/derived/of", Json::array({"size"}), "wrong number");
  refused("/claims/1/derived/of", Json::array({"size", "gone"}), "no such number");
  refused("/claims/1/derived/of", Json::array({"size", "reduction.baseline"}), "no such number");
  refused("/claims/0/unmeasured", "why not", "measured and unmeasured at once");
  refused("/claims/2/protocol/shot", 5, "unknown field");
  Json without = SmallPaper();
  without["claims"][0].erase("method");
  CHECK_THROWS_WITH(PaperFromJson(without, "small.json"), Contains("measure without a method"));
  without = SmallPaper();
  without["claims"][0].erase("rounding");
  CHECK_THROWS_WITH(PaperFromJson(without, "small.json"), Contains("missing field 'rounding'"));
  // 1e999 is infinite.
  CHECK_THROWS(PaperFromJson(ParseJson(R"({"paper": "p", "title": "t", "source": "s", "model": "m", "claims":
      [{"id": "a", "metric": "x", "unit": "x", "value": 1e999, "rounding": 0}]})",
                                       "p"),
                             "p"));
  const testing::TemporaryFolder folder;
  CHECK_THROWS_WITH(ReadPapers(folder.path()), Contains("no claim files") && Contains("hint"));
  WriteFileAtomically(folder / "other.json", SmallPaper().dump());
  CHECK_THROWS_WITH(ReadPapers(folder.path()), Contains("not that of its file"));
}

}  // namespace
}  // namespace tnb
