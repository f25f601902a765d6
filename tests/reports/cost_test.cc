#include "reports/cost.h"

#include "reports/show.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;

TEST_CASE("break-even points follow from the arithmetic") {
  // 4096 x 4096, two cores of legs 64 x 64, bond 200: contracted 200 (4096 64 + 4096 64), rebuilt 200 4096^2.
  const LinearCosts mpo{.dense = 16777216, .contracted = 104857600, .rebuild = 200 * 16777216.0};
  REQUIRE(mpo.BreakEven());
  CHECK(*mpo.BreakEven() == Approx(200 * 16777216.0 / (104857600 - 16777216)));  // 38 tokens
  // Low rank of the same size needs a tenth of the dense arithmetic for any number of tokens.
  CHECK(!LinearCosts{.dense = 16777216, .contracted = 1638400, .rebuild = 200 * 16777216.0}.BreakEven());
  CHECK(LinearCosts{.dense = 10, .contracted = 1000, .rebuild = 1}.BreakEven() == 1.0);
  CHECK(!LinearCosts{.dense = 10, .contracted = 10, .rebuild = 1}.BreakEven());
}

TEST_CASE("measured break-even points lie on straight lines") {
  LinearCosts costs{.timed = 1,
                    .tokens = 101,
                    .contracted_one = 1,
                    .rebuilt_one = 5,
                    .contracted_many = 11,
                    .rebuilt_many = 7};
  CHECK(*costs.MeasuredBreakEven() == Approx(51));  // 1 + n/10 against 5 + n/50, n tokens beyond the first
  costs.contracted_many = 6;
  CHECK(!costs.MeasuredBreakEven());
  costs.contracted_one = 6;
  CHECK(*costs.MeasuredBreakEven() == 1);
  costs.timed = 0;
  CHECK(!costs.MeasuredBreakEven());
}

Json Cost(int64_t dense, int64_t contracted, int64_t rebuilt) {
  return {{"cost", {{"dense", dense}, {"contracted", contracted}, {"rebuilt", rebuilt}}}};
}

void AddTimes(Store& store, int64_t phase, const std::string& name, const std::string& variant,
              const std::vector<double>& seconds) {
  std::vector<SampleRow> rows;
  for (const double second : seconds) {
    rows.push_back({.phase_id = phase,
                    .benchmark = "linear " + name,
                    .variant = variant,
                    .repetition = static_cast<int64_t>(rows.size()),
                    .seconds = second,
                    .value = second,
                    .unit = "s"});
  }
  store.AddSamples(rows);
}

TEST_CASE("show prints what factorized linears cost, kind by kind") {
  Store store = Store::Open(":memory:");
  const int64_t run = BeginSampleRun(store, "mpo+int8");
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  const auto layer = [&](int64_t stage, const std::string& name, const Json& detail) {
    store.AddLayers({{.phase_id = compress,
                      .stage_position = stage,
                      .name = name,
                      .format = "network",
                      .rows = 10,
                      .cols = 10,
                      .relative_error = 0.1,
                      .detail = detail}});
  };
  // The last stage counts; down is dense.
  layer(0, "blocks.0.q", Cost(100, 9, 9));
  layer(1, "blocks.0.q", Cost(100, 300, 2100));
  layer(1, "blocks.1.q", Cost(100, 500, 4100));
  layer(1, "blocks.0.up", Cost(100, 60, 1100));
  layer(1, "blocks.0.down", {{"untouched", true}});
  store.FinishPhase(compress, {.seconds = 1.0});
  const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
  AddTimes(store, speed, "blocks.0.q", "contracted 1", {0.001, 0.9, 0.001});
  AddTimes(store, speed, "blocks.0.q", "rebuilt 1", {0.005, 0.005, 0.004});
  AddTimes(store, speed, "blocks.0.q", "contracted 128", {0.030});
  AddTimes(store, speed, "blocks.0.q", "rebuilt 128", {0.010});
  AddTimes(store, speed, "blocks.0.up", "contracted 1", {0.001});  // the others are missing
  AddTimes(store, speed, "decode_64", "contracted", {1});
  store.FinishPhase(speed, {.seconds = 1.0});
  store.FinishRun(run, RunStatus::kOk, "");

  const std::vector<LinearCosts> costs = CostsOf(store, run);
  REQUIRE(costs.size() == 2);
  CHECK(costs[0].kind == "q");
  CHECK(costs[0].linears == 2);
  CHECK(costs[0].dense == 200);
  CHECK(costs[0].contracted == 800);
  CHECK(costs[0].rebuild == 6000);
  CHECK(*costs[0].BreakEven() == Approx(10));
  CHECK(costs[0].timed == 1);
  CHECK(costs[0].tokens == 128);
  CHECK(costs[0].contracted_one == 0.001);  // the median
  CHECK(*costs[0].MeasuredBreakEven() == Approx(1 + 127 * 4 / 24.0));
  CHECK(costs[1].timed == 0);

  const std::string text = ShowRun(store, run);
  CHECK_THAT(text, Contains("2 q") && Contains("800 (4.00x)") && Contains("from 10") && Contains("from 23"));
  CHECK_THAT(text, Contains("1 up") && Contains("0.600x") && Contains("not timed"));
  const Json json = ShowRunJson(store, run);
  CHECK(json["cost"][0]["break_even_tokens"] == 10);
  CHECK(json["cost"][1]["break_even_tokens"].is_null());
  CHECK(json["cost"][0]["seconds"]["rebuilt"] == 0.01);
}

TEST_CASE("dense runs and runs without sizes show no cost") {
  Store store = Store::Open(":memory:");
  const int64_t run = BeginSampleRun(store, "fp32");
  CHECK(CostsOf(store, run).empty());
  CHECK(CostText({}).empty());
  CHECK_THAT(ShowRun(store, run), !Contains("cost of factorized"));
}

}  // namespace
}  // namespace tnb
