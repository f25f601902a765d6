#include "methods/factorize/truncation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "methods/factorize/filtered.h"
#include "methods/factorize/randomized.h"
#include "models/engine/ops.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Singular values k^-power, random vectors; power 0: Gaussian.
at::Tensor Matrix(int64_t rows, int64_t cols, double power) {
  at::manual_seed(17);
  const at::Tensor w = at::randn({rows, cols});
  if (power == 0) return w;
  const int64_t count = std::min(rows, cols);
  const at::Tensor left = std::get<0>(at::linalg_qr(w.narrow(1, 0, count)));
  const at::Tensor right = std::get<0>(at::linalg_qr(at::randn({cols, count})));
  return at::matmul(left * at::pow(at::arange(1, count + 1, at::kFloat), -power), right.t());
}

double Discarded(const at::Tensor& w, int64_t rank) {
  const at::Tensor squares = at::linalg_svdvals(w.to(at::kDouble)).square();
  return squares.narrow(0, rank, squares.size(0) - rank).sum().item<double>();
}

}  // namespace

TEST_CASE("few of many values: an error within half a percent of the least, orthogonal to what is kept") {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{512, 540}, {540, 512}}) {
    for (const double power : {0.0, 1.0}) {
      const int64_t rank = 30;
      REQUIRE(FewValues(rows, cols, rank));
      const at::Tensor w = Matrix(rows, cols, power);
      const std::optional<TruncatedSvd> svd = RandomizedSvd(w, rank);
      CAPTURE(rows, cols, power);
      REQUIRE(svd);
      // The recorded error is the true one; fp32 sums: 1e-5.
      const at::Tensor rest = w - at::matmul(svd->left * svd->values, svd->right);
      CHECK(svd->discarded_squares ==
            Approx(rest.to(at::kDouble).square().sum().item<double>()).epsilon(1e-5));
      const double least = Discarded(w, rank);
      CHECK(std::sqrt(svd->discarded_squares) <= 1.005 * std::sqrt(least));
      CHECK(svd->discarded_squares >= least * (1 - 1e-4));
      CHECK(at::allclose(at::matmul(svd->left.t(), svd->left), at::eye(rank), 0, 1e-4));
      CHECK(at::allclose(at::matmul(svd->right, svd->right.t()), at::eye(rank), 0, 1e-4));
      CHECK(at::matmul(svd->left.t(), rest).abs().max().item<double>() < 1e-3 * w.norm().item<double>());
      CHECK(at::equal(svd->left, RandomizedSvd(w, rank)->left));
    }
  }
}

TEST_CASE("filtered subspace iteration misses no more than the eigenvalues it should") {
  // Small sizes here; it is used from 2048 on.
  for (const int64_t rank : {20, 90}) {
    const at::Tensor w = Matrix(300, 340, 0);
    const at::Tensor gram = Gram(w);
    CHECK(at::allclose(gram, at::matmul(w, w.t()), 1e-4, 1e-3));
    CHECK(at::equal(gram, gram.t()));
    const std::optional<at::Tensor> basis = FilteredVectors(gram, rank);
    REQUIRE(basis);
    CHECK(at::allclose(at::matmul(basis->t(), *basis), at::eye(rank), 0, 1e-4));
    const double kept = at::matmul(basis->t(), w).to(at::kDouble).square().sum().item<double>();
    const double missed = w.to(at::kDouble).square().sum().item<double>() - kept;
    CAPTURE(rank, missed, Discarded(w, rank));
    // Settled means 1/200, as estimated.
    CHECK(missed < 1.006 * Discarded(w, rank));
    CHECK(missed > 0.9999 * Discarded(w, rank));
  }
  // In bf16 too, where much is missed; not where next to nothing is.
  const at::Tensor wide = Matrix(600, 640, 0);
  const std::optional<at::Tensor> rough = FilteredVectors(Gram(wide.to(at::kBFloat16)), 180);
  REQUIRE(rough);
  const double missed =
      (wide - at::matmul(*rough, at::matmul(rough->t(), wide))).square().sum().item<double>();
  CHECK(missed < 1.01 * Discarded(wide, 180));
  CHECK_FALSE(FilteredVectors(Gram(Matrix(600, 640, 1.5).to(at::kBFloat16)), 60));
  // Too many wanted; values that differ too much; nothing there.
  CHECK_FALSE(FilteredVectors(Gram(Matrix(300, 340, 0)), 200));
  CHECK_FALSE(FilteredVectors(Gram(Matrix(300, 340, 1)), 60));
  CHECK_FALSE(FilteredVectors(at::zeros({300, 300}), 20));
}

TEST_CASE("where the eigenvalues of a large matrix lie") {
  for (const double power : {0.0, 0.5}) {
    const at::Tensor gram = Gram(Matrix(900, 1000, power));
    const std::optional<SpectrumEstimate> estimate = EstimateSpectrum(gram);
    REQUIRE(estimate);
    const at::Tensor exact = at::linalg_eigvalsh(gram.to(at::kDouble)).flip(0);
    const double total = exact.sum().item<double>();
    CHECK(estimate->largest() == Approx(exact[0].item<double>()).epsilon(0.01));
    for (const int64_t rank : {60, 270, 600}) {
      // Counts are right to a tenth; the share is the mean of 8 random probes, whose deviation of
      // sqrt(2 / 8 sum(squares)) / sum is 0.09 for 1, 1/2, 1/3 ..., less for shares.
      CAPTURE(power, rank);
      CHECK(estimate->At(static_cast<double>(rank)) < exact[rank * 9 / 10 - 10].item<double>());
      CHECK(estimate->At(static_cast<double>(rank)) > exact[rank * 11 / 10 + 10].item<double>());
      const double share = exact.narrow(0, 0, rank).sum().item<double>() / total;
      CHECK(estimate->Share(static_cast<double>(rank)) == Approx(share).margin(power == 0 ? 0.01 : 0.06));
    }
  }
  CHECK_FALSE(EstimateSpectrum(at::zeros({300, 300})));
  CHECK_FALSE(EstimateSpectrum(at::eye(300)));
  CHECK_FALSE(EstimateSpectrum(at::full({300, 300}, NAN)));
}

TEST_CASE("a matrix of lower rank than asked for, zeros, and values that are not finite") {
  at::manual_seed(18);
  const at::Tensor low = at::matmul(at::randn({600, 5}), at::randn({5, 520}));
  const TruncatedSvd svd = Truncate(low, 20);
  CHECK(svd.discarded_squares < 1e-8 * low.square().sum().item<double>());
  CHECK(svd.values.size(0) == 20);
  const TruncatedSvd zeros = Truncate(at::zeros({520, 520}), 20);
  CHECK(zeros.discarded_squares == 0);
  CHECK(at::isfinite(zeros.left).all().item<bool>());
  at::Tensor broken = low.clone();
  broken[1][2] = INFINITY;
  CHECK_THROWS_WITH(Truncate(broken, 20), Catch::Matchers::Contains("NaN or infinity"));
  CHECK_FALSE(FewValues(512, 512, 86));
  CHECK_FALSE(FewValues(256, 4096, 20));
  CHECK_FALSE(FewValues(4096, 4096, 0));
}

}  // namespace tnb
