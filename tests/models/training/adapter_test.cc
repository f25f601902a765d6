// Adapters beside stored weights: where they begin, what trains, what stays, and how it is stored.
#include "models/training/adapter.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include <map>

#include "base/error.h"
#include "models/engine/linear_parts.h"
#include "models/training/trainer.h"
#include "tests/models/training/formula_model.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::FormulaModel;

WeightPtr Nibbles(const at::Tensor& w) {
  const at::Tensor scales = (w.abs().amax(1, true) / 7).to(at::kHalf);
  CodedMatrix made{.bits = 4};
  made.codes = ((w / scales.to(at::kFloat)).round().clamp(-8, 7) + 8).to(at::kByte);
  made.scales = scales;
  return MakeCodedWeight(made, Activation::kF32);
}

at::Generator Generator(uint64_t seed = 1) { return at::make_generator<at::CPUGeneratorImpl>(seed); }

// The model of FormulaModel(0) with 4-bit linears, a bias, and adapters of `rank` beside all block linears.
Model PackedModel(int64_t rank) {
  Model model = FormulaModel(0);
  at::Generator generator = Generator();
  for (LinearSlot* slot : model.Slots()) {
    if (slot->block < 0) continue;
    slot->linear = MakeDenseLinear(Nibbles(slot->linear->Rebuild()));
    if (slot->kind == LinearKind::kQ) slot->linear->set_bias(at::linspace(-0.1, 0.1, 32));
    if (rank > 0) AddAdapter(*slot, rank, generator);
  }
  return model;
}

TrainerOptions AdaptersOnly(double factor) {
  TrainerOptions options{.learning_rate = 1e-2, .steps = 20, .last_rate = 1, .norms = false};
  options.trains = [](const LinearSlot& slot, int64_t index) { return slot.linear->adapter(index); };
  options.factor = [factor](const LinearSlot& slot, int64_t index) {
    return index == slot.linear->weight_count() - 1 ? factor : 1;
  };
  return options;
}

std::vector<TrainingBatch> Sentences() {
  return {WholeSequences(at::arange(4 * 17, at::kLong).mul(7).add(3).remainder(61).view({4, 17}))};
}

std::map<std::string, at::Tensor> Stored(const Linear& linear) {
  std::map<std::string, at::Tensor> tensors;
  linear.Save([&](const std::string& name, const at::Tensor& values) { tensors[name] = values.clone(); });
  return tensors;
}

}  // namespace

TEST_CASE("an adapter begins as nothing, beside the stored weight and its bias") {
  const Model plain = PackedModel(0), adapted = PackedModel(4);
  for (const LinearSlot* slot : adapted.Slots()) {
    CAPTURE(slot->name);
    const LinearSlot* was = nullptr;
    for (const LinearSlot* other : plain.Slots()) was = other->name == slot->name ? other : was;
    const Linear &now = *slot->linear, &before = *was->linear;
    CHECK(at::equal(now.Rebuild(), before.Rebuild()));
    const at::Tensor x = at::randn({5, now.in_features()});
    CHECK(at::equal(now.Forward(x), before.Forward(x)));
    if (slot->block < 0) continue;
    CHECK(now.adapted());
    CHECK_FALSE(before.adapted());
    CHECK(now.bias().defined() == before.bias().defined());
    // Values of the adapter in bf16, and nothing else on top.
    const int64_t values = 4 * (now.out_features() + now.in_features());
    CHECK(now.size().parameters == before.size().parameters + values);
    CHECK(now.size().bytes == before.size().bytes + 2 * values);
    CHECK(now.size().code_bits == before.size().code_bits);
    // The drawn factor, A, is uniform within 1 / sqrt(in); bf16 rounds up by 2^-9 at most.
    const at::Tensor a = now.weight(1)->Dense();
    CHECK(a.size(0) == 4);
    const double bound = 1 / std::sqrt(static_cast<double>(now.in_features()));
    CHECK(a.abs().max().item<double>() <= bound * (1 + 1.0 / 512));
    CHECK(a.abs().max().item<double>() > 0.8 * bound);
  }
  // The same seed, the same adapters.
  CHECK(ContentHash(adapted) == ContentHash(PackedModel(4)));
}

TEST_CASE("only adapters train: they have the gradients and moments, and the base stays to the bit") {
  Model model = PackedModel(4);
  const Model before = PackedModel(4);
  Trainer trainer(model, AdaptersOnly(2));
  int64_t values = 0;
  for (const LinearSlot* slot : model.Slots())
    if (slot->block >= 0) values += 4 * (slot->linear->out_features() + slot->linear->in_features());
  CHECK(trainer.parameters() == values);
  CHECK(trainer.gradient_bytes() == 4 * values);
  CHECK(trainer.optimizer_bytes() == 8 * values);
  CHECK(trainer.leaves().size() == 2 * 14);
  const double first = trainer.Step(Sentences()).loss;
  for (int i = 0; i < 19; ++i) trainer.Step(Sentences());
  const double last = trainer.Evaluate(Sentences()).cross_entropy;
  CHECK(last < first - 0.5);
  trainer.Store(model);
  for (const LinearSlot* slot : model.Slots()) {
    CAPTURE(slot->name);
    const LinearSlot* was = nullptr;
    for (const LinearSlot* other : before.Slots()) was = other->name == slot->name ? other : was;
    const auto now = Stored(*slot->linear), then = Stored(*was->linear);
    REQUIRE(now.size() == then.size());
    for (const auto& [name, tensor] : then) {
      CAPTURE(name);
      CHECK(at::equal(now.at(name), tensor) != name.starts_with(".part1"));
    }
  }
  CHECK(at::equal(model.final_norm, before.final_norm));
  CHECK(at::equal(model.blocks[0].mlp_norm, before.blocks[0].mlp_norm));
  // What is stored is what was trained, up to bf16.
  const Trainer again(model, AdaptersOnly(2));
  CHECK(again.Evaluate(Sentences()).cross_entropy == Approx(last).epsilon(5e-3));
}

TEST_CASE("the scale of an adapter is a factor of what it adds, and of its gradients") {
  // One step of AdamW from zero moments is the learning rate in the direction of the gradient's sign, for B
  // at any scale: stored is the scale times that. A gets no gradient while B is zero.
  for (const double scale : {0.5, 1.0, 4.0}) {
    CAPTURE(scale);
    Model model = PackedModel(4);
    TrainerOptions options = AdaptersOnly(scale);
    options.weight_decay = 0;
    Trainer trainer(model, options);
    const at::Tensor a = model.blocks[1].up.linear->weight(1)->Dense();
    trainer.Step(Sentences());
    trainer.Store(model);
    CHECK(at::equal(model.blocks[1].up.linear->weight(1)->Dense(), a));
    const at::Tensor b = model.blocks[1].up.linear->weight(2)->Dense().abs();
    // Gradients near Adam's epsilon move less; bf16 has 8 bits.
    CHECK(b.median().item<double>() == Approx(scale * 1e-2).epsilon(0.01));
  }
}

TEST_CASE("recomputing activations changes no bit beside packed weights") {
  for (const bool bf16 : {false, true}) {
    std::vector<double> losses[2];
    for (const bool recompute : {false, true}) {
      const Model model = PackedModel(3);
      TrainerOptions options = AdaptersOnly(1);
      options.recompute = recompute;
      options.bf16 = bf16;
      Trainer trainer(model, options);
      for (int i = 0; i < 4; ++i) losses[recompute ? 1 : 0].push_back(trainer.Step(Sentences()).loss);
    }
    CHECK(losses[0] == losses[1]);
    CHECK(losses[0].back() < losses[0].front());
  }
}

TEST_CASE("a product with a stored weight has the values and gradients of its matrix") {
  at::manual_seed(4);
  const WeightPtr weight = Nibbles(at::randn({12, 40}));
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const at::Tensor x = at::randn({5, 40}).to(type).requires_grad_(true);
    const at::Tensor z = x.detach().clone().requires_grad_(true);
    const at::Tensor y = TimesStored(x, weight);
    const at::Tensor expected = at::linear(z, weight->Dense().to(type));
    CHECK(y.scalar_type() == type);
    CHECK(at::equal(y, expected));
    y.square().sum().backward();
    expected.square().sum().backward();
    // The same product; its operands may be laid out in another way.
    CHECK(at::allclose(x.grad(), z.grad(), type == at::kBFloat16 ? 1e-2 : 1e-5, 1e-5));
    const c10::NoGradGuard off;
    CHECK_FALSE(TimesStored(x, weight).requires_grad());
  }
}

TEST_CASE("adapters may be stacked, stored and read again") {
  LinearSlot slot;
  slot.name = "blocks.0.q";
  slot.linear = MakeDenseLinear(Nibbles(at::randn({24, 40})));
  at::Generator generator = Generator();
  AddAdapter(slot, 2, generator);
  slot.linear->ReplaceWeight(2, slot.linear->weight(2)->WithTrained({at::randn({24, 2})}));
  AddAdapter(slot, 5, generator);
  slot.linear->ReplaceWeight(4, slot.linear->weight(4)->WithTrained({at::randn({24, 5})}));
  const Linear& linear = *slot.linear;
  REQUIRE(linear.weight_count() == 5);
  CHECK_FALSE(linear.adapter(0));
  for (int64_t i = 1; i < 5; ++i) CHECK(linear.adapter(i));
  CHECK(AdapterMatrix(linear).sizes() == at::IntArrayRef({24, 40}));
  CHECK(at::equal(AdapterMatrix(linear), at::matmul(linear.weight(4)->Dense(), linear.weight(3)->Dense())));
  std::map<std::string, at::Tensor> tensors;
  Json json = linear.Save([&](const std::string& name, const at::Tensor& values) { tensors[name] = values; });
  const auto load = [&] {
    return LoadLinear(
        json, [&](const std::string& name) { return tensors.at(name); }, "a test");
  };
  const std::unique_ptr<Linear> read = load();
  const at::Tensor x = at::randn({3, 40});
  CHECK(at::equal(read->Forward(x), linear.Forward(x)));
  CHECK(read->size().bytes == linear.size().bytes);
  for (int64_t i = 0; i < 5; ++i) CHECK(read->adapter(i) == linear.adapter(i));
  json["adapters"] = 2;
  CHECK_THROWS_WITH(load(), Catch::Matchers::Contains("impossible number of adapters"));
}

TEST_CASE("an impossible rank is refused with the legal range") {
  for (const int64_t rank : {int64_t{0}, int64_t{17}}) {
    Model model = FormulaModel(0);
    at::Generator generator = Generator();
    CHECK_THROWS_WITH(AddAdapter(model.blocks[1].k, rank, generator),
                      Catch::Matchers::Contains("1 to 16 for 16 x 32") &&
                          Catch::Matchers::Contains(std::to_string(rank)) &&
                          Catch::Matchers::Contains("blocks.1.k"));
  }
}

}  // namespace tnb
