#include "reports/profile.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "reports/profile_loss.h"
#include "reports/statistics/ranks.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using testing::BeginSampleRun;
using Numbers = std::vector<double>;

TEST_CASE("Spearman's rank correlation") {
  // scipy.stats.spearmanr of SciPy.
  CHECK(*Spearman(Numbers{1, 2, 3, 4, 5}, Numbers{5, 6, 7, 8, 7}) ==
        Approx(0.8207826816681233).epsilon(1e-12));
  CHECK(*Spearman(Numbers{3, 1, 4, 1, 5, 9, 2, 6}, Numbers{2, 7, 1, 8, 2, 8, 1, 8}) ==
        Approx(0.19885368120992467).epsilon(1e-12));
  CHECK(*Spearman(Numbers{1, 2, 3}, Numbers{1, 10, INFINITY}) == Approx(1));  // only ranks count
  CHECK(*Spearman(Numbers{1, 2, 3}, Numbers{3, 2, 1}) == Approx(-1));
  CHECK(!Spearman(Numbers{1, 2}, Numbers{1, 2}));
  CHECK(!Spearman(Numbers{1, 2, 3}, Numbers{4, 4, 4}));
  CHECK_THROWS_AS(Spearman(Numbers{1, 2, 3}, Numbers{1, 2}), Error);
  CHECK_THROWS_AS(Spearman(Numbers{1, 2, std::nan("")}, Numbers{1, 2, 3}), Error);
}

ProfilePoint Point(const std::string& method, int64_t block, const std::string& kind, double loss,
                   double proxy) {
  return {.method = method,
          .place = std::string("blocks.") + std::to_string(block) + "." + kind,
          .block = block,
          .kind = kind,
          .run_id = 7,
          .loss = loss,
          .se = 0.2 * loss,
          .parameters = 50,
          .dense_parameters = 100,
          .proxies = {{"weight error", proxy}}};
}

TEST_CASE("a heat map has a row a method and block and a column a kind") {
  LayerProfile profile{.model = "nano", .measure = "kld_mean", .unit = "nats"};
  profile.points = {Point("svd", 0, "q", 0.001, 1), Point("svd", 0, "v", 1, 4), Point("svd", 3, "q", 0.1, 3),
                    Point("mpo", 0, "q", 0.01, 2)};
  profile.points.push_back(
      {.method = "svd", .place = "blocks.3.v", .block = 3, .kind = "v", .failure = "crashed"});
  const Table map = HeatMap(profile);
  CHECK_NOTHROW(CheckTable(map));
  REQUIRE(map.columns.size() == 4);
  CHECK(map.columns[3].title == "v");
  REQUIRE(map.rows.size() == 3);
  CHECK(map.rows[0][2].text == "0.00100 ± 0.000200  ");  // the least: no shade
  CHECK_THAT(map.rows[0][3].text, Contains("█"));
  CHECK(map.rows[1][1].text == "3");
  CHECK_THAT(map.rows[1][2].text, Contains("▓"));  // two thirds up the logarithmic scale
  CHECK_THAT(map.rows[1][3].text, Contains("crashed"));
  CHECK(map.rows[2][3].text.empty());  // not asked for
  CHECK(map.rows[0][3].value == 1.0);

  const Table points = PointTable(profile);
  CHECK_NOTHROW(CheckTable(points));
  CHECK(points.rows.size() == 5);
  CHECK(points.rows[0][3].text == "0.500");
  CHECK_THAT(points.rows[1][5].text, Contains("[0.608, 1.39]"));
  CHECK(points.rows[4][3].text.empty());
  CHECK(points.rows[4][6].text == "not known");

  const Table proxies = ProxyTable(profile);
  CHECK_NOTHROW(CheckTable(proxies));
  REQUIRE(proxies.rows.size() == 1);
  CHECK(proxies.rows[0][1].text == "+1.00 (n = 3)");
  CHECK(proxies.rows[0][2].text == "not defined");  // one point of mpo
  CHECK(proxies.rows[0][3].text == "+1.00 (n = 4)");
}

TEST_CASE("places of several kinds and blocks, and losses that are 0 or infinite") {
  LayerProfile profile{.model = "nano", .measure = "x"};
  profile.points = {Point("svd", -1, "", 0, 1), Point("int8", -1, "", INFINITY, 1)};
  const Table map = HeatMap(profile);
  CHECK(map.columns[2].title == "the block's linears");
  CHECK(map.rows[0][1].text == "all");
  CHECK(map.rows.size() == 2);
  CHECK_NOTHROW(HeatMap(LayerProfile{}));
  CHECK_NOTHROW(ProxyTable(LayerProfile{}));
}

// A quality phase with a task "t" and its scores, item by item.
int64_t AddQuality(Store& store, const std::string& method, const Numbers& scores) {
  const int64_t run = BeginSampleRun(store, method);
  const int64_t phase = store.BeginPhase({.run_id = run, .name = "quality"});
  std::vector<ItemRow> items;
  double sum = 0;
  for (const double score : scores) {
    items.push_back({.phase_id = phase,
                     .task = "t",
                     .doc_index = static_cast<int64_t>(items.size()),
                     .prompt_sha256 = Sha256Hex(std::to_string(items.size())),
                     .scores = {{"acc", score}}});
    sum += score;
  }
  store.AddItems(items);
  store.AddMetric({.phase_id = phase,
                   .name = "acc",
                   .task = "t",
                   .filter = "none",
                   .value = sum / static_cast<double>(scores.size()),
                   .unit = "fraction",
                   .n = static_cast<int64_t>(scores.size()),
                   .main = true,
                   .protocol_id = store.PutProtocol({.name = "p", .content = {{"shots", 0}}})});
  store.FinishPhase(phase, {.seconds = 1.0});
  store.FinishRun(run, RunStatus::kOk);
  return run;
}

TEST_CASE("a task's loss is paired item by item") {
  Store store = Store::Open(":memory:");
  const int64_t base = AddQuality(store, "fp32", {1, 1, 1, 0, 1});
  const int64_t worse = AddQuality(store, "svd", {1, 0, 1, 0, 0});
  const auto shapes = [](const std::string&) { return MetricShape{}; };
  const ProfileLoss loss = TaskLoss(store, base, worse, "t", shapes);
  REQUIRE(loss.loss);
  CHECK(*loss.loss == Approx(0.4));
  CHECK(loss.unit == "fraction");
  // Standard error of the mean of {0, 1, 0, 0, 1}: sqrt(0.3 / 5).
  CHECK(*loss.se == Approx(std::sqrt(0.3 / 5)));
  CHECK(*TaskLoss(store, worse, base, "t", shapes).loss == Approx(-0.4));
  const auto lower = [](const std::string&) { return MetricShape{.higher_is_better = false}; };
  CHECK(*TaskLoss(store, base, worse, "t", lower).loss == Approx(-0.4));
  CHECK_THAT(TaskLoss(store, base, worse, "other", shapes).failure, Contains("no metric of other"));
  const int64_t shorter = AddQuality(store, "mpo", {1, 0});
  CHECK(!TaskLoss(store, base, shorter, "t", shapes).loss);
  CHECK(!TaskLoss(store, base, shorter, "t", shapes).failure.empty());
}

TEST_CASE("drift is read as it was recorded") {
  Store store = Store::Open(":memory:");
  const int64_t run = BeginSampleRun(store, "svd");
  CHECK(DriftLoss(store, run).failure == "no drift");
  const int64_t phase = store.BeginPhase({.run_id = run, .name = "drift"});
  store.AddMetric({.phase_id = phase,
                   .name = "kld_mean",
                   .task = "drift",
                   .value = 0.25,
                   .unit = "nats",
                   .n = 9,
                   .se = 0.01});
  CHECK(DriftLoss(store, run).failure == "running");
  store.FinishPhase(phase, {.seconds = 1.0});
  CHECK(DriftLoss(store, run).loss == 0.25);
  CHECK(DriftLoss(store, run).se == 0.01);
}

}  // namespace
}  // namespace tnb
