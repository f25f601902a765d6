#include "methods/factorize/whitening.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "methods/factorize/chain.h"
#include "tests/methods/forms.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// A positive definite matrix with eigenvalues over some decades.
at::Tensor Covariance(int64_t size, uint64_t seed, double decades = 3) {
  at::manual_seed(seed);
  const at::Tensor q = std::get<0>(at::linalg_qr(at::randn({size, size}, at::kDouble)));
  const at::Tensor values = at::pow(10.0, at::linspace(0, -decades, size, at::kDouble));
  return at::matmul(q * values, q.t());
}

// tr(G D H Dᵀ)
double Loss(const at::Tensor& difference, const at::Tensor& g, const at::Tensor& h) {
  const at::Tensor d = difference.to(at::kDouble);
  return at::matmul(at::matmul(g, d), at::matmul(h, d.t())).trace().item<double>();
}

}  // namespace

TEST_CASE("a whitening factor is the Cholesky factor of the damped covariance") {
  const at::Tensor h = Covariance(20, 1);
  const at::Tensor factor = WhiteningFactor(h, 0.01);
  const at::Tensor damped = h + 0.01 * h.diagonal().mean() * at::eye(20, at::kDouble);
  CHECK(at::allclose(at::matmul(factor, factor.t()), damped, 1e-12, 1e-14));
  CHECK(at::equal(factor, factor.tril()));
}

TEST_CASE("covariances that are not positive definite get a larger ridge, and say so") {
  // Rank 2 of 6: fewer tokens than inputs.
  const at::Tensor x =
      at::tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 1.0, -1.0, 1.0, 0.0, 2.0}, at::kDouble).view({2, 6});
  const at::Tensor h = at::matmul(x.t(), x);
  double used = -1;
  const at::Tensor factor = WhiteningFactor(h, 0, &used);
  CHECK(used == 1e-6);
  CHECK(at::allclose(at::matmul(factor, factor.t()), h, 0, 1e-4));
  WhiteningFactor(h, 0.5, &used);
  CHECK(used == 0.5);
  // A negative eigenvalue, as rounding may leave it.
  const at::Tensor factor_of_indefinite =
      WhiteningFactor(at::diag(at::tensor({1.0, 1.0, -1e-7}, at::kDouble)), 1e-9, &used);
  CHECK(used > 1e-9);
  CHECK(at::isfinite(factor_of_indefinite).all().item<bool>());
  CHECK(at::equal(WhiteningFactor(at::zeros({3, 3}), 0.1), at::eye(3, at::kDouble)));
  CHECK_THROWS_AS(WhiteningFactor(at::full({2, 2}, NAN), 0.1), Error);
}

TEST_CASE("Kronecker factors give a Kronecker product back, and the trace of anything") {
  const at::Tensor a = Covariance(4, 2), b = Covariance(3, 3), c = Covariance(5, 4);
  const at::Tensor product = at::kron(at::kron(a, b), c);
  const auto factors = KroneckerFactors(product, {4, 3, 5});
  REQUIRE(factors.size() == 3);
  CHECK(at::allclose(at::kron(at::kron(factors[0], factors[1]), factors[2]), product, 1e-10, 1e-14));
  const at::Tensor h = Covariance(60, 5);
  const auto approximate = KroneckerFactors(h, {4, 15});
  CHECK((approximate[0].trace() * approximate[1].trace()).item<double>() ==
        Approx(h.trace().item<double>()).epsilon(1e-12));
  // One leg is everything.
  const auto whole = KroneckerFactors(h, {1, 60});
  CHECK(at::allclose(whole[0] * whole[1], h, 1e-12, 1e-15));
}

TEST_CASE("what is cut in the whitened matrix is what is lost in the metric") {
  at::manual_seed(8);
  const at::Tensor w = at::randn({36, 60});
  const at::Tensor g = Covariance(36, 6), h = Covariance(60, 7);
  const at::Tensor damped_g = g + 0.01 * g.diagonal().mean() * at::eye(36, at::kDouble);
  const at::Tensor damped_h = h + 1e-4 * h.diagonal().mean() * at::eye(60, at::kDouble);
  const Legs legs{{36, 1}, {1, 60}};
  for (const bool both : {false, true}) {
    const LegWhitening whitening = WhitenLegs(both ? g : at::Tensor(), 0.01, h, 1e-4, legs);
    const at::Tensor metric = both ? damped_g : at::eye(36, at::kDouble);
    // The optimum, independently: Eckart and Young for the symmetric square roots.
    const auto root = [](const at::Tensor& m) {
      const auto [values, vectors] = at::linalg_eigh(m);
      return at::matmul(vectors * values.sqrt(), vectors.t());
    };
    const at::Tensor squares =
        std::get<1>(
            at::linalg_svd(at::matmul(at::matmul(root(metric), w.to(at::kDouble)), root(damped_h)), false))
            .square();
    for (const int64_t rank : {1, 7, 20}) {
      const testing::Fitted result = testing::Fit(ChainForm(legs, {}), w, {.rank = rank}, whitening);
      const double loss = Loss(w - result.linear->Rebuild(), metric, damped_h);
      CAPTURE(both, rank, loss);
      // fp32 factors of a metric over three decades: 1e-4.
      CHECK(loss == Approx(result.loss).epsilon(1e-4));
      CHECK(loss == Approx(squares.narrow(0, rank, 36 - rank).sum().item<double>()).epsilon(1e-4));
    }
  }
}

TEST_CASE("Kronecker whitening of an MPO keeps the identity when the metric splits over the legs") {
  at::manual_seed(9);
  const at::Tensor w = at::randn({24, 30});
  const Legs legs{{2, 3, 4}, {3, 2, 5}};
  const at::Tensor g = at::kron(at::kron(Covariance(2, 11), Covariance(3, 12)), Covariance(4, 13));
  const at::Tensor h = at::kron(at::kron(Covariance(3, 14), Covariance(2, 15)), Covariance(5, 16));
  const LegWhitening whitening = WhitenLegs(g, 0, h, 0, legs);
  const ChainForm form(legs, {});
  for (const int64_t chi : {2, 4, 8}) {
    const testing::Fitted result = testing::Fit(form, w, {.rank = chi}, whitening);
    const double loss = Loss(w - result.linear->Rebuild(), g, h);
    CAPTURE(chi);
    CHECK(loss == Approx(result.loss).epsilon(1e-3));
    const testing::Fitted plain = testing::Fit(form, w, {.rank = chi});
    CHECK(loss < Loss(w - plain.linear->Rebuild(), g, h));
  }
  const testing::Fitted exact = testing::Fit(form, w, {.rank = 20}, whitening);
  CHECK(at::allclose(exact.linear->Rebuild(), w, 1e-3, 1e-3));
}

TEST_CASE("a chain's curve has what cutting it discards") {
  at::manual_seed(10);
  const at::Tensor w = at::randn({24, 30});
  for (const Legs& legs : {Legs{{24, 1}, {1, 30}}, Legs{{4, 6}, {5, 6}}, Legs{{2, 3, 4}, {3, 2, 5}}}) {
    const ChainForm form(legs, {});
    const RateCurve curve = form.Curve(w);
    CHECK(curve.total == Approx(SquaredNorm(w)).epsilon(1e-6));
    CHECK(curve.parameters.back() < w.numel());
    for (const size_t point : {size_t{0}, size_t{4}, curve.loss.size() - 1}) {
      const testing::Fitted result = testing::Fit(form, w, {.parameters = curve.parameters[point]});
      CHECK(result.parameters == curve.parameters[point]);
      CAPTURE(ToString(legs), point);
      // Exact for one cut; with more, what the first cuts discard is counted again by the later ones.
      if (legs.out.size() == 2) CHECK(curve.loss[point] == Approx(result.loss).epsilon(1e-5));
      CHECK(curve.loss[point] >= result.loss * (1 - 1e-5));
    }
  }
}

}  // namespace tnb
