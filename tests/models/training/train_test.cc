// The loop: exact continuation, checkpoints that survive, curves.
#include "models/training/train.h"

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "tests/models/training/formula_model.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::FormulaModel;
using testing::FormulaParts;

const TrainerOptions kOptions = {.learning_rate = 5e-3, .steps = 8, .warmup = 2, .loss = {0.5, 1}};

std::shared_ptr<const Teacher> TheTeacher() {
  return std::make_shared<const Teacher>(FormulaParts(100), at::kFloat);
}

PackedDocuments Text() {
  TrainingDocument document;
  for (int i = 0; i < 400; ++i) document.tokens.push_back((i * i * 7 + i * 3) % 61);
  return PackedDocuments({document}, 16, 1);
}

TrainingPlan PlanOf(const PackedDocuments& text, const std::filesystem::path& checkpoint = {}) {
  TrainingPlan plan;
  plan.steps = 8;
  plan.batches = [&](int64_t step) { return std::vector<TrainingBatch>{text.Batch(step, 2)}; };
  plan.checkpoint = checkpoint;
  plan.key = "a training";
  plan.checkpoint_seconds = 0;  // after every step
  return plan;
}

std::vector<double> LossesOf(const std::vector<CurvePoint>& curve) {
  std::vector<double> losses;
  for (const CurvePoint& point : curve) losses.push_back(point.report.loss);
  return losses;
}

struct Killed {};

}  // namespace

TEST_CASE("a training that was killed goes on to the same bits") {
  const testing::TemporaryFolder folder;
  const Model model = FormulaModel(0);
  const PackedDocuments text = Text();
  Trainer whole(model, kOptions, TheTeacher());
  const std::vector<CurvePoint> expected = Train(whole, PlanOf(text));
  REQUIRE(expected.size() == 8);
  CHECK(expected.back().tokens == 8 * 2 * 16);
  for (const int64_t last : {1, 3, 7}) {
    const std::filesystem::path file = folder / ("checkpoint-" + std::to_string(last));
    {
      Trainer trainer(model, kOptions, TheTeacher());
      TrainingPlan plan = PlanOf(text, file);
      plan.on_step = [&](CurvePoint& point) {
        if (point.step > last) throw Killed();
      };
      CHECK_THROWS_AS(Train(trainer, plan), Killed);
    }
    Trainer trainer(model, kOptions, TheTeacher());
    int64_t steps = 0;
    TrainingPlan plan = PlanOf(text, file);
    plan.on_step = [&](CurvePoint& point) { CHECK(point.step == last + ++steps); };
    const std::vector<CurvePoint> curve = Train(trainer, plan);
    CHECK(steps == 8 - last);
    CHECK(LossesOf(curve) == LossesOf(expected));
    CHECK(curve.back().tokens == expected.back().tokens);
    for (size_t i = 0; i < whole.leaves().size(); ++i)
      CHECK(at::equal(trainer.leaves()[i], whole.leaves()[i]));
  }
}

TEST_CASE("a checkpoint of another training is left alone, a damaged one is an error") {
  const testing::TemporaryFolder folder;
  const std::filesystem::path file = folder / "checkpoint";
  const Model model = FormulaModel(0);
  const PackedDocuments text = Text();
  Trainer trainer(model, kOptions, TheTeacher());
  Train(trainer, PlanOf(text, file));
  Trainer other(model, kOptions, TheTeacher());
  CHECK_FALSE(other.LoadCheckpoint(file, "another training"));
  CHECK_FALSE(other.LoadCheckpoint(folder / "absent", "a training"));
  CHECK(other.step() == 0);
  TrainerOptions fewer = kOptions;
  fewer.trains = [](const LinearSlot& slot, int64_t) { return slot.block == 0; };
  Trainer selected(model, fewer, TheTeacher());
  CHECK_THROWS_AS(selected.LoadCheckpoint(file, "a training"), Error);
  const std::string content = ReadFile(file);
  WriteFileAtomically(file, content.substr(0, content.size() / 2));
  CHECK_THROWS_AS(other.LoadCheckpoint(file, "a training"), Error);
}

TEST_CASE("a full disk leaves the checkpoint that was there") {
  const testing::TemporaryFolder folder;
  const std::filesystem::path file = folder / "checkpoint";
  const Model model = FormulaModel(0);
  Trainer trainer(model, kOptions, TheTeacher());
  trainer.SaveCheckpoint(file, "a training", {{"curve", "first"}});
  const std::string before = ReadFile(file);
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const rlimit small = {static_cast<rlim_t>(before.size() / 2), old.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // the write fails, as on a full disk
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    trainer.SaveCheckpoint(file, "a training", {{"curve", "second"}});
  } catch (const Error& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK_FALSE(message.empty());
  CHECK(ReadFile(file) == before);
  CHECK(trainer.LoadCheckpoint(file, "a training").value_or(Json()).at("curve") == "first");
}

TEST_CASE("a training that diverges names the checkpoint with its last finite state") {
  const testing::TemporaryFolder folder;
  const std::filesystem::path file = folder / "checkpoint";
  const Model model = FormulaModel(0);
  const PackedDocuments text = Text();
  Trainer trainer(model, kOptions, TheTeacher());
  TrainingPlan plan = PlanOf(text, file);
  plan.checkpoint_seconds = 1e9;
  plan.batches = [&](int64_t step) {
    TrainingBatch batch = text.Batch(step, 2);
    if (step == 3) batch.weights.fill_(INFINITY);  // a loss that is not finite
    return std::vector<TrainingBatch>{batch};
  };
  CHECK_THROWS_WITH(Train(trainer, plan),
                    Catch::Matchers::Contains("diverged") && Catch::Matchers::Contains(file.string()));
  Trainer again(model, kOptions, TheTeacher());
  REQUIRE(again.LoadCheckpoint(file, "a training"));
  CHECK(again.step() == 3);
  for (size_t i = 0; i < again.leaves().size(); ++i) {
    CHECK(at::isfinite(again.leaves()[i]).all().item<bool>());
    CHECK(at::equal(again.leaves()[i], trainer.leaves()[i]));
  }
}

TEST_CASE("curves are lists a quantity, thinned by means") {
  std::vector<CurvePoint> curve;
  for (int64_t i = 1; i <= 7; ++i) {
    CurvePoint point;
    point.step = i;
    point.tokens = 100 * i;
    point.report.loss = static_cast<double>(i);
    point.seconds = 0.5 * static_cast<double>(i);
    curve.push_back(point);
  }
  const Json all = CurveToJson(curve);
  CHECK(all.at("step") == Json({1, 2, 3, 4, 5, 6, 7}));
  CHECK(all.at("loss").size() == 7);
  CHECK(all.at("seconds").at(6) == 3.5);
  const Json thin = CurveToJson(curve, 3);
  CHECK(thin.at("step") == Json({3, 6, 7}));
  CHECK(thin.at("tokens") == Json({300, 600, 700}));
  CHECK(thin.at("loss") == Json({2.0, 5.0, 7.0}));
  CHECK(CurveToJson({}).at("loss").empty());
}

}  // namespace tnb
