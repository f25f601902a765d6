// Gradients of every form that trains: against finite differences in fp64, and against autograd of the
// rebuilt matrix.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>

#include "models/training/adapter.h"
#include "tests/models/engine/random_codebooks.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

struct Form {
  std::string name;
  std::unique_ptr<Linear> linear;
};

WeightPtr Integers(int bits, int64_t group, bool zeros, int64_t rows, int64_t cols) {
  const int64_t groups = group == 0 ? 1 : (cols + group - 1) / group;
  CodedMatrix codes{.bits = bits, .group = group};
  codes.codes = at::randint(1 << bits, {rows, cols}, at::kByte);
  codes.scales = (at::rand({rows, groups}) + 0.1).to(at::kHalf);
  if (zeros) codes.zeros = at::randint(1 << bits, {rows, groups}, at::kByte);
  return MakeCodedWeight(codes, Activation::kF32);
}

WeightPtr Levels(int64_t rows, int64_t cols) {
  CodedMatrix codes{.bits = 4, .group = 64};
  codes.levels = "nf4";
  codes.codes = at::randint(16, {rows, cols}, at::kByte);
  codes.scales = (at::rand({rows, (cols + 63) / 64}) + 0.1).to(at::kHalf);
  return MakeCodedWeight(codes, Activation::kF32);
}

// Legs: outputs 0 1, inputs 2 3, bonds from 4 on.
std::unique_ptr<Linear> Network(const std::vector<std::vector<int>>& cores,
                                const std::vector<int64_t>& sizes) {
  std::vector<NetworkTensor> tensors;
  for (const std::vector<int>& legs : cores) {
    std::vector<int64_t> shape;
    for (const int leg : legs) shape.push_back(sizes[static_cast<size_t>(leg)]);
    tensors.push_back({at::randn(shape), legs});
  }
  return MakeNetworkLinear(tensors, {0, 1}, {2, 3});
}

std::vector<Form> Forms() {
  at::manual_seed(11);
  std::vector<Form> forms;
  const auto dense = [&](const std::string& name, WeightPtr weight) {
    forms.push_back({name, MakeDenseLinear(std::move(weight))});
  };
  dense("fp32", MakeDenseWeight(at::randn({12, 10})));
  dense("fp16", MakeDenseWeight(at::randn({12, 10}).to(at::kHalf)));
  dense("bf16", MakeDenseWeight(at::randn({12, 10}).to(at::kBFloat16)));
  dense("int8 row", Integers(8, 0, false, 12, 40));
  dense("int8 g32", Integers(8, 32, false, 12, 40));
  dense("int4 g32 sym", Integers(4, 32, false, 12, 40));
  dense("int4 g32 asym", Integers(4, 32, true, 12, 40));
  dense("int4 row asym", Integers(4, 0, true, 12, 7));
  dense("int3 g32 asym", Integers(3, 32, true, 12, 40));
  dense("nf4", Levels(12, 70));
  Codebooks additive{.rows = 12, .cols = 40, .width = 8};
  additive.scales = (at::rand({12}) + 0.1).to(at::kHalf);
  additive.stages = {testing::RandomStage(additive, 1, 5, 0, 16),
                     testing::RandomStage(additive, 2, 3, 0, 16)};
  dense("additive codebooks", MakeCodebookWeight(additive));
  dense("rotated codebooks in clusters", MakeCodebookWeight(testing::RandomClusters(12, 40, 8, 2, 4)));
  const at::Tensor kept = at::rand({12, 40}) < 0.3;
  dense("sparse fp32", MakeSparseWeight(kept, at::randn({12, 40})));
  dense("sparse bf16", MakeSparseWeight(kept, at::randn({12, 40}).to(at::kBFloat16)));
  const std::vector<int64_t> sizes = {3, 4, 2, 5, 6, 3, 2};
  forms.push_back({"low rank", Network({{0, 1, 4}, {4, 2, 3}}, sizes)});
  forms.push_back({"mpo", Network({{0, 2, 4}, {4, 1, 3}}, sizes)});
  forms.push_back({"mpo of a wide bond", Network({{0, 2, 4}, {4, 1, 3}}, {3, 4, 2, 5, 40})});
  forms.push_back({"tucker", Network({{0, 4}, {1, 5}, {4, 5, 6, 2}, {6, 3}}, sizes)});
  std::unique_ptr<Linear> mixed = Network({{0, 2, 4}, {4, 1, 3}}, sizes);
  mixed->ReplaceWeight(0, Integers(8, 0, false, mixed->weight(0)->rows(), mixed->weight(0)->cols()));
  forms.push_back({"mpo with one core in int8", std::move(mixed)});
  std::vector<std::unique_ptr<Linear>> parts;
  parts.push_back(Network({{0, 1, 4}, {4, 2, 3}}, sizes));
  parts.push_back(MakeDenseLinear(MakeSparseWeight(at::rand({12, 10}) < 0.2, at::randn({12, 10}))));
  forms.push_back({"low rank and sparse", MakeSumLinear(std::move(parts))});
  forms.push_back(
      {"mpo, permuted", MakePermutedLinear(Network({{0, 2, 4}, {4, 1, 3}}, sizes),
                                           at::randperm(12, at::kLong), at::randperm(10, at::kLong))});
  return forms;
}

// An adapter beside every form, and beside those that train nothing themselves; B is not zero.
std::vector<Form> AdaptedForms() {
  std::vector<Form> forms = Forms();
  CodedMatrix twice{.bits = 4, .group = 64, .codes = at::randint(16, {12, 70}, at::kByte)};
  twice.levels = "fp4";
  twice.scales = at::randint(256, {12, 2}, at::kByte);
  twice.scale_blocks = at::rand({1}) + 0.5;
  forms.push_back({"fp4 with quantized scales", MakeDenseLinear(MakeCodedWeight(twice, Activation::kF32))});
  for (const char* type : {"Q8_0", "Q4_0", "Q4_K"}) {
    forms.push_back({type, MakeDenseLinear(MakeBlockWeight(at::randn({12, 256}), type))});
  }
  forms.push_back(
      {"sparse int8", MakeDenseLinear(KeepZeros(at::rand({12, 40}) < 0.5, Integers(8, 0, false, 12, 40)))});
  auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{5});
  for (Form& form : forms) {
    LinearSlot slot;
    slot.linear = std::move(form.linear);
    AddAdapter(slot, 3, generator);
    const int64_t last = slot.linear->weight_count() - 1;
    const WeightPtr b = slot.linear->weight(last);
    slot.linear->ReplaceWeight(last, b->WithTrained({at::randn({b->rows(), b->cols()})}));
    form.linear = std::move(slot.linear);
  }
  return forms;
}

// Where a linear has an adapter, this alone trains.
struct Leaves {
  std::vector<std::vector<at::Tensor>> tensors;  // of every weight, fp64

  explicit Leaves(const Linear& linear) {
    for (int64_t i = 0; i < linear.weight_count(); ++i) {
      tensors.emplace_back();
      if (linear.adapted() && !linear.adapter(i)) continue;
      for (const at::Tensor& values : linear.weight(i)->TrainableTensors())
        tensors.back().push_back(values.to(at::kDouble).requires_grad_(true));
    }
  }
  std::vector<at::Tensor> Matrices(const Linear& linear) const {
    std::vector<at::Tensor> matrices;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      const bool stored = linear.adapted() && !linear.adapter(index);
      matrices.push_back(stored ? at::Tensor() : linear.weight(index)->DenseOf(tensors[i]));
    }
    return matrices;
  }
  std::vector<at::Tensor> TakeGradients() {
    std::vector<at::Tensor> gradients;
    for (auto& weight : tensors) {
      for (at::Tensor& leaf : weight) {
        gradients.push_back(leaf.grad().clone());
        leaf.mutable_grad().reset();
      }
    }
    return gradients;
  }
};

// A loss with curvature, so that finite differences have something to get wrong.
at::Tensor LossOf(const at::Tensor& y, const at::Tensor& target) { return (y - target).square().sum() / 2; }

// Of x and of what trains, by central differences in a random direction.
void CheckDifferences(const std::vector<Form>& forms) {
  for (const Form& form : forms) {
    CAPTURE(form.name);
    const Linear& linear = *form.linear;
    const at::Tensor x = at::randn({5, linear.in_features()}, at::kDouble).requires_grad_(true);
    const at::Tensor target = at::randn({5, linear.out_features()}, at::kDouble);
    Leaves leaves(linear);
    LossOf(linear.ForwardWith(leaves.Matrices(linear), x), target).backward();
    const auto value = [&] {
      const c10::NoGradGuard off;
      return LossOf(linear.ForwardWith(leaves.Matrices(linear), x), target).item<double>();
    };
    const auto differs = [&](const at::Tensor& tensor, const at::Tensor& gradient) {
      const at::Tensor direction = at::randn_like(tensor);
      const double step = 1e-5;
      at::Tensor values = tensor.detach();
      values.add_(direction, step);
      const double above = value();
      values.add_(direction, -2 * step);
      const double below = value();
      values.add_(direction, step);
      const double expected = (direction * gradient).sum().item<double>();
      CHECK((above - below) / (2 * step) == Approx(expected).epsilon(1e-6).margin(1e-6));
    };
    differs(x, x.grad());
    for (const auto& weight : leaves.tensors) {
      for (const at::Tensor& leaf : weight) differs(leaf, leaf.grad());
    }
  }
}

void CheckAgainstRebuilt(const std::vector<Form>& forms) {
  for (const Form& form : forms) {
    CAPTURE(form.name);
    const Linear& linear = *form.linear;
    const at::Tensor x = at::randn({3, linear.in_features()}, at::kDouble);
    const at::Tensor target = at::randn({3, linear.out_features()}, at::kDouble);
    Leaves leaves(linear);
    // Token by token and all at once: a network may choose another way to compute.
    for (int64_t i = 0; i < 3; ++i)
      LossOf(linear.ForwardWith(leaves.Matrices(linear), x.narrow(0, i, 1)), target.narrow(0, i, 1))
          .backward();
    const std::vector<at::Tensor> one_by_one = leaves.TakeGradients();
    LossOf(linear.ForwardWith(leaves.Matrices(linear), x), target).backward();
    const std::vector<at::Tensor> together = leaves.TakeGradients();
    // W itself is what the linear makes of the identity.
    const at::Tensor w =
        linear.ForwardWith(leaves.Matrices(linear), at::eye(linear.in_features(), at::kDouble)).t();
    // The engine's own is fp32.
    CHECK((w - linear.Rebuild()).abs().max().item<double>() < 1e-5 * w.abs().max().item<double>());
    LossOf(at::linear(x, w), target).backward();
    const std::vector<at::Tensor> rebuilt = leaves.TakeGradients();
    REQUIRE(together.size() == rebuilt.size());
    CHECK_FALSE(rebuilt.empty());
    for (size_t i = 0; i < rebuilt.size(); ++i) {
      CHECK(at::allclose(together[i], rebuilt[i], 1e-9, 1e-9));
      CHECK(at::allclose(one_by_one[i], rebuilt[i], 1e-9, 1e-9));
    }
  }
}

}  // namespace

TEST_CASE("gradients of every trainable form agree with finite differences") { CheckDifferences(Forms()); }

TEST_CASE("gradients agree with autograd of the rebuilt matrix") { CheckAgainstRebuilt(Forms()); }

TEST_CASE("gradients of an adapter beside any stored form agree with finite differences") {
  CheckDifferences(AdaptedForms());
}

TEST_CASE("gradients of an adapter agree with autograd of the rebuilt matrix") {
  CheckAgainstRebuilt(AdaptedForms());
}

TEST_CASE("what was trained is stored in the weight's own format") {
  for (const Form& form : Forms()) {
    CAPTURE(form.name);
    for (int64_t i = 0; i < form.linear->weight_count(); ++i) {
      const WeightPtr weight = form.linear->weight(i);
      std::vector<at::Tensor> tensors = weight->TrainableTensors();
      const WeightPtr same = weight->WithTrained(tensors);
      CHECK(same->format() == weight->format());
      CHECK(same->size().bytes == weight->size().bytes);
      CHECK(at::equal(same->Dense(), weight->Dense()));
      tensors.back().mul_(2);  // exact in every format; of several, these are scales
      CHECK(at::equal(weight->WithTrained(tensors)->Dense(), weight->Dense() * 2));
    }
  }
}

}  // namespace tnb
