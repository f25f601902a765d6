#include "reports/compare.h"

#include <cmath>

#include "base/error.h"
#include "reports/render.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;
using Numbers = std::vector<double>;

struct RunSpec {
  std::string method = "int8";
  Numbers right = Numbers(50, 1);  // of "arc", item by item
  Numbers texts = {};              // log-likelihoods of "wiki", 100 words each
  Numbers decode = {20, 21, 22};
  double stored = 4000;
  int shots = 0;
  std::string data = "data", prompt = "p", machine = "laptop", model = "nano", passage = "";
  int64_t threads = 2;
};

int64_t AddQuality(Store& store, int64_t run, const RunSpec& spec) {
  const int64_t phase = store.BeginPhase({.run_id = run, .name = "quality"});
  const int64_t protocol = store.PutProtocol({.name = "arc", .content = {{"shots", spec.shots}}});
  const int64_t dataset = store.PutDataset({.hash = Sha256Hex(spec.data), .name = "arc", .split = "test"});
  std::vector<ItemRow> items;
  double sum = 0;
  for (size_t i = 0; i < spec.right.size(); ++i) {
    sum += spec.right[i];
    items.push_back({.phase_id = phase,
                     .task = "arc",
                     .doc_index = static_cast<int64_t>(i),
                     .prompt_sha256 = Sha256Hex(spec.prompt + std::to_string(i)),
                     .scores = {{"acc", spec.right[i]}},
                     .cluster = spec.passage.empty() ? "" : spec.passage + std::to_string(i / 10)});
  }
  store.AddMetric({.phase_id = phase,
                   .name = "acc",
                   .task = "arc",
                   .filter = "none",
                   .value = sum / static_cast<double>(spec.right.size()),
                   .unit = "fraction",
                   .n = static_cast<int64_t>(spec.right.size()),
                   .main = true,
                   .protocol_id = protocol,
                   .dataset_id = dataset});
  double log_likelihood = 0;
  for (size_t i = 0; i < spec.texts.size(); ++i) {
    log_likelihood += spec.texts[i];
    items.push_back({.phase_id = phase,
                     .task = "wiki",
                     .doc_index = static_cast<int64_t>(i),
                     .scores = {{"loglikelihood", spec.texts[i]}, {"words", 100.0}}});
  }
  if (!spec.texts.empty()) {
    store.AddMetric({.phase_id = phase,
                     .name = "word_perplexity",
                     .task = "wiki",
                     .value = std::exp(-log_likelihood / 100 / static_cast<double>(spec.texts.size())),
                     .unit = "perplexity",
                     .n = static_cast<int64_t>(spec.texts.size()),
                     .main = true,
                     .protocol_id = protocol});
  }
  store.AddItems(items);
  store.FinishPhase(phase, {});
  return phase;
}

int64_t AddRun(Store& store, const RunSpec& spec) {
  int64_t run = 0;
  store.Transaction([&] {
    run = BeginSampleRun(store, spec.method, {{"seed", 1}}, spec.model, spec.machine);
    const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
    store.AddMetric({.phase_id = compress, .name = "stored_bytes", .value = spec.stored, .unit = "bytes"});
    store.FinishPhase(compress, {});
    AddQuality(store, run, spec);
    const int64_t speed =
        store.BeginPhase({.run_id = run, .name = "speed", .settings = {{"threads", spec.threads}}});
    store.AddMetric(
        {.phase_id = speed, .name = "decode_64", .value = spec.decode.at(0), .unit = "tokens/s", .n = 3});
    std::vector<SampleRow> samples;
    for (size_t i = 0; i < spec.decode.size(); ++i) {
      samples.push_back({.phase_id = speed,
                         .benchmark = "decode_64",
                         .repetition = static_cast<int64_t>(i),
                         .seconds = 64 / spec.decode[i],
                         .value = spec.decode[i],
                         .unit = "tokens/s"});
    }
    store.AddSamples(samples);
    store.FinishPhase(speed, {});
    store.FinishRun(run, RunStatus::kOk);
  });
  return run;
}

// 1000 items, of which the first `wrong` are wrong, and those from `from` on for `flipped` items inverted.
Numbers Items(int wrong, int from = 0, int flipped = 0, int n = 1000) {
  Numbers items;
  for (int i = 0; i < n; ++i) {
    const bool right = i >= wrong;
    items.push_back(i >= from && i < from + flipped ? !right : right);
  }
  return items;
}

Numbers Times(double center) {
  Numbers times;
  for (int i = 0; i < 10; ++i) times.push_back(center * (1 + 0.001 * i));
  return times;
}

class Database {
 public:
  Database() : store_(Store::Open(folder_ / "r.db")) {}
  Store& store() { return store_; }
  ComparedSide Side(const RunFilter& filter, bool one_method = false) {
    return {.label = "side", .store = &store_, .runs = store_.Runs(filter), .one_method = one_method};
  }
  std::vector<RunComparison> Compare(int64_t a, int64_t b, const CompareOptions& options) {
    return CompareSides(Side({.ids = {a}}), Side({.ids = {b}}), options);
  }

 private:
  testing::TemporaryFolder folder_;
  Store store_;
};

CompareOptions Quick() {
  CompareOptions options;
  options.tests.resampling.resamples = 500;
  options.shapes = [](const std::string& name) {
    return name == "word_perplexity"
               ? MetricShape{.higher_is_better = false, .ratio = true, .denominator = "words"}
               : MetricShape{};
  };
  return options;
}

const ComparedNumber& Find(const RunComparison& pair, const std::string& name) {
  for (const ComparedNumber& number : pair.numbers) {
    if (number.name == name) return number;
  }
  FAIL("no number " << name);
  return pair.numbers.front();
}

TEST_CASE("a loss of accuracy is found, with its flips, p and exit code") {
  Database database;
  const int64_t a = AddRun(database.store(), {.method = "fp32", .right = Items(400), .stored = 4000});
  // 25 lost, 5 gained.
  Numbers worse = Items(400, 395, 30);
  const int64_t b = AddRun(database.store(), {.method = "int8", .right = worse, .stored = 1000});
  const auto pairs = database.Compare(a, b, Quick());
  REQUIRE(pairs.size() == 1);
  const ComparedNumber& accuracy = Find(pairs[0], "arc acc");
  CHECK(accuracy.Verdict() == "worse");
  CHECK(accuracy.comparison.flips.first == 25);
  CHECK(accuracy.comparison.flips.second == 5);
  CHECK(accuracy.comparison.p == McNemarExact({25, 5}));
  // Three repetitions never reach alpha, and so are no part of the family.
  CHECK(accuracy.judgment.p_adjusted == accuracy.comparison.p);
  CHECK(accuracy.first == Approx(0.6));
  CHECK(Find(pairs[0], "stored_bytes").Verdict() == "better (exact)");
  CHECK(Find(pairs[0], "decode_64").Verdict() == "cannot be significant");
  CHECK(CompareExitCode(pairs, true) == 1);
  CHECK(CompareExitCode(pairs, false) == 0);
  CHECK(CompareExitCode(database.Compare(b, a, Quick()), false) == 0);
  // A loss that is real, but surely smaller than what matters.
  CompareOptions wide = Quick();
  wide.tests.margin = 0.1;
  const auto harmless = database.Compare(a, b, wide);
  CHECK(Find(harmless[0], "arc acc").Verdict() == "worse, within the margin");
  CHECK(CompareExitCode(harmless, true) == 0);
}

TEST_CASE("what is not comparable is refused and says what differs") {
  Database database;
  const int64_t a = AddRun(database.store(), {.method = "fp32"});
  const auto refusal = [&](const RunSpec& spec, const std::string& name) {
    const auto pairs = database.Compare(a, AddRun(database.store(), spec), Quick());
    return Find(pairs[0], name).refusal;
  };
  CHECK_THAT(refusal({.shots = 5}, "arc acc"), Contains("protocols differ: shots 0 / 5"));
  CHECK_THAT(refusal({.data = "other"}, "arc acc"), Contains("the data differ"));
  CHECK_THAT(refusal({.prompt = "q"}, "arc acc"), Contains("prompts of document 0 differ"));
  CHECK_THAT(refusal({.right = Numbers(49, 1)}, "arc acc"), Contains("50 items and 49"));
  CHECK_THAT(refusal({.machine = "server"}, "decode_64"), Contains("machines differ: laptop and server"));
  CHECK(refusal({.machine = "server"}, "arc acc").empty());
  CHECK_THAT(refusal({.threads = 8}, "decode_64"), Contains("settings differ: threads 2 / 8"));

  const auto refused = database.Compare(a, AddRun(database.store(), {.shots = 5}), Quick());
  CHECK(CompareExitCode(refused, true) == 3);
  const auto elsewhere = database.Compare(a, AddRun(database.store(), {.machine = "server"}), Quick());
  CHECK(CompareExitCode(elsewhere, true) == 0);
  CHECK_THROWS_WITH(database.Compare(a, 99, Quick()), Contains("no run in common"));
  CompareOptions unknown = Quick();
  unknown.aspects = {"taste"};
  CHECK_THROWS_WITH(database.Compare(a, a, unknown), Contains("accuracy, drift, memory"));
}

TEST_CASE("a reused phase is not compared with itself") {
  Database database;
  const int64_t a = AddRun(database.store(), {});
  const int64_t b = BeginSampleRun(database.store(), "int8");
  for (const PhaseRow& phase : database.store().Phases(a)) database.store().AdoptPhase(b, phase.id);
  database.store().FinishRun(b, RunStatus::kOk);
  const auto pairs = database.Compare(a, b, Quick());
  CHECK_THAT(Find(pairs[0], "arc acc").refusal, Contains("same measurement"));
  CHECK_THAT(Find(pairs[0], "decode_64").refusal, Contains("same measurement"));
}

TEST_CASE("items that share a passage are counted by passage") {
  Database database;
  // Ten questions a passage; one passage is lost as a whole.
  const int64_t a =
      AddRun(database.store(), {.method = "fp32", .right = Items(0, 0, 0, 200), .passage = "P"});
  const int64_t b = AddRun(database.store(), {.right = Items(10, 0, 0, 200), .passage = "P"});
  const ComparedNumber number = Find(database.Compare(a, b, Quick())[0], "arc acc");
  CHECK(number.comparison.clusters == 20);
  CHECK(number.comparison.p == 1);  // one passage decides nothing; ten independent items would give .002
  CHECK(McNemarExact({10, 0}) < 0.01);
}

TEST_CASE("a group is tested on the items of its tasks, by task") {
  Database database;
  int64_t runs[2];
  for (int side = 0; side < 2; ++side) {
    Store& store = database.store();
    runs[side] = BeginSampleRun(store, side == 0 ? "fp32" : "int8");
    const int64_t phase = store.BeginPhase({.run_id = runs[side], .name = "quality"});
    const int64_t protocol = store.PutProtocol(
        {.name = "mmlu", .content = {{"group", "mmlu"}, {"tasks", {{"law", "x"}, {"physics", "y"}}}}});
    for (const std::string task : {"law", "physics"}) {
      for (int64_t doc = 0; doc < 5; ++doc) {
        store.AddItems({{.phase_id = phase,
                         .task = task,
                         .doc_index = doc,
                         .scores = {{"acc", side == 0 || doc > 1 ? 1.0 : 0.0}}}});
      }
    }
    store.AddMetric({.phase_id = phase,
                     .name = "acc",
                     .task = "mmlu",
                     .value = side == 0 ? 1 : 0.6,
                     .unit = "fraction",
                     .n = 10,
                     .main = true,
                     .protocol_id = protocol});
    store.FinishPhase(phase, {});
    store.FinishRun(runs[side], RunStatus::kOk);
  }
  const ComparedNumber number = Find(database.Compare(runs[0], runs[1], Quick())[0], "mmlu acc");
  CHECK(number.comparison.n == 10);
  CHECK(number.comparison.clusters == 2);
  CHECK(number.comparison.difference == Approx(-0.4));
  CHECK(number.Verdict() == "cannot be significant");
}

TEST_CASE("timings: direction, noise floor from repeated runs, repetitions") {
  Database database;
  const int64_t a = AddRun(database.store(), {.method = "fp32", .decode = Times(20)});
  const int64_t b = AddRun(database.store(), {.decode = Times(16)});
  const ComparedNumber slower = Find(database.Compare(a, b, Quick())[0], "decode_64");
  CHECK(slower.Verdict() == "worse");  // fewer tokens a second
  CHECK(slower.comparison.difference == Approx(0.8));
  CHECK(slower.comparison.noise_floor == 0.02);
  CHECK(Find(database.Compare(b, a, Quick())[0], "decode_64").Verdict() == "better");
  // The same cell gave 16 before and 24 now: 20 to 16 is within its noise.
  AddRun(database.store(), {.decode = Times(24)});
  const ComparedNumber noisy = Find(database.Compare(a, b, Quick())[0], "decode_64");
  CHECK(noisy.comparison.noise_floor == Approx(0.5));
  CHECK(noisy.judgment.verdict != Verdict::kWorse);
}

TEST_CASE("timings have to exceed what bench found two measurements of one thing to differ by") {
  Database database;
  const int64_t a = AddRun(database.store(), {.method = "fp32", .decode = Times(20)});
  const int64_t b = AddRun(database.store(), {.decode = Times(16)});
  const RunView view = database.store().Run(a);
  const auto add = [&](const std::string& name, double ratio, int64_t machine) {
    const MeasurementRow row = {.machine_id = machine,
                                .build_id = view.build.id,
                                .kind = "noise",
                                .name = name,
                                .value = ratio,
                                .unit = "ratio"};
    database.store().AddMeasurements({row});
  };
  const auto floor = [&] {
    return Find(database.Compare(a, b, Quick())[0], "decode_64").comparison.noise_floor;
  };
  // Of another machine, or of prefill: says nothing here.
  add("decode_32", 1.5, database.store().PutMachine({.name = "server", .facts = {{"cpu", "server"}}}));
  add("prefill_64", 1.5, view.machine.id);
  CHECK(floor() == 0.02);
  CHECK(Find(database.Compare(a, b, Quick())[0], "decode_64").Verdict() == "worse");
  add("decode_32", 0.75, view.machine.id);
  CHECK(floor() == Approx(1 / 0.75 - 1));
  // Many quiet pairs within one process do not make processes quieter; a newer pair of the same test counts.
  for (int i = 1; i < 20; ++i) add("decode_" + std::to_string(100 + i), 1.001, view.machine.id);
  CHECK(floor() == Approx(1 / 0.75 - 1));
  add("decode_32", 1.1, view.machine.id);
  CHECK(floor() == Approx(0.1));
  add("decode_32", 0.75, view.machine.id);
  CHECK(Find(database.Compare(a, b, Quick())[0], "decode_64").judgment.verdict != Verdict::kWorse);
}

TEST_CASE("perplexities are compared as a ratio, lower is better") {
  Database database;
  Numbers texts, worse;
  for (int i = 0; i < 30; ++i) {
    texts.push_back(-300 - i);
    worse.push_back(texts.back() - 10 - i % 3);
  }
  const int64_t a = AddRun(database.store(), {.method = "fp32", .texts = texts});
  const int64_t b = AddRun(database.store(), {.texts = worse});
  const ComparedNumber number = Find(database.Compare(a, b, Quick())[0], "wiki word_perplexity");
  CHECK(number.comparison.difference == Approx(number.second / number.first));
  CHECK(number.comparison.difference == Approx(std::exp(0.11)));
  CHECK(number.Verdict() == "worse");
}

TEST_CASE("drift is compared by its standard errors") {
  Database database;
  const auto add = [&](const std::string& method, double kld, int64_t tokens, const std::string& base) {
    Store& store = database.store();
    const int64_t run = BeginSampleRun(store, method);
    const int64_t phase = store.BeginPhase({.run_id = run, .name = "drift"});
    store.AddMetric({.phase_id = phase,
                     .name = "kld_mean",
                     .task = "drift",
                     .value = kld,
                     .unit = "nats",
                     .n = tokens,
                     .se = 0.1 * kld,
                     .main = true,
                     .protocol_id = store.PutProtocol({.name = "drift", .content = {{"base", base}}})});
    store.FinishPhase(phase, {});
    store.FinishRun(run, RunStatus::kOk);
    return run;
  };
  CompareOptions options = Quick();
  options.shapes = [](const std::string&) { return MetricShape{.higher_is_better = false}; };
  const int64_t a = add("int8", 0.01, 1024, "x");
  const auto compare = [&](int64_t b) { return Find(database.Compare(a, b, options)[0], "drift kld_mean"); };
  const ComparedNumber worse = compare(add("int4", 0.02, 1024, "x"));
  CHECK(worse.aspect == "drift");
  CHECK(worse.Verdict() == "worse");
  CHECK(worse.comparison.n == 1024);
  CHECK(worse.comparison.p ==
        Approx(7.744216e-06).epsilon(1e-4));  // scipy: 2 * norm.sf(0.01 / hypot(.001, .002))
  CHECK(compare(add("int4", 0.0101, 1024, "x")).Verdict() == "not distinguishable");
  CHECK_THAT(compare(add("int4", 0.02, 512, "x")).refusal, Contains("1024 tokens and 512"));
  CHECK_THAT(compare(add("int4", 0.02, 1024, "y")).refusal, Contains("protocols differ"));
}

TEST_CASE("methods are paired model by model") {
  Database database;
  for (const std::string model : {"nano", "micro"}) {
    for (const std::string method : {"fp32", "int8", "int4"}) {
      AddRun(database.store(), {.method = method, .model = model});
    }
  }
  const auto pairs =
      CompareSides(database.Side({.method = "fp32"}, true), database.Side({.method = "int4"}, true), Quick());
  REQUIRE(pairs.size() == 2);
  for (const RunComparison& pair : pairs) {
    CHECK(pair.first.model.name == pair.second.model.name);
    CHECK(pair.second.method.text == "int4");
  }
  // Two commits (here: the same runs): every model and method with itself.
  CHECK(CompareSides(database.Side({}), database.Side({}), Quick()).size() == 6);
}

TEST_CASE("comparisons in all formats") {
  Database database;
  const int64_t a = AddRun(database.store(), {.method = "fp32", .right = Items(400), .decode = Times(20)});
  const int64_t b = AddRun(database.store(), {.right = Items(400, 395, 30), .decode = Times(20)});
  const CompareOptions options = Quick();
  const ComparedSide first = database.Side({.ids = {a}}), second = database.Side({.ids = {b}});
  const auto pairs = CompareSides(first, second, options);
  const std::vector<Table> tables = CompareTables(pairs, first, second, options);
  const std::string text = RenderTables(tables, ReportFormat::kTerminal, 0);
  CHECK_THAT(text, Contains("arc acc [%]") && Contains("60.0") && Contains("58.0") && Contains("-2.0 [-3.") &&
                       Contains("25/5") && Contains("worse") && Contains("exact McNemar") &&
                       Contains("protocol arc") && Contains("alpha 0.05") && Contains("laptop"));
  CHECK(text.find("-0.0 ") == std::string::npos);
  for (const ReportFormat format : {ReportFormat::kMarkdown, ReportFormat::kCsv, ReportFormat::kLatex}) {
    CHECK_THAT(RenderTables(tables, format, 0), Contains("25/5"));
  }
  const Json json = CompareJson(pairs, options);
  const Json& number = json["comparisons"][0]["numbers"][0];
  CHECK(number["name"] == "arc acc");
  CHECK(number["p"].get<double>() == McNemarExact({25, 5}));
  CHECK(number["lost"] == 25);
  CHECK(number["verdict"] == "worse");
  CHECK(json["comparisons"][0]["a"]["method"] == "fp32");
}

TEST_CASE("alternating processes: every run is one observation") {
  Database database;
  std::vector<int64_t> runs[2];
  for (int i = 0; i < 6; ++i) {
    runs[0].push_back(AddRun(database.store(), {.method = "fp32", .decode = {20 + 0.01 * i}}));
    runs[1].push_back(AddRun(database.store(), {.method = "int8", .decode = {25 + 0.01 * i}}));
  }
  const RunComparison pair = CompareRepeated(database.store(), runs[0], runs[1], Quick());
  const ComparedNumber& number = Find(pair, "decode_64");
  CHECK(number.comparison.n == 6);
  CHECK(number.Verdict() == "better");
  CHECK(number.first == Approx(20.025));
}

}  // namespace
}  // namespace tnb
