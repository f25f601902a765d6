#include "reports/reproduction.h"

#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

struct RunValues {
  std::string artefact = "same";
  double loglikelihood = -1.5;
  std::string text = "yes";
  double score = 1;
  double rate = 50;
  int items = 3;
  std::string model = "nano";
};

int64_t AddRun(Store& store, const RunValues& values) {
  const int64_t run = testing::BeginSampleRun(store, "int8", {{"seed", 1}}, values.model);
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  store.AddArtefact({.phase_id = compress, .path = "a", .sha256 = Sha256Hex(values.artefact), .bytes = 1});
  store.AddMetric({.phase_id = compress, .name = "seconds", .value = values.rate, .unit = "s"});
  store.FinishPhase(compress, {});
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  std::vector<ItemRow> items;
  for (int i = 0; i < values.items; ++i) {
    items.push_back({.phase_id = quality,
                     .task = "t",
                     .doc_index = i,
                     .loglikelihoods = {values.loglikelihood, -2.0},
                     .text = values.text,
                     .scores = {{"acc", values.score}}});
  }
  store.AddItems(items);
  store.AddMetric(
      {.phase_id = quality, .name = "acc", .task = "t", .value = values.score, .unit = "fraction"});
  store.FinishPhase(quality, {});
  const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
  store.AddMetric({.phase_id = speed, .name = "decode_64", .value = values.rate, .unit = "tokens/s"});
  store.FinishPhase(speed, {});
  store.FinishRun(run, RunStatus::kOk);
  return run;
}

TEST_CASE("runs are reproduced, numerically equal or different") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t first = AddRun(store, {});
  const auto compare = [&](const RunValues& values) {
    return CompareRuns(store, first, AddRun(store, values));
  };

  const Reproduction same = compare({.rate = 60});  // times decide nothing
  CHECK(same.verdict == ReproductionVerdict::kReproduced);
  CHECK(same.items == 3);
  CHECK(same.artefact_equal);
  CHECK_THAT(ReproductionText(same),
             Contains("reproduced\n") &&
                 Contains("decode_64: 50.0 tokens/s -> 60.0 tokens/s (+20.0 %), n 1 and 1, P") &&
                 Contains(": settings "));

  const Reproduction close = compare({.loglikelihood = -1.5004});
  CHECK(close.verdict == ReproductionVerdict::kNumericallyEqual);
  CHECK(close.largest_loglikelihood == Approx(0.0004));
  CHECK(CompareRuns(store, first, AddRun(store, {.loglikelihood = -1.5004}), 1e-4).verdict ==
        ReproductionVerdict::kDifferent);
  // Another artefact that answers the same to the bit.
  CHECK(compare({.artefact = "other"}).verdict == ReproductionVerdict::kNumericallyEqual);

  const Reproduction text = compare({.text = "no"});
  CHECK(text.verdict == ReproductionVerdict::kDifferent);
  CHECK(text.texts_different == 3);
  CHECK(compare({.score = 0}).verdict == ReproductionVerdict::kDifferent);
  CHECK(compare({.items = 2}).verdict == ReproductionVerdict::kDifferent);
  CHECK(compare({.model = "pico"}).verdict == ReproductionVerdict::kDifferent);
  CHECK(ToJson(compare({.score = 0}))["scores_different"] == 3);
}

TEST_CASE("a phase that fails the second time is a difference; nothing in common is said so") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  const int64_t first = AddRun(store, {});
  const int64_t failed = testing::BeginSampleRun(store, "int8");
  const int64_t phase = store.BeginPhase({.run_id = failed, .name = "compress"});
  store.FinishPhase(phase, {.status = PhaseStatus::kFailed, .reason = "out of memory"});
  store.FinishRun(failed, RunStatus::kFailed, "out of memory");
  const Reproduction reproduction = CompareRuns(store, first, failed);
  CHECK(reproduction.verdict == ReproductionVerdict::kDifferent);
  CHECK_THAT(ReproductionText(reproduction), Contains("out of memory"));
  const int64_t empty = testing::BeginSampleRun(store, "int8");
  store.FinishRun(empty, RunStatus::kFailed, "x");
  CHECK(CompareRuns(store, first, empty).verdict == ReproductionVerdict::kNothingCompared);
}

}  // namespace
}  // namespace tnb
