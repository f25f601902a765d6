// Drift from the base model: windows, summaries, and the phase against a plain computation.
#include "harness/drift.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "models/engine/artefact.h"
#include "models/engine/decoder.h"
#include "tests/harness/program.h"
#include "tests/support/catch.h"
#include "tests/tasks/fake_model.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::Outcome;
using testing::PhaseOf;
using testing::Program;

TEST_CASE("windows are disjoint, spread over the text, and whole") {
  const testing::ByteTokenizer tokenizer;
  DriftText text;
  for (int i = 0; i < 1000; ++i) text.text += static_cast<char>('a' + i % 26);
  std::vector<TokenIds> windows = DriftWindows(text, tokenizer, 300, 2048);
  REQUIRE(windows.size() == 2);  // 300 rounded up to 2 x 256
  for (size_t i = 0; i < 2; ++i) {
    REQUIRE(windows[i].size() == 257);
    CHECK(windows[i][0] == tokenizer.PrefixToken());
    CHECK(windows[i][1] == 1 + 'a' + static_cast<TokenId>(i * 500 % 26));
  }
  windows = DriftWindows(text, tokenizer, 300, 100);
  REQUIRE(windows.size() == 3);
  CHECK(windows[0].size() == 101);  // no input is longer than the context
  CHECK(DriftWindows(text, tokenizer, 30, 2048).at(0).size() == 31);
  CHECK_THROWS_WITH(DriftWindows(text, tokenizer, 1024, 2048),
                    Contains("too short") && Contains("--drift-tokens"));
}

TEST_CASE("the text is the given one, else WikiText-2, else the samples") {
  const testing::TemporaryFolder folder;
  const DriftText sample = LoadDriftText("", "");
  CHECK(sample.name == "datasets/sample/summaries.jsonl");
  CHECK(sample.text.size() > 10000);
  CHECK(LoadDriftText("", folder.path()).sha256 == sample.sha256);
  std::filesystem::create_directories(folder / "wikitext2");
  WriteFileAtomically(folder / "wikitext2/wiki.test.raw", " = A = ");
  WriteFileAtomically(folder / "own.txt", "own");
  CHECK(LoadDriftText("", folder.path()).text == " = A = ");
  CHECK(LoadDriftText(folder / "own.txt", folder.path()).text == "own");
  CHECK_THROWS_AS(LoadDriftText(folder / "absent.txt", ""), Error);
}

TEST_CASE("summaries of drift, against numpy") {
  const std::vector<TokenDrift> tokens = {{0.1, -1, -1.2, true},
                                          {0.4, -2, -1.5, true},
                                          {0.2, -0.5, -0.75, false},
                                          {0.05, -3, -4, true},
                                          {0.9, -0.1, -0.1, true}};
  // numpy: mean, std(ddof=1)/sqrt(n), percentile. Shares and the root as llama.cpp's perplexity.cpp:
  // sqrt(p (1 - p) / (n - 1)) and se(dp^2) / (2 rms).
  const std::vector<DriftMetric> expected = {
      {"kld_mean", 0.33, "nats", 0.15459624833740307},
      {"kld_median", 0.2, "nats", {}},
      {"kld_p90", 0.7, "nats", {}},
      {"kld_p95", 0.8, "nats", {}},
      {"kld_p99", 0.88, "nats", {}},
      {"kld_p999", 0.898, "nats", {}},
      {"kld_max", 0.9, "nats", {}},
      {"top1_agreement", 0.8, "fraction", 0.2},
      {"dp_mean", -0.028905177759634325, "fraction", 0.036720411340077634},
      {"dp_rms", 0.07892441787719481, "fraction", 0.020536255817014702},
      {"ln_ppl_ratio", 0.19, "nats", 0.24207436873820404}};
  const std::vector<DriftMetric> metrics = SummarizeDrift(tokens);
  REQUIRE(metrics.size() == expected.size());
  for (size_t i = 0; i < metrics.size(); ++i) {
    CAPTURE(expected[i].name);
    CHECK(metrics[i].name == expected[i].name);
    CHECK(metrics[i].unit == expected[i].unit);
    CHECK(metrics[i].value == Approx(expected[i].value).epsilon(1e-12));
    REQUIRE(metrics[i].se.has_value() == expected[i].se.has_value());
    if (metrics[i].se) CHECK(*metrics[i].se == Approx(*expected[i].se).epsilon(1e-12));
  }
  CHECK_THROWS_WITH(
      SummarizeDrift(std::vector<TokenDrift>{{0.1, -1, -1, true}, {std::nan(""), -1, -1, true}}),
      Contains("not numbers"));
}

// Log-probabilities after every token of the windows, in fp64: [rows][vocabulary].
std::vector<std::vector<double>> LogProbabilities(const std::string& artefact,
                                                  const std::vector<TokenIds>& windows) {
  const Model model = LoadArtefact(artefact);
  const Decoder decoder(model);
  std::vector<std::vector<double>> all;
  for (const TokenIds& window : windows) {
    const TokenIds inputs(window.begin(), window.end() - 1);
    KvCache cache(model.config, static_cast<int64_t>(inputs.size()));
    std::vector<int64_t> rows(inputs.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    const at::Tensor logits = decoder.Logits(
        decoder.Forward({{inputs, {}, cache.Allocate(static_cast<int64_t>(inputs.size()))}}, cache, rows));
    const float* values = logits.const_data_ptr<float>();
    const auto vocabulary = static_cast<size_t>(logits.size(1));
    for (size_t row = 0; row < rows.size(); ++row) {
      std::vector<double> p(values + row * vocabulary, values + (row + 1) * vocabulary);
      double sum = 0;
      for (const double value : p) sum += std::exp(value);  // logits of the tiny model are small
      for (double& value : p) value -= std::log(sum);
      all.push_back(std::move(p));
    }
  }
  return all;
}

double MetricOf(const Store& store, int64_t run, const std::string& name) {
  for (const MetricRow& metric : store.Metrics(PhaseOf(store, run, "drift").data_id)) {
    if (metric.name == name && metric.task == "drift") return metric.value;
  }
  FAIL("no metric " << name);
  return 0;
}

std::filesystem::path KeptFile(const Program& program) {
  std::filesystem::path found;
  for (const auto& file : std::filesystem::directory_iterator(program / "artefacts")) {
    if (file.path().filename().string().starts_with("base-logits-")) found = file.path();
  }
  return found;
}

TEST_CASE("the drift of a run is that of a plain computation, and the base's own next to nothing") {
  const Program program;
  const std::vector<std::string> arguments = {"--method", "int8",           "--phases",
                                              "drift",    "--drift-tokens", "512"};
  Outcome outcome = program.Measure(arguments);
  INFO(outcome.errors);
  REQUIRE(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Contains("drift kld_mean") && Contains("drift top1_agreement"));
  const std::filesystem::path kept = KeptFile(program);
  const int64_t header = 4096 + 512 * (2 * 128 + 64);
  CHECK(static_cast<int64_t>(std::filesystem::file_size(kept)) <= BaseLogitsBytes(512, 406) + header);
  {
    const Store store = program.Database();
    // log-probabilities are at most 32 nats apart, so that half a step is 2.5e-4 and its square over 2 is
    // 3e-8.
    CHECK(MetricOf(store, 1, "kld_max") < 3.1e-8);
    CHECK(MetricOf(store, 1, "top1_agreement") == 1);
    CHECK(MetricOf(store, 1, "dp_rms") < 1e-6);  // fp32

    const std::string base = store.Artefact(PhaseOf(store, 1, "compress").data_id)->path;
    const std::string other = store.Artefact(PhaseOf(store, 2, "compress").data_id)->path;
    const ArtefactInfo info = ReadArtefactInfo(base);
    const std::vector<TokenIds> windows =
        DriftWindows(LoadDriftText("", ""), *LoadTokenizer(info.source.tokenizer), 512, 256);
    const auto p = LogProbabilities(base, windows), q = LogProbabilities(other, windows);
    REQUIRE(p.size() == 512);
    double kld = 0, weight = 0, same = 0, squares = 0;
    for (size_t row = 0; row < p.size(); ++row) {
      for (size_t i = 0; i < p[row].size(); ++i) {
        kld += std::exp(p[row][i]) * (p[row][i] - q[row][i]) / 512;
        weight += std::exp(p[row][i]) * std::abs(p[row][i] - q[row][i]) / 512;
      }
      const auto top = [](const std::vector<double>& values) {
        return std::max_element(values.begin(), values.end()) - values.begin();
      };
      same += top(p[row]) == top(q[row]) ? 1.0 / 512 : 0;
      const auto next = static_cast<size_t>(windows[row / 256][row % 256 + 1]);
      const double change = std::exp(q[row][next]) - std::exp(p[row][next]);
      squares += change * change / 512;
    }
    CHECK(kld > 1e-7);
    // The bound of base_logits.h with the h of the widest rows.
    CHECK(std::abs(MetricOf(store, 2, "kld_mean") - kld) <= 2 * 2.45e-4 * weight + 3.1e-8);
    CHECK(MetricOf(store, 2, "top1_agreement") == Approx(same).epsilon(1e-12));
    CHECK(MetricOf(store, 2, "dp_rms") == Approx(std::sqrt(squares)).epsilon(1e-3));
    CHECK(PhaseOf(store, 2, "drift").settings["base"] == PhaseOf(store, 1, "drift").settings["artefact"]);
  }

  outcome = program.Measure(arguments);
  CHECK(outcome.exit_code == 0);
  CHECK(program.Database().Runs().size() == 2);  // nothing was left to do

  // Another method meets a damaged file: an error, and mended when that is asked for.
  std::string bytes = ReadFile(kept);
  bytes[bytes.size() - 2000] = static_cast<char>(bytes[bytes.size() - 2000] ^ 1);
  WriteFileAtomically(kept, bytes);
  const std::vector<std::string> again = {"--method", "bf16", "--phases", "drift", "--drift-tokens", "512"};
  outcome = program.Measure(again);
  CHECK(outcome.exit_code == 1);
  CHECK_THAT(outcome.errors, Contains("damaged") && Contains("--force"));
  std::vector<std::string> forced = again;
  forced.push_back("--force");
  outcome = program.Measure(forced);
  INFO(outcome.errors);
  CHECK(outcome.exit_code == 0);
  // Without the file it is computed again, from the base artefact.
  std::filesystem::remove(kept);
  outcome = program.Measure({"--method", "int4", "--phases", "drift", "--drift-tokens", "512"});
  CHECK(outcome.exit_code == 0);
  CHECK(std::filesystem::exists(kept));
}

TEST_CASE("without a base, or without enough room, there is no drift") {
  const Program program;
  const Outcome outcome = program.Measure({"--method", "int8", "--phases", "drift", "--no-base"});
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.errors, Contains("no base to drift from"));
  CHECK(PhaseOf(program.Database(), 1, "drift").status == PhaseStatus::kNotMeasured);
  const Outcome large = program.Measure({"--method", "int8", "--drift-tokens", "10000000"});
  CHECK(large.exit_code == 2);
  CHECK_THAT(large.errors, Contains("--drift-tokens"));
}

}  // namespace
}  // namespace tnb
