// Steps of the trainer against transformers and torch.optim (golden.py), and against itself over every way of
// doing the same work.
#include "models/training/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <limits>
#include <map>

#include "base/json.h"
#include "models/formats/safetensors.h"
#include "tests/models/training/formula_model.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::FormulaConfig;
using testing::FormulaModel;
using testing::FormulaParts;

constexpr int64_t kLength = 16;

// golden.py's batch.
TrainingBatch Batch(int64_t step, int64_t sequences, bool documents) {
  const at::Tensor i = at::arange(sequences, at::kLong).unsqueeze(1);
  const at::Tensor j = at::arange(kLength + 1, at::kLong).unsqueeze(0);
  TrainingBatch batch = WholeSequences((i * 7 + j * 13 + i * j * 5 + step * 3).remainder(61));
  if (!documents) return batch;
  const at::Tensor position = j.narrow(1, 0, kLength);
  batch.weights = (i + position).remainder(3).to(at::kFloat) * 0.5;
  batch.documents = position.ge(i + 6).to(at::kLong).contiguous();
  return batch;
}

std::vector<TrainingBatch> Batches(int64_t step, int64_t count, bool documents) {
  std::vector<TrainingBatch> batches;
  for (int64_t m = 0; m < count; ++m) batches.push_back(Batch(step * count + m, 2 + m, documents));
  return batches;
}

TrainerOptions Plain() {
  return {.learning_rate = 1e-2, .steps = 6, .warmup = 2, .last_rate = 0.1, .clip = 0};
}

TrainerOptions Distilled() {
  TrainerOptions options = Plain();
  options.weight_decay = 0.1;
  options.clip = 0.5;
  options.loss = {0.9, 2};
  return options;
}

std::shared_ptr<const Teacher> OtherModel(at::ScalarType compute = at::kFloat) {
  return std::make_shared<const Teacher>(FormulaParts(100), compute);
}

std::vector<double> Losses(const Model& model, const TrainerOptions& options, bool distilled = true) {
  Trainer trainer(model, options, OtherModel());
  std::vector<double> losses;
  for (int64_t step = 0; step < 6; ++step)
    losses.push_back(trainer.Step(Batches(step, distilled ? 2 : 1, distilled)).loss);
  return losses;
}

TrainerOptions Matched() {
  TrainerOptions options = Distilled();
  options.loss = {0.6, 2, 0.7};
  return options;
}

// Gradients of a first step that clips nothing: AdamW's first moment is (1 - beta1) times them.
std::vector<at::Tensor> FirstGradients(Trainer& trainer, const TrainerOptions& options,
                                       const std::vector<TrainingBatch>& batches) {
  const testing::TemporaryFolder folder;
  trainer.Step(batches);
  trainer.SaveCheckpoint(folder / "state", "", {});
  const SafetensorsFile file(folder / "state");
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < trainer.leaves().size(); ++i) {
    const SafetensorsTensor& stored = file.Get("first." + std::to_string(i));
    gradients.push_back(
        at::from_blob(const_cast<void*>(static_cast<const void*>(stored.data)), stored.shape, at::kFloat)
            .clone()
            .div_(1 - options.beta1));
  }
  return gradients;
}

// The loss of one batch by one graph over the whole model, as loss.h says it, for leaves in the order of the
// trainer: embedding, linears block by block, norms.
at::Tensor LossOfWholeGraph(const Model& model, const std::vector<at::Tensor>& leaves,
                            const LossOptions& options, const TrainingBatch& batch) {
  std::map<std::string, at::Tensor> matrices;
  size_t next = 0;
  for (const LinearSlot* slot : model.Slots()) matrices[slot->name] = leaves[next++];
  const DifferentiableDecoder decoder(model.config);
  const at::Tensor mask = decoder.Mask(batch.inputs.size(1), batch.documents);
  const at::Tensor index = batch.inputs.reshape({-1}), weights = batch.weights.reshape({-1});
  std::vector<at::Tensor> lessons;
  const auto teacher = OtherModel();
  const at::Tensor taught = teacher->Logits(teacher->Forward(batch, &lessons));
  at::Tensor hidden = at::embedding(matrices.at("embedding"), index), apart = at::zeros({});
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    hidden = decoder.Forward(
        model.blocks[i], leaves[next], leaves[next + 1], hidden, mask,
        [&](const LinearSlot& slot, const at::Tensor& x) { return at::linear(x, matrices.at(slot.name)); });
    next += 2;
    const at::Tensor square = (hidden - lessons[i]).square().sum(1) / lessons[i].square().sum(1);
    apart = apart + (square * weights).sum() / static_cast<double>(model.blocks.size());
  }
  const at::Tensor last = DifferentiableDecoder::Norm(hidden, leaves[next], model.config.norm_epsilon);
  const at::Tensor logits = at::linear(last, matrices.at("embedding"));
  const double t = options.temperature;
  const at::Tensor p = at::log_softmax(taught / t, -1), q = at::log_softmax(logits / t, -1);
  const at::Tensor divergence = (p.exp() * (p - q)).sum(1) * (t * t);
  const at::Tensor entropy =
      -at::log_softmax(logits, -1).gather(1, batch.targets.reshape({-1, 1})).squeeze(1);
  const at::Tensor tokens = options.distillation * divergence + (1 - options.distillation) * entropy;
  return ((tokens * weights).sum() + options.hidden * apart) / weights.sum();
}

// A model whose linears are of all kinds: int8, networks, bf16, dense.
Model MixedModel() {
  Model model = FormulaModel(0);
  at::manual_seed(3);
  const auto codes = [](const at::Tensor& w) {
    const at::Tensor scales = (w.abs().amax(1, true) / 127).to(at::kHalf);
    CodedMatrix made{.bits = 8};
    made.codes = ((w / scales.to(at::kFloat)).round().clamp(-127, 127) + 128).to(at::kByte);
    made.scales = scales;
    return MakeCodedWeight(made, Activation::kF32);
  };
  Block& block = model.blocks[0];
  block.q.linear = MakeDenseLinear(codes(block.q.linear->Rebuild()));
  block.gate.linear = MakeNetworkLinear(
      {{at::randn({6, 8, 5}) * 0.3, {0, 1, 4}}, {at::randn({5, 4, 8}) * 0.3, {4, 2, 3}}}, {0, 1}, {2, 3});
  block.up.linear =
      MakeDenseLinear(MakeDenseWeight(block.up.linear->Rebuild().to(at::kBFloat16), Activation::kF32));
  return model;
}

}  // namespace

TEST_CASE("loss curves are those of transformers and torch.optim.AdamW") {
  const Json golden = ReadJsonFile(TNBENCH_SOURCE_DIR "/tests/models/training/golden.json");
  for (const bool distilled : {false, true}) {
    const Json& expected = golden.at(distilled ? "distilled" : "plain");
    const Model model = FormulaModel(0);
    Trainer trainer(model, distilled ? Distilled() : Plain(), OtherModel());
    for (int64_t step = 0; step < 6; ++step) {
      CAPTURE(distilled, step);
      const StepReport report = trainer.Step(Batches(step, distilled ? 2 : 1, distilled));
      const Json& point = expected.at(static_cast<size_t>(step));
      // Adam divides by the root of squares: rounding of gradients near 0 grows from step to step. The
      // golden training is fp64.
      CHECK(report.loss == Approx(point.at("loss").get<double>()).epsilon(2e-5));
      CHECK(report.gradient_norm == Approx(point.at("gradient_norm").get<double>()).epsilon(1e-3));
      CHECK(report.learning_rate == Approx(point.at("learning_rate").get<double>()).epsilon(1e-12));
    }
  }
}

TEST_CASE("the schedule warms up, follows a cosine and stays at its end") {
  const TrainerOptions options{.learning_rate = 2, .steps = 110, .warmup = 10, .last_rate = 0.25};
  CHECK(LearningRate(options, 0) == Approx(0.2));
  CHECK(LearningRate(options, 9) == Approx(2));
  CHECK(LearningRate(options, 10) == Approx(2));
  CHECK(LearningRate(options, 60) == Approx(2 * (0.25 + 0.75 / 2)));
  CHECK(LearningRate(options, 110) == Approx(0.5));
  CHECK(LearningRate(options, 1000) == Approx(0.5));
  CHECK(LearningRate({.learning_rate = 3, .steps = 1}, 0) == Approx(3));
}

TEST_CASE("recomputing the activations changes no bit, nor does repeating the training") {
  const Model model = MixedModel();
  const std::vector<double> losses = Losses(model, Distilled());
  CHECK(losses == Losses(model, Distilled()));
  TrainerOptions options = Distilled();
  options.recompute = true;
  CHECK(losses == Losses(model, options));
  CHECK(losses.back() < losses.front());
}

TEST_CASE("bf16 follows fp32 closely, and its masters are fp32") {
  const Model model = MixedModel();
  TrainerOptions options = Distilled();
  const std::vector<double> exact = Losses(model, options);
  options.bf16 = true;
  const std::vector<double> rounded = Losses(model, options);
  for (size_t i = 0; i < exact.size(); ++i) {
    CAPTURE(i);
    CHECK(rounded[i] == Approx(exact[i]).epsilon(0.05));  // 8 bits of mantissa, three steps
    CHECK(rounded[i] != exact[i]);
  }
  const Trainer trainer(model, options, OtherModel(at::kBFloat16));
  for (const at::Tensor& leaf : trainer.leaves()) CHECK(leaf.scalar_type() == at::kFloat);
}

TEST_CASE("the gradients of matched hidden states are those of one graph over the whole model") {
  const Model model = FormulaModel(0);
  TrainerOptions options = Matched();
  options.clip = 0;
  const TrainingBatch batch = Batch(0, 3, true);
  for (const LossOptions loss : {options.loss, LossOptions{0, 1, 2}, LossOptions{1, 1, 0}}) {
    options.loss = loss;
    CAPTURE(loss.distillation, loss.hidden);
    Trainer trainer(model, options, OtherModel());
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& leaf : trainer.leaves())
      leaves.push_back(leaf.detach().clone().requires_grad_(true));
    at::Tensor expected;
    {
      const c10::AutoGradMode on(true);
      expected = LossOfWholeGraph(model, leaves, options.loss, batch);
      expected.backward();
    }
    const Evaluation before = trainer.Evaluate({batch});
    CHECK((before.hidden > 0) == (loss.hidden > 0));
    CHECK((1 - loss.distillation) * before.cross_entropy + loss.distillation * before.divergence +
              loss.hidden * before.hidden ==
          Approx(expected.item<double>()).epsilon(1e-6));
    const std::vector<at::Tensor> gradients = FirstGradients(trainer, options, {batch});
    for (size_t i = 0; i < leaves.size(); ++i) {
      CAPTURE(i);
      // fp32 sums in another order.
      CHECK((gradients[i] - leaves[i].grad()).norm().item<double>() <
            1e-5 * leaves[i].grad().norm().item<double>());
    }
  }
}

TEST_CASE("matching hidden states brings them nearer, in every way of computing") {
  const Model model = MixedModel();
  TrainerOptions options = Matched();
  options.steps = 20;
  const std::vector<TrainingBatch> batches = Batches(0, 2, true);
  Trainer trainer(model, options, OtherModel());
  std::vector<StepReport> reports;
  for (int64_t step = 0; step < 20; ++step) {
    reports.push_back(trainer.Step(batches));
    const StepReport& report = reports.back();
    CHECK(report.loss ==
          Approx(0.4 * report.cross_entropy + 0.6 * report.divergence + 0.7 * report.hidden).epsilon(1e-9));
  }
  CHECK(reports.back().hidden < reports.front().hidden);
  options = Matched();
  options.recompute = true;
  CHECK(Losses(model, Matched()) == Losses(model, options));
  options.bf16 = true;
  // One pass with 8 bits of mantissa; the teacher stays fp32.
  const StepReport rounded = Trainer(model, options, OtherModel()).Step(batches);
  CHECK(rounded.hidden == Approx(reports[0].hidden).epsilon(0.01));
  CHECK(rounded.hidden != reports[0].hidden);
  CHECK(rounded.gradient_norm == Approx(reports[0].gradient_norm).epsilon(0.02));
}

TEST_CASE("micro-batches count as one batch") {
  const Model model = FormulaModel(0);
  TrainerOptions options = Plain();
  options.loss.hidden = 0.5;
  Trainer together(model, options, OtherModel()), apart(model, options, OtherModel());
  const TrainingBatch whole = Batch(0, 4, true);
  std::vector<TrainingBatch> parts;
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 1}, {1, 3}}) {
    parts.push_back({whole.inputs.narrow(0, begin, count), whole.targets.narrow(0, begin, count),
                     whole.weights.narrow(0, begin, count), whole.documents.narrow(0, begin, count)});
  }
  const StepReport a = together.Step({whole}), b = apart.Step(parts);
  CHECK(a.loss == Approx(b.loss).epsilon(1e-6));
  CHECK(a.gradient_norm == Approx(b.gradient_norm).epsilon(1e-5));
}

TEST_CASE("packed documents do not see each other") {
  const Model model = FormulaModel(0);
  const Trainer trainer(model, Plain());
  const TrainingBatch packed = Batch(0, 1, true);  // documents of 6 and 10 tokens
  TrainingBatch second = packed;
  second.weights = packed.weights * packed.documents.to(at::kFloat);
  TrainingBatch changed = second;
  changed.inputs = packed.inputs.clone();
  changed.inputs.narrow(1, 0, 6).fill_(1);  // the first document
  CHECK(trainer.Evaluate({second}).cross_entropy == trainer.Evaluate({changed}).cross_entropy);
  // The second one alone, from position 0: positions are relative. 1e-5: fp32 angles.
  const TrainingBatch alone{packed.inputs.narrow(1, 6, 10), packed.targets.narrow(1, 6, 10),
                            packed.weights.narrow(1, 6, 10), at::Tensor()};
  CHECK(trainer.Evaluate({second}).cross_entropy ==
        Approx(trainer.Evaluate({alone}).cross_entropy).epsilon(1e-5));
  changed.documents = at::Tensor();
  second.documents = at::Tensor();
  CHECK(trainer.Evaluate({second}).cross_entropy != trainer.Evaluate({changed}).cross_entropy);
}

TEST_CASE("what trains is chosen, stored in its own format, and all else stays as it was") {
  const Model before = MixedModel();
  Model model = MixedModel();
  TrainerOptions options = Plain();
  options.trains = [](const LinearSlot& slot, int64_t) {
    return slot.block == 0 && slot.kind != LinearKind::kDown;
  };
  Trainer trainer(model, options);
  // q has 32 scales; k, v 16x32 and o 32x32 values; gate two cores; up 48x32; and five norms.
  CHECK(trainer.parameters() == 32 + 2 * 16 * 32 + 32 * 32 + 5 * 48 + 5 * 32 + 48 * 32 + 5 * 32);
  CHECK(trainer.gradient_bytes() == 4 * trainer.parameters());
  CHECK(trainer.optimizer_bytes() == 8 * trainer.parameters());
  double loss = 0;
  for (int64_t step = 0; step < 6; ++step) loss = trainer.Step({Batch(0, 3, false)}).loss;
  const Evaluation trained = trainer.Evaluate({Batch(0, 3, false)});
  CHECK(trained.cross_entropy < loss);
  CHECK(trained.accuracy >= 0);
  trainer.Store(model);
  for (LinearSlot* slot : model.Slots()) {
    CAPTURE(slot->name);
    const LinearSlot* was = nullptr;
    for (const LinearSlot* other : before.Slots()) was = other->name == slot->name ? other : was;
    const bool chosen = slot->block == 0 && slot->kind != LinearKind::kDown;
    CHECK(slot->touched == chosen);
    CHECK(slot->linear->Describe() == was->linear->Describe());
    CHECK(at::equal(slot->linear->Rebuild(), was->linear->Rebuild()) != chosen);
  }
  CHECK_FALSE(at::equal(model.final_norm, before.final_norm));
  // The stored model is the trained one, up to the rounding of bf16 and of fp16 scales.
  const Trainer again(model, Plain());
  CHECK(again.Evaluate({Batch(0, 3, false)}).cross_entropy == Approx(trained.cross_entropy).epsilon(5e-3));
}

TEST_CASE("a model that answers is measured as one that answers") {
  // One sequence, learned by heart.
  const Model model = FormulaModel(0);
  Trainer trainer(model, {.learning_rate = 1e-2, .steps = 100, .last_rate = 1});
  const std::vector<TrainingBatch> batch = {Batch(0, 1, false)};
  CHECK(trainer.Evaluate(batch).accuracy < 0.5);
  for (int i = 0; i < 100; ++i) trainer.Step(batch);
  const Evaluation learned = trainer.Evaluate(batch);
  CHECK(learned.accuracy == 1);
  CHECK(learned.cross_entropy < 0.05);
}

TEST_CASE("a diverging step changes nothing and says so") {
  Model model = FormulaModel(0);
  at::Tensor broken = model.blocks[1].v.linear->Rebuild();
  broken[3][5] = std::numeric_limits<float>::quiet_NaN();
  model.blocks[1].v.linear = MakeDenseLinear(MakeDenseWeight(broken));
  Trainer trainer(model, Plain());
  const at::Tensor before = trainer.leaves()[3].detach().clone();
  CHECK_THROWS_WITH(
      trainer.Step({Batch(0, 2, false)}),
      Catch::Matchers::Contains("not finite") && Catch::Matchers::Contains("lower the learning rate"));
  CHECK(trainer.step() == 0);
  CHECK(at::equal(trainer.leaves()[3], before));
  CHECK_FALSE(trainer.leaves()[3].grad().defined());
}

TEST_CASE("trainings that make no sense are refused") {
  const Model model = FormulaModel(0);
  TrainerOptions nothing = Plain();
  nothing.trains = [](const LinearSlot&, int64_t) { return false; };
  CHECK_THROWS_WITH(Trainer(model, nothing), Catch::Matchers::Contains("nothing would be trained"));
  ModelConfig larger = FormulaConfig();
  larger.vocabulary_size = 70;
  CHECK_THROWS_WITH(
      Trainer(model, Distilled(), std::make_shared<const Teacher>(FormulaParts(0, larger), at::kFloat)),
      Catch::Matchers::Contains("another vocabulary") && Catch::Matchers::Contains("61") &&
          Catch::Matchers::Contains("70"));
  // Hidden states ask for more than logits.
  const auto with = [&](const ModelConfig& config, const LossOptions& loss) {
    TrainerOptions options = Plain();
    options.loss = loss;
    Trainer(model, options, std::make_shared<const Teacher>(FormulaParts(0, config), at::kFloat));
  };
  ModelConfig wider = FormulaConfig(), deeper = FormulaConfig();
  wider.hidden_size = 40;
  deeper.block_count = 3;
  CHECK_THROWS_WITH(with(wider, {0, 1, 1}),
                    Catch::Matchers::Contains("another width") && Catch::Matchers::Contains("32") &&
                        Catch::Matchers::Contains("40") && Catch::Matchers::Contains("hidden=0"));
  CHECK_THROWS_WITH(with(deeper, {0.5, 1, 1}), Catch::Matchers::Contains("another number of blocks") &&
                                                   Catch::Matchers::Contains("hidden=0"));
  CHECK_NOTHROW(with(wider, {0.5, 1, 0}));
  CHECK_NOTHROW(with(deeper, {0.5, 1, 0}));
  Trainer trainer(model, Plain());
  TrainingBatch uncounted = Batch(0, 1, false);
  uncounted.weights.zero_();
  CHECK_THROWS_WITH(trainer.Step({uncounted}), Catch::Matchers::Contains("counts in the loss"));
}

}  // namespace tnb
