// The loss and its derivative against the formula in fp64 and autograd of it.
#include "models/training/loss.h"

#include <ATen/ATen.h>

#include "tests/support/catch.h"

namespace tnb {
namespace {

struct Case {
  at::Tensor logits, targets, weights, teacher;
};

Case Make(int64_t rows, int64_t vocabulary) {
  at::manual_seed(5);
  return {at::randn({rows, vocabulary}) * 3, at::randint(vocabulary, {rows}, at::kLong),
          at::rand({rows}) + 0.1, at::randn({rows, vocabulary}) * 3};
}

// As the header says, in fp64.
at::Tensor Formula(const at::Tensor& z, const Case& c, const LossOptions& options) {
  const at::Tensor own = at::log_softmax(z, -1).gather(1, c.targets.unsqueeze(1)).squeeze(1);
  const double t = options.temperature;
  const at::Tensor p = at::log_softmax(c.teacher.to(at::kDouble) / t, -1), q = at::log_softmax(z / t, -1);
  const at::Tensor kl = (p.exp() * (p - q)).sum(1);
  return (c.weights.to(at::kDouble) * ((options.distillation - 1) * own + options.distillation * t * t * kl))
      .sum();
}

}  // namespace

TEST_CASE("loss and derivative follow the formula, whatever the mixture and temperature") {
  // A vocabulary of 300,000 is computed three rows at a time.
  for (const auto& [rows, vocabulary] : {std::pair<int64_t, int64_t>{37, 29}, {1, 3}, {7, 300000}}) {
    const Case c = Make(rows, vocabulary);
    for (const LossOptions options : {LossOptions{}, {0.9, 1}, {1, 1}, {0.5, 2}, {0.3, 0.5}}) {
      CAPTURE(rows, vocabulary, options.distillation, options.temperature);
      const at::Tensor z = c.logits.to(at::kDouble).requires_grad_(true);
      const at::Tensor expected = Formula(z, c, options);
      expected.backward();
      LossSums sums;
      const at::Tensor gradient =
          LossGradient(c.logits, c.targets, c.weights, options.distillation > 0 ? c.teacher : at::Tensor(),
                       options, 0.25, sums);
      CHECK(sums.weight == Approx(c.weights.sum().item<double>()));
      // fp32 sums over the vocabulary: sqrt(300,000) roundings of 6e-8 are 3e-5.
      CHECK(sums.Loss(options) == Approx(expected.item<double>() / sums.weight).epsilon(3e-5));
      CHECK((gradient - 0.25 * z.grad()).abs().max().item<double>() < 1e-6);
    }
  }
}

TEST_CASE("bf16 logits are read as they are, and the derivative is rounded once") {
  const Case c = Make(20, 50);
  const at::Tensor rounded = c.logits.to(at::kBFloat16);
  LossSums sums, exact;
  const LossOptions options{0.9, 1};
  const at::Tensor gradient = LossGradient(rounded, c.targets, c.weights, c.teacher, options, 1, sums);
  const at::Tensor expected =
      LossGradient(rounded.to(at::kFloat), c.targets, c.weights, c.teacher, options, 1, exact);
  CHECK(gradient.scalar_type() == at::kBFloat16);
  CHECK(sums.Loss(options) == exact.Loss(options));
  CHECK(at::equal(gradient, expected.to(at::kBFloat16)));
}

TEST_CASE("a token that the model has ruled out costs much, and nothing becomes NaN") {
  const at::Tensor logits = at::tensor({200.0F, -200.0F, 0.0F}).unsqueeze(0);
  LossSums sums;
  const at::Tensor gradient =
      LossGradient(logits, at::tensor({int64_t{1}}), at::ones({1}), -logits, LossOptions{0.5, 1}, 1, sums);
  CHECK(sums.cross_entropy == Approx(400));
  CHECK(at::isfinite(gradient).all().item<bool>());
  CHECK(std::isfinite(sums.divergence));
}

TEST_CASE("hidden states are measured by the size of each token's own") {
  at::manual_seed(7);
  const at::Tensor hidden = at::randn({12, 8}), weights = at::rand({12});
  // Sizes from a hundredth to a thousand, and a token without any.
  at::Tensor teacher = hidden + 0.3 * at::randn({12, 8});
  teacher.mul_(at::logspace(-2, 3, 12).unsqueeze(1));
  teacher[5].zero_();
  const at::Tensor h = hidden.to(at::kDouble).requires_grad_(true), t = teacher.to(at::kDouble);
  at::Tensor shares = weights.to(at::kDouble) / t.square().sum(1);
  shares[5] = 0;
  const at::Tensor expected = ((h - t).square().sum(1) * shares).sum();
  expected.backward();
  double sum = 1;
  const at::Tensor gradient = HiddenGradient(hidden, teacher, weights, 0.25, sum);
  // fp32: sums over 8 values, 6e-8 each.
  CHECK(sum - 1 == Approx(expected.item<double>()).epsilon(1e-6));
  CHECK((gradient - 0.25 * h.grad()).abs().max().item<double>() < 1e-6 * h.grad().abs().max().item<double>());
  CHECK(gradient[5].abs().max().item<double>() == 0);
}

}  // namespace tnb
