// Trainings side by side, from curves in the record.
#include <cmath>

#include "reports/report.h"
#include "tests/records/sample.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

struct Course {
  std::string method;
  std::vector<double> losses;
  double seconds = 2;  // a step
  double kd = 0.9;
  int stride = 1;  // steps a point
  std::string text = "text.txt";
};

// 100 tokens a step.
void AddTraining(Store& store, const Course& course) {
  const int64_t run = testing::BeginSampleRun(store, course.method);
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  Json curve = Json::object();
  for (size_t i = 0; i < course.losses.size(); ++i) {
    const double step = static_cast<double>(course.stride) * static_cast<double>(i + 1);
    curve["step"].push_back(step);
    curve["tokens"].push_back(100 * step);
    curve["loss"].push_back(course.losses[i]);
    curve["seconds"].push_back(course.seconds * step);
    curve["data_seconds"].push_back(0.001);
    curve["forward_seconds"].push_back(0.5);
    curve["backward_seconds"].push_back(1);
    curve["optimizer_seconds"].push_back(0.25);
    curve["peak_bytes"].push_back(1 << 20);
  }
  store.AddStage({.phase_id = compress,
                  .position = 1,
                  .text = course.method,
                  .seconds = 1,
                  .detail = {{"curve", curve},
                             {"text", {{"name", course.text}}},
                             {"objective", {{"kd", course.kd}, {"temperature", 1}, {"length", 16}}},
                             {"trained_parameters", 1000},
                             {"gradient_bytes", 4000},
                             {"optimizer_bytes", 8000}}});
  store.FinishPhase(compress, {});
  store.FinishRun(run, RunStatus::kOk);
}

// 100 points on a straight line: the mean of the ten that end with point i is that of point i - 4.5.
std::vector<double> Line(double from, double by) {
  std::vector<double> losses;
  for (int i = 0; i < 100; ++i) losses.push_back(from - by * i);
  return losses;
}

const Cell& At(const Table& table, size_t row, const std::string& key) {
  for (size_t c = 0; c < table.columns.size(); ++c) {
    if (table.columns[c].key == key) return table.rows.at(row).at(c);
  }
  FAIL("no column " << key);
  return table.rows.at(0).at(0);
}

}  // namespace

TEST_CASE("trainings are compared by the seconds and tokens to a loss that all reach") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  testing::BeginSampleRun(store, "fp32@all");
  AddTraining(store, {.method = "heal", .losses = Line(5, 0.02), .seconds = 3});
  AddTraining(store, {.method = "int4+heal:lora=16", .losses = Line(5, 0.01), .seconds = 1});
  const std::vector<Table> tables = BuildReport(store, {});
  REQUIRE(tables.size() == 2);
  const Table& table = tables[1];
  REQUIRE(table.rows.size() == 2);
  CHECK(At(table, 0, "method").text == "heal");
  CHECK(At(table, 1, "run").value == 3);
  CHECK(At(table, 0, "stage").value == 1);
  // Points 94.5 of both lines.
  CHECK(At(table, 0, "heal.final_loss").value.value() == Approx(3.11));
  CHECK(At(table, 1, "heal.final_loss").value.value() == Approx(4.055));
  // The first line is there at point 47.25, so the mean is at point 52, the 53rd; the second one at its end.
  CHECK(At(table, 0, "heal.seconds_to_loss").value == 159);
  CHECK(At(table, 0, "heal.tokens_to_loss").value == 5300);
  CHECK(At(table, 1, "heal.seconds_to_loss").value == 100);
  CHECK(At(table, 1, "heal.tokens_to_loss").value == 10000);
  CHECK(At(table, 0, "heal.tokens").value == 10000);
  CHECK(At(table, 0, "heal.tokens_per_second").value.value() == Approx(100.0 / 3));
  CHECK(At(table, 0, "heal.data_seconds").value.value() == Approx(0.1));
  CHECK(At(table, 0, "heal.forward_seconds").value.value() == Approx(50));
  CHECK(At(table, 0, "heal.backward_seconds").value.value() == Approx(100));
  CHECK(At(table, 0, "heal.optimizer_seconds").value.value() == Approx(25));
  CHECK(At(table, 0, "heal.trained_parameters").value == 1000);
  CHECK(At(table, 0, "heal.gradient_and_optimizer_bytes").value == 12000);
  CHECK(At(table, 0, "heal.peak_bytes").text == "1.00 MiB");
  CHECK_THAT(table.caption, Contains("text.txt") && Contains("kd 0.9") && Contains("length 16"));
  CHECK_THAT(table.notes.at(0), Contains("loss 4.0") && Contains("largest final loss"));
  // A loss of one's own.
  ReportOptions options;
  options.loss = 3.5;
  const Table lower = BuildReport(store, options).at(1);
  CHECK(At(lower, 0, "heal.tokens_to_loss").value == 8100);  // point 75 and five more, the 81st
  CHECK_FALSE(At(lower, 1, "heal.tokens_to_loss").value);
  CHECK(At(lower, 1, "heal.seconds_to_loss").text == "not reached");
  CHECK_THAT(lower.notes.at(0), Contains("--loss"));
}

TEST_CASE("points of a thinned curve count as the steps that they stand for") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddTraining(store, {.method = "heal", .losses = Line(5, 0.1), .stride = 4});
  const Table table = BuildReport(store, {}).at(1);
  CHECK(At(table, 0, "heal.backward_seconds").value.value() == Approx(400));
  CHECK(At(table, 0, "heal.tokens").value == 40000);
}

TEST_CASE(
    "losses of other texts or mixtures are in tables of their own, and without training there is none") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  AddTraining(store, {.method = "heal", .losses = Line(5, 0.1)});
  AddTraining(store, {.method = "svd+heal", .losses = Line(6, 0.1)});
  AddTraining(store, {.method = "svd+heal:kd=0", .losses = Line(7, 0.1), .kd = 0});
  AddTraining(store, {.method = "mpo+heal:data=b", .losses = Line(8, 0.1), .text = "b"});
  AddTraining(store, {.method = "one", .losses = {3, 2, 1}, .text = "c"});
  AddTraining(store, {.method = "none", .losses = {}, .text = "d"});
  const std::vector<Table> tables = BuildReport(store, {});
  REQUIRE(tables.size() == 5);
  CHECK(tables[1].rows.size() == 2);
  CHECK(At(tables[2], 0, "method").text == "svd+heal:kd=0");
  CHECK(At(tables[3], 0, "method").text == "mpo+heal:data=b");
  CHECK(At(tables[4], 0, "heal.final_loss").value == 2);
  CHECK(At(tables[4], 0, "heal.tokens_to_loss").value == 300);  // the mean needs all three
  ReportOptions only;
  only.filter.method = "none";
  CHECK(BuildReport(store, only).size() == 1);
}

}  // namespace tnb
