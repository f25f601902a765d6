// The forms of networks against their own theory, and against values of TensorLy.
#include "tests/methods/forms.h"

#include <ATen/ATen.h>

#include <map>

#include "methods/factorize/alternating.h"
#include "methods/factorize/chain.h"
#include "methods/factorize/disentangled.h"
#include "methods/factorize/form.h"
#include "methods/factorize/peps.h"
#include "methods/factorize/tucker.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using testing::Fit;
using testing::Fitted;
using testing::Gaussian;

std::vector<std::shared_ptr<const Form>> AllForms() {
  std::vector<std::shared_ptr<const Form>> forms;
  const auto ring = [](int64_t closing, int64_t sweeps) {
    return ChainOptions{.closing = closing, .sweeps = sweeps, .size_name = "chi"};
  };
  forms.push_back(std::make_shared<ChainForm>(Legs{{24, 1}, {1, 36}}, ring(1, 0)));
  forms.push_back(std::make_shared<ChainForm>(Legs{{4, 6}, {6, 6}}, ring(1, 0)));
  forms.push_back(std::make_shared<ChainForm>(Legs{{2, 3, 4}, {4, 3, 3}}, ring(1, 0)));
  forms.push_back(std::make_shared<ChainForm>(Legs{{2, 3, 4}, {4, 3, 3}}, ring(1, 3)));
  forms.push_back(std::make_shared<ChainForm>(Legs{{4, 6}, {6, 6}}, ring(2, 0)));
  forms.push_back(std::make_shared<ChainForm>(Legs{{2, 3, 4}, {4, 3, 3}}, ring(2, 0)));
  forms.push_back(std::make_shared<ChainForm>(Legs{{2, 3, 4}, {4, 3, 3}}, ring(3, 2)));
  forms.push_back(std::make_shared<DisentangledForm>(Legs{{2, 3, 4}, {4, 3, 3}}, 1));
  forms.push_back(std::make_shared<TuckerForm>(Legs{{24}, {36}}, TuckerOptions{}));
  forms.push_back(std::make_shared<TuckerForm>(Legs{{4, 6}, {36}}, TuckerOptions{2, {true, false, false}}));
  forms.push_back(std::make_shared<TuckerForm>(Legs{{4, 6}, {6, 6}}, TuckerOptions{}));
  forms.push_back(std::make_shared<PepsForm>(Legs{{2, 3, 2, 2}, {3, 2, 2, 3}}, 0));
  forms.push_back(std::make_shared<PepsForm>(Legs{{2, 3, 2, 2}, {3, 2, 2, 3}}, 3));
  forms.push_back(std::make_shared<PepsForm>(Legs{{2, 1, 3, 2, 1, 2}, {3, 1, 2, 2, 3, 1}}, 1));
  return forms;
}

}  // namespace

TEST_CASE("every form counts its parameters, says its loss, and keeps within what it is given") {
  const at::Tensor w = Gaussian(24, 36);
  for (const auto& form : AllForms()) {
    for (const double keep : {0.3, 0.6, 0.9}) {
      const Fitted result = Fit(*form, w, {.keep = keep});
      CAPTURE(ToString(form->legs()), keep, result.detail.dump());
      CHECK(static_cast<double>(result.parameters) <= keep * 24 * 36);
      CHECK(result.error == Approx(std::sqrt(result.loss / SquaredNorm(w))).epsilon(1e-4));
      CHECK(result.error < 1);
      const at::Tensor x = at::randn({3, 36});
      CHECK(at::allclose(result.linear->Forward(x, Execution::kContracted),
                         at::matmul(x, result.linear->Rebuild().t()), 1e-4, 1e-4));
    }
    const Fitted exact = Fit(*form, w, {.error = 1e-4});
    CAPTURE(ToString(form->legs()), exact.detail.dump());
    CHECK(exact.error <= 1e-4);
    CHECK(form->LeastParameters() <= Fit(*form, w, {.keep = 0.3}).parameters);
  }
}

TEST_CASE("a form's curve rises to less than the matrix, and its points can be had") {
  const at::Tensor w = Gaussian(24, 36, 8) * at::pow(0.85, at::arange(36));
  for (const auto& form : AllForms()) {
    const RateCurve curve = form->Curve(w.to(at::kFloat));
    CAPTURE(ToString(form->legs()));
    REQUIRE(!curve.parameters.empty());
    CHECK(curve.parameters.front() >= form->LeastParameters());
    for (size_t i = 0; i < curve.parameters.size(); ++i) {
      CHECK(curve.parameters[i] < 24 * 36);
      if (i > 0) {
        CHECK(curve.parameters[i] > curve.parameters[i - 1]);
        CHECK(curve.loss[i] <= curve.loss[i - 1] * (1 + 1e-9));
      }
    }
    for (const size_t point : {size_t{0}, curve.parameters.size() / 2, curve.parameters.size() - 1}) {
      const Fitted result = Fit(*form, w.to(at::kFloat), {.parameters = curve.parameters[point]});
      CAPTURE(point, curve.parameters[point], curve.loss[point]);
      CHECK(result.parameters <= curve.parameters[point]);
      // An estimate between measured sizes, or a bound.
      CHECK(result.loss <= 2 * curve.loss[point] + 1e-6 * curve.total);
    }
  }
}

TEST_CASE("sweeps never make it worse, and make three cores better") {
  const at::Tensor w = Gaussian(60, 84);
  const Legs legs{{3, 4, 5}, {7, 3, 4}};
  const auto error = [&](int64_t closing, int64_t sweeps) {
    return Fit(ChainForm(legs, {.closing = closing, .sweeps = sweeps, .size_name = "chi"}), w, {.keep = 0.3})
        .error;
  };
  CHECK(error(1, 5) < error(1, 0) - 1e-3);
  CHECK(error(2, 5) < error(2, 0) - 1e-3);
  CHECK(error(1, 5) <= error(1, 1) + 1e-6);
  const Legs grid{{3, 2, 5, 2}, {3, 7, 2, 2}};
  const double before = Fit(PepsForm(grid, 0), w, {.keep = 0.4}).error;
  const double after = Fit(PepsForm(grid, 4), w, {.keep = 0.4}).error;
  CHECK(after < before - 1e-3);
  const Legs modes{{3, 20}, {7, 12}};
  const double hosvd = Fit(TuckerForm(modes, {.sweeps = 0, .whole = {}}), w, {.rank = 3}).error;
  const double hooi = Fit(TuckerForm(modes, {.sweeps = 5, .whole = {}}), w, {.rank = 3}).error;
  CHECK(hooi < hosvd);
}

TEST_CASE("a network that is one is found") {
  at::manual_seed(5);
  // A sum of two Kronecker products.
  const at::Tensor sum =
      at::kron(at::randn({4, 5}), at::randn({6, 3})) + at::kron(at::randn({4, 5}), at::randn({6, 3}));
  CHECK(Fit(ChainForm({{4, 6}, {5, 3}}, {}), sum, {.rank = 2}).error < 1e-5);
  // A ring, whose two bonds the first cut cannot tell apart: the sweeps do, though they may need long.
  const NetworkTensor a{at::randn({2, 3, 2, 3}), {8, 0, 3, 6}}, b{at::randn({3, 4, 3, 3}), {6, 1, 4, 7}},
      c{at::randn({3, 2, 5, 2}), {7, 2, 5, 8}};
  const Legs legs{{3, 4, 2}, {2, 3, 5}};
  const at::Tensor ring = LinearOf({a, b, c}, legs)->Rebuild();
  const auto ring_error = [&](int64_t sweeps) {
    return Fit(ChainForm(legs, {.closing = 2, .sweeps = sweeps, .size_name = "chi"}), ring, {.rank = 3})
        .error;
  };
  CHECK(ring_error(60) < 0.6 * ring_error(0));
  // A tensor of multilinear rank (2, 2, 3).
  const at::Tensor core = at::randn({2, 2, 3});
  const at::Tensor tucker = LinearOf({{core, {3, 4, 5}},
                                      {at::randn({6, 2}), {0, 3}},
                                      {at::randn({8, 2}), {1, 4}},
                                      {at::randn({20, 3}), {2, 5}}},
                                     {{6, 8}, {20}})
                                ->Rebuild();
  const Fitted found = Fit(TuckerForm({{6, 8}, {20}}, {}), tucker, {.error = 1e-4});
  CHECK(found.detail.at("ranks").get<std::vector<int64_t>>() == std::vector<int64_t>{2, 2, 3});
  CHECK(found.parameters == 2 * 2 * 3 + 6 * 2 + 8 * 2 + 20 * 3);
  // A 2 x 2 grid of bond 2.
  const at::Tensor grid = LinearOf({{at::randn({3, 2, 2, 2}), {0, 4, 8, 10}},
                                    {at::randn({2, 3, 2, 2}), {1, 5, 9, 10}},
                                    {at::randn({2, 4, 2, 2}), {2, 6, 8, 11}},
                                    {at::randn({3, 2, 2, 2}), {3, 7, 9, 11}}},
                                   {{3, 2, 2, 3}, {2, 3, 4, 2}})
                              ->Rebuild();
  const auto grid_error = [&](int64_t sweeps) {
    return Fit(PepsForm({{3, 2, 2, 3}, {2, 3, 4, 2}}, sweeps), grid, {.rank = 2}).error;
  };
  CHECK(grid_error(60) < 0.8 * grid_error(0));
}

TEST_CASE("parameters of rings, grids and Tucker networks") {
  // Four sites with two bonds each.
  const PepsForm grid({{4, 6, 4, 6}, {6, 4, 6, 4}}, 0);
  for (const int64_t bond : {1, 2, 5, 24}) CHECK(grid.Parameters(bond) == 4 * bond * bond * 24);
  // Bonds across saturate at the 576 values of the cut: 24 each.
  CHECK(grid.Parameters(30) == 4 * 24 * 30 * 24);
  const PepsForm wide({{2, 2, 3, 3, 2, 2}, {2, 2, 3, 3, 2, 2}}, 0);
  CHECK(wide.Parameters(2) == 2 * (4 * 4 + 9 * 8 + 4 * 4));
  const ChainForm ring({{6, 6, 6}, {6, 6, 6}}, {.closing = 2, .sweeps = 0, .size_name = "chi"});
  CHECK(ring.Parameters(5) == 36 * (2 * 5 + 5 * 5 + 5 * 2));
  CHECK(ring.ExactBonds() == std::vector<int64_t>{18, 72});
  const TuckerForm tucker({{9, 64}, {576}}, {2, {true, false, false}});
  CHECK(tucker.Parameters({9, 32, 100}) == 9 * 32 * 100 + 64 * 32 + 576 * 100);
  CHECK(tucker.Parameters({9, 64, 576}) == 576 * 576);
  CHECK(tucker.LeastParameters() == 9 + 64 + 576);
  CHECK(TuckerForm({{24}, {36}}, {}).LeastParameters() == 24 + 36);
}

TEST_CASE("Tucker with one factor is plain low rank, and the ladder contains it") {
  const at::Tensor w = Gaussian(48, 30) * at::pow(0.9, at::arange(30)).to(at::kFloat);
  const double keep = 0.5;
  const Fitted tucker = Fit(TuckerForm({{48}, {30}}, {}), w, {.keep = keep});
  const Fitted svd = Fit(ChainForm({{48, 1}, {1, 30}}, {}), w, {.keep = keep});
  CHECK(tucker.error == Approx(svd.error).epsilon(1e-4));
  CHECK(tucker.parameters == svd.parameters);
}

TEST_CASE("a chain is rounded core by core, as if it were rebuilt and cut again") {
  const at::Tensor w = Gaussian(60, 84);
  for (const Legs& legs : {Legs{{60, 1}, {1, 84}}, Legs{{3, 20}, {7, 12}}, Legs{{3, 4, 5}, {7, 3, 4}},
                           Legs{{2, 2, 3, 5}, {3, 2, 2, 7}}}) {
    const ChainForm form(legs, {});
    const Fitted first = Fit(form, w, {.keep = 0.7});
    const at::Tensor rebuilt = first.linear->Rebuild();
    for (const Amount& amount : {Amount{.keep = 0.3}, Amount{.rank = 2}, Amount{.error = 0.4}}) {
      const auto rounded = form.Round(*first.linear, amount);
      CAPTURE(ToString(legs));
      REQUIRE(rounded);
      const NetworkCut again = form.Cut(rebuilt, amount);
      CHECK(rounded->detail == again.detail);
      CHECK(rounded->loss == Approx(again.loss).epsilon(1e-3));
      CHECK(MeasuredLoss(rebuilt, rounded->cores, legs) == Approx(rounded->loss).epsilon(1e-3));
    }
    CHECK_FALSE(ChainForm({{30, 2}, {2, 42}}, {}).Round(*first.linear, {.rank = 2}));
    CHECK_FALSE(form.Round(*MakeDenseLinear(MakeDenseWeight(w)), {.rank = 2}));
  }
  const Fitted grid = Fit(PepsForm({{3, 2, 5, 2}, {3, 7, 2, 2}}, 0), w, {.keep = 0.4});
  CHECK_FALSE(ChainForm({{3, 2, 5, 2}, {3, 7, 2, 2}}, {}).Round(*grid.linear, {.rank = 2}));
}

TEST_CASE("gates around a chain: what they entangle is disentangled, and their error is what is cut") {
  at::manual_seed(41);
  const Legs legs{{2, 3, 2, 4}, {3, 2, 4, 2}};
  // A chain of bond 2 behind gates on the first two and last two out legs.
  const at::Tensor inner = Fit(ChainForm(legs, {}), Gaussian(48, 48), {.rank = 2}).linear->Rebuild();
  const auto orthogonal = [](int64_t size) { return std::get<0>(at::linalg_qr(at::randn({size, size}))); };
  const at::Tensor w = at::matmul(at::kron(orthogonal(6), orthogonal(8)), inner);
  const double plain = Fit(ChainForm(legs, {}), w, {.rank = 2}).error;
  const Fitted gated = Fit(DisentangledForm(legs, 1), w, {.rank = 2});
  CHECK(plain > 0.1);
  CHECK(gated.error < 0.5 * plain);
  for (const int64_t layers : {1, 2}) {
    const DisentangledForm form(legs, layers);
    const int64_t gates = 6 * 6 + 8 * 8 + 6 * 6 + 8 * 8 + (layers == 2 ? 6 * 6 + 8 * 8 : 0);
    CHECK(form.gate_parameters() == gates);
    const at::Tensor noise = Gaussian(48, 48, 9);
    const Fitted found = Fit(form, noise, {.rank = 4});
    CAPTURE(layers, found.detail.dump());
    CHECK(found.parameters == form.Parameters(4));
    CHECK(found.error == Approx(std::sqrt(found.loss / SquaredNorm(noise))).epsilon(1e-4));
    CHECK(found.loss <= found.detail.at("loss_without_gates").get<double>());
    const at::Tensor x = at::randn({3, 48}), index = at::tensor({47, 0, 13}, at::kLong);
    const at::Tensor rebuilt = found.linear->Rebuild();
    CHECK(at::allclose(found.linear->Forward(x, Execution::kContracted), at::matmul(x, rebuilt.t()), 1e-4,
                       1e-4));
    CHECK(at::allclose(found.linear->Rows(index), rebuilt.index_select(0, index), 1e-4, 1e-4));
    // In a metric that splits over the legs the gates see the whitened matrix, and the cores are undone.
    LegWhitening whitening;
    for (const int64_t size : legs.out)
      whitening.out.push_back(at::diag(at::arange(1, size + 1, at::kDouble)));
    whitening.in.resize(4);
    const NetworkCut cut = CutWhitened(form, noise, whitening, {.rank = 4});
    const at::Tensor difference = noise - LinearOf(cut.cores, legs)->Rebuild();
    CHECK(SquaredNorm(Whiten(difference, legs, whitening)) == Approx(cut.loss).epsilon(1e-3));
  }
  CHECK_THROWS_WITH(DisentangledForm({{6, 8}, {6, 8}}, 1), Catch::Matchers::Contains("three cores"));
}

TEST_CASE("balancing a bond leaves the product and evens the slices") {
  at::manual_seed(3);
  std::vector<NetworkTensor> cores{{at::randn({6, 4}) * at::tensor({1e3F, 1.0F, 1e-3F, 0.0F}), {0, 2}},
                                   {at::randn({4, 5}), {2, 1}}};
  const Legs legs{{6}, {5}};
  const at::Tensor before = LinearOf(cores, legs)->Rebuild();
  BalanceBonds(cores);
  CHECK(at::allclose(LinearOf(cores, legs)->Rebuild(), before, 1e-5, 1e-5));
  const at::Tensor left = cores[0].values.norm(2, {0}), right = cores[1].values.norm(2, {1});
  CHECK(at::allclose(left.narrow(0, 0, 3), right.narrow(0, 0, 3), 1e-3));
}

TEST_CASE("rows of a network are those of its matrix") {
  const at::Tensor w = Gaussian(24, 36);
  const at::Tensor index = at::tensor({0, 5, 23, 5, 17, 11}, at::kLong);
  for (const auto& form : AllForms()) {
    const Fitted result = Fit(*form, w, {.keep = 0.5});
    CAPTURE(ToString(form->legs()));
    const at::Tensor expected = result.linear->Rebuild().index_select(0, index);
    CHECK(at::allclose(result.linear->Rows(index), expected, 1e-5, 1e-5));
    CHECK(at::allclose(result.linear->RowsWith(testing::Matrices(*result.linear), index), expected, 1e-5,
                       1e-5));
    CHECK(result.linear->Rows(index.narrow(0, 0, 1)).sizes() == at::IntArrayRef({1, 36}));
  }
}

TEST_CASE("a sum of linears multiplies, looks up, stores and loads as one") {
  const at::Tensor w = Gaussian(24, 36), other = Gaussian(24, 36, 9);
  std::vector<std::unique_ptr<Linear>> parts;
  parts.push_back(Fit(ChainForm({{2, 3, 4}, {4, 3, 3}}, {}), w, {.keep = 0.5}).linear);
  parts.push_back(MakeDenseLinear(MakeDenseWeight(other)));
  const at::Tensor expected = parts[0]->Rebuild() + other;
  const std::unique_ptr<Linear> sum = MakeSumLinear(std::move(parts));
  CHECK(sum->weight_count() == 4);
  CHECK(sum->weight(3)->rows() == 24);
  CHECK(sum->factorized());
  const at::Tensor x = at::randn({5, 36}), index = at::tensor({3, 23, 3}, at::kLong);
  CHECK(at::allclose(sum->Rebuild(), expected, 1e-5, 1e-5));
  for (const Execution execution : {Execution::kContracted, Execution::kRebuilt, Execution::kAutomatic}) {
    CHECK(at::allclose(sum->Forward(x, execution), at::matmul(x, expected.t()), 1e-4, 1e-4));
  }
  CHECK(at::allclose(sum->Rows(index), expected.index_select(0, index), 1e-5, 1e-5));
  CHECK(at::allclose(sum->ForwardWith(testing::Matrices(*sum), x), at::matmul(x, expected.t()), 1e-4, 1e-4));
  CHECK(at::allclose(sum->RowsWith(testing::Matrices(*sum), index), expected.index_select(0, index), 1e-5,
                     1e-5));
  CHECK(sum->CostOf(1, Execution::kContracted).multiply_adds >= 24 * 36);
  sum->ReplaceWeight(3, MakeDenseWeight(other.to(at::kHalf)));
  std::map<std::string, at::Tensor> stored;
  Json json = sum->Save([&](const std::string& suffix, const at::Tensor& t) { stored[suffix] = t.clone(); });
  const auto source = [&](const std::string& suffix) { return stored.at(suffix); };
  const auto back = LoadLinear(json, source, "test");
  CHECK(at::equal(back->Forward(x), sum->Forward(x)));
  CHECK(back->Describe() == sum->Describe());
  CHECK(back->size().bytes == sum->size().bytes);
  json["parts"] = Json::array();
  CHECK_THROWS_WITH(LoadLinear(json, source, "test"), Catch::Matchers::Contains("no parts"));
}

TEST_CASE("the entropy of a cut") {
  CHECK(SpectralEntropy(at::ones({8}, at::kDouble)) == Approx(std::log(8)));
  CHECK(SpectralEntropy(at::tensor({5.0, 0.0, 0.0}, at::kDouble)) == Approx(0).margin(1e-12));
  CHECK(SpectralEntropy(at::zeros({3}, at::kDouble)) == 0);
}

}  // namespace tnb
