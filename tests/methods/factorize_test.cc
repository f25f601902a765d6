// Factorizations against their own theory (discarded squares, Eckart-Young, parameter formulas) and against
// published numbers of other implementations.
#include <ATen/ATen.h>

#include "methods/factorize/chain.h"
#include "methods/factorize/mpo.h"
#include "methods/factorize/truncation.h"
#include "methods/recipe.h"
#include "models/checkpoint.h"
#include "tests/methods/forms.h"
#include "tests/methods/stage_support.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::Fit;
using testing::Fitted;
using testing::Gaussian;
using testing::RelativeError;
using testing::SlotOf;

}  // namespace

TEST_CASE("an MPO at full bond is the matrix") {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{64, 96}, {96, 64}, {36, 210}, {216, 216}}) {
    const at::Tensor w = Gaussian(rows, cols);
    for (const int64_t cores : {2, 3, 4, 5, 6, 12}) {
      // Twelve cores of such small matrices are mostly single numbers, which have to work all the same.
      const Legs legs{BalancedFactors(rows, cores), BalancedFactors(cols, cores)};
      const ChainForm form(legs, {});
      const Fitted result = Fit(form, w, {.rank = form.LargestSize()});
      CAPTURE(rows, cols, cores, ToString(legs), result.detail.dump());
      CHECK(result.detail.at("bonds").get<std::vector<int64_t>>() == form.ExactBonds());
      CHECK(result.error < 1e-5);
      const at::Tensor x = at::randn({5, cols});
      CHECK(
          at::allclose(result.linear->Forward(x, Execution::kContracted), at::matmul(x, w.t()), 1e-3, 1e-3));
      CHECK(at::allclose(result.linear->Forward(x, Execution::kRebuilt), at::matmul(x, w.t()), 1e-3, 1e-3));
    }
  }
}

TEST_CASE("the squared error is exactly the sum of discarded squares, for any number of cores") {
  const at::Tensor w = Gaussian(120, 210);
  for (int64_t cores = 2; cores <= 4; ++cores) {
    const ChainForm form(ChooseLegs("auto", cores, 120, 210), {});
    for (const double keep : {0.1, 0.4, 0.8}) {
      const Fitted result = Fit(form, w, {.keep = keep});
      CAPTURE(cores, keep);
      CHECK(result.error == Approx(std::sqrt(result.loss) / w.norm().item<double>()).epsilon(1e-5));
      CHECK(static_cast<double>(result.parameters) <= keep * 120 * 210);
      CHECK(result.parameters == form.Parameters(form.SizeFor({.keep = keep})));
    }
    CHECK(Fit(form, w, {.error = 0.3}).error <= 0.3);
  }
}

TEST_CASE("the leading part of a large matrix is that of its decomposition, with its exact error") {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1024, 1100}, {1300, 1024}}) {
    // A spectrum as weights have it: some large values and a long tail.
    at::Tensor w = Gaussian(rows, cols);
    w = w + 4 * at::matmul(Gaussian(rows, 20), at::randn({20, cols}));
    CAPTURE(rows, cols);
    const at::Tensor exact = SquaredSingularValues(w);
    const int64_t rank = 300;  // a sixth and less: randomized.h
    const TruncatedSvd svd = Truncate(w, rank);
    const at::Tensor left = svd.left.to(at::kDouble);
    CHECK((at::matmul(left.t(), left) - at::eye(rank, at::kDouble)).abs().max().item<double>() < 5e-5);
    const at::Tensor product = at::matmul(svd.left * svd.values, svd.right).to(at::kDouble);
    const double error = (w.to(at::kDouble) - product).square().sum().item<double>();
    CHECK(svd.discarded_squares == Approx(error).epsilon(1e-5));
    const double least = exact.narrow(0, rank, exact.size(0) - rank).sum().item<double>();
    CHECK(error >= least * (1 - 1e-6));
    CHECK(error <= least * (1 + 1e-5));
    CHECK(svd.values[0].item<double>() == Approx(std::sqrt(exact[0].item<double>())).epsilon(1e-5));
  }
  // What lies below the rounding of a Gram matrix is found all the same: values from 1 to 1e-6.
  const at::Tensor u = std::get<0>(at::linalg_qr(Gaussian(1024, 1024))),
                   v = std::get<0>(at::linalg_qr(at::randn({1024, 1024})));
  const at::Tensor values = at::logspace(0, -6, 1024);
  const at::Tensor steep = at::matmul(u * values, v);
  const TruncatedSvd svd = Truncate(steep, 700);
  const double error = (steep - at::matmul(svd.left * svd.values, svd.right)).norm().item<double>();
  CHECK(error < 1.1 * values.narrow(0, 700, 324).norm().item<double>());
}

TEST_CASE("svd is the MPO with legs (m,1) x (1,n), and optimal") {
  const at::Tensor w = Gaussian(80, 48);
  LinearSlot svd = SlotOf(w), mpo = SlotOf(w);
  ApplyRecipe(ParseRecipe("svd:rank=13@all"), svd);
  ApplyRecipe(ParseRecipe("mpo:chi=13,legs=80x1/1x48@all"), mpo);
  const at::Tensor x = at::randn({9, 48});
  CHECK(at::equal(svd.linear->Forward(x), mpo.linear->Forward(x)));
  CHECK(svd.linear->size().parameters == 13 * (80 + 48));
  CHECK(svd.linear->size().bytes == mpo.linear->size().bytes);
  const at::Tensor values = std::get<1>(at::linalg_svd(w.to(at::kDouble), false));
  const double optimal = (values.narrow(0, 13, 35).norm() / values.norm()).item<double>();
  CHECK(RelativeError(w, svd.linear->Rebuild()) == Approx(optimal).epsilon(1e-5));
}

TEST_CASE("parameter counts follow the formulas") {
  // arXiv 2401.14109, Fig. 1: 216 x 216 with legs 6 x 6 on three sites has 72 chi + 36 chi^2 parameters.
  const ChainForm form({{6, 6, 6}, {6, 6, 6}}, {});
  for (const int64_t chi : {1, 7, 36}) CHECK(form.Parameters(chi) == 72 * chi + 36 * chi * chi);
  // Outer bonds saturate at 36.
  CHECK(form.Parameters(50) == 72 * 36 + 36 * 36 * 36);
  CHECK(BalancedFactors(1536, 2) == std::vector<int64_t>{32, 48});
  CHECK(BalancedFactors(1536, 3) == std::vector<int64_t>{8, 12, 16});
  CHECK(BalancedFactors(576, 3) == std::vector<int64_t>{6, 8, 12});
  CHECK(BalancedFactors(11008, 2) == std::vector<int64_t>{86, 128});
}

TEST_CASE("cores survive quantization and reload with the same outputs") {
  LinearSlot slot = SlotOf(Gaussian(96, 60));
  ApplyRecipe(ParseRecipe("mpo:cores=3,keep=0.5@all+int4:zero=asym@all"), slot);
  std::map<std::string, at::Tensor> stored;
  const Json json =
      slot.linear->Save([&](const std::string& suffix, const at::Tensor& t) { stored[suffix] = t.clone(); });
  const auto back = LoadLinear(
      json, [&](const std::string& suffix) { return stored.at(suffix); }, "test");
  const at::Tensor x = at::randn({33, 60});
  CHECK(at::equal(back->Forward(x), slot.linear->Forward(x)));
  CHECK(back->size().bytes == slot.linear->size().bytes);
  int64_t bytes = 0;
  for (const auto& [suffix, tensor] : stored) bytes += static_cast<int64_t>(tensor.nbytes());
  CHECK(bytes == slot.linear->size().bytes);
}

TEST_CASE("impossible requests name the legal range") {
  const at::Tensor w = Gaussian(64, 96);
  const auto message = [](const std::string& recipe, const at::Tensor& matrix) -> std::string {
    LinearSlot slot = SlotOf(matrix);
    try {
      ApplyRecipe(ParseRecipe(recipe), slot);
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  };
  CHECK_THAT(message("mpo:chi=5000@all", w),
             Catch::Matchers::Contains("1 to 64") && Catch::Matchers::Contains("blocks.0.q"));
  CHECK_THAT(message("svd:rank=65@all", w), Catch::Matchers::Contains("1 to 64"));
  CHECK_THAT(message("mpo:keep=0.0001@all", w), Catch::Matchers::Contains("at least"));
  CHECK_THAT(message("mpo:legs=8x9/8x12@all", w), Catch::Matchers::Contains("multiplying to 64"));
  CHECK_THAT(message("mpo:legs=8x8@all", w), Catch::Matchers::Contains("legs do not fit"));
  CHECK_THAT(message("mpo@all", Gaussian(431, 257)), Catch::Matchers::Contains("legs=431x1/1x257"));
  at::Tensor broken = w.clone();
  broken[3][4] = NAN;
  CHECK_THAT(message("svd@all", broken), Catch::Matchers::Contains("NaN"));
}

TEST_CASE("a matrix of zeros and a matrix of rank one are no special cases") {
  LinearSlot zeros = SlotOf(at::zeros({24, 36}));
  ApplyRecipe(ParseRecipe("mpo:keep=0.5,cores=3@all"), zeros);
  CHECK(zeros.linear->Rebuild().abs().max().item<double>() == 0);
  const at::Tensor one = at::outer(at::arange(1.0, 25.0), at::arange(1.0, 37.0)).to(at::kFloat);
  LinearSlot rank_one = SlotOf(one);
  ApplyRecipe(ParseRecipe("svd:error=0.001@all"), rank_one);
  CHECK(rank_one.linear->size().parameters == 24 + 36);
  CHECK(RelativeError(one, rank_one.linear->Rebuild()) < 1e-5);
}

// Relative errors of block 5's gate projection of SmolLM2-135M-Instruct as three other libraries give them
// (TensorLy, quimb and plain LAPACK): 2 cores, chi 230: 0.61155; 3 cores, chi 91: 0.65829.
TEST_CASE("MPO errors on a real matrix agree with other libraries") {
  const auto path = testing::SmolLM2();
  if (!path) return;
  const auto checkpoint = OpenCheckpoint(*path);
  at::Tensor w = at::empty({1536, 576});
  checkpoint->Read("blocks.5.gate", 0, 1536, w.mutable_data_ptr<float>());
  const ChainForm two(ChooseLegs("32x48/24x24", 2, 1536, 576), {});
  CHECK(Fit(two, w, {.rank = 230}).error == Approx(0.61155).margin(1e-5));
  const ChainForm three(ChooseLegs("8x12x16/6x8x12", 3, 1536, 576), {});
  CHECK(Fit(three, w, {.rank = 91}).error == Approx(0.65829).margin(1e-5));
}

}  // namespace tnb
