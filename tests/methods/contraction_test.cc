// Orders of contraction: costs known from textbooks, results of LibTorch's einsum.
#include "methods/factorize/contraction.h"

#include <ATen/ATen.h>

#include "methods/factorize/alternating.h"
#include "methods/factorize/form.h"
#include "methods/factorize/peps.h"
#include "tests/methods/forms.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Matrices whose legs are the numbers of their sides: a chain.
std::vector<NetworkTensor> Chain(const std::vector<int64_t>& sides) {
  std::vector<NetworkTensor> parts;
  for (size_t i = 0; i + 1 < sides.size(); ++i) {
    parts.push_back({at::randn({sides[i], sides[i + 1]}), {static_cast<int>(i), static_cast<int>(i) + 1}});
  }
  return parts;
}

}  // namespace

TEST_CASE("the cheapest order of a chain of matrices is the textbook's") {
  at::manual_seed(31);
  // Cormen et al., Introduction to Algorithms, 15.2.
  const std::vector<NetworkTensor> parts = Chain({30, 35, 15, 5, 10, 20, 25});
  Contraction contraction(parts);
  CHECK(contraction.multiply_adds() == Approx(15125));
  at::Tensor expected = parts[0].values;
  for (size_t i = 1; i < parts.size(); ++i) expected = at::matmul(expected, parts[i].values);
  const NetworkTensor found = contraction.Run();
  REQUIRE(found.legs.size() == 2);
  const at::Tensor matrix = found.legs[0] == 0 ? found.values : found.values.t();
  CHECK(at::allclose(matrix, expected, 1e-4, 1e-2));
  // More tensors than all orders are tried for.
  std::vector<int64_t> sides(16, 3);
  const std::vector<NetworkTensor> many = Chain(sides);
  expected = many[0].values;
  for (size_t i = 1; i < many.size(); ++i) expected = at::matmul(expected, many[i].values);
  const NetworkTensor greedy = Contraction(many).Run();
  CHECK(at::allclose(greedy.legs[0] == 0 ? greedy.values : greedy.values.t(), expected, 1e-4,
                     1e-4 * expected.abs().max().item<double>()));
}

TEST_CASE("what does not change is contracted once, and a tensor can be exchanged") {
  at::manual_seed(32);
  // A ring of four with an open leg each.
  std::vector<NetworkTensor> parts;
  for (int i = 0; i < 4; ++i) parts.push_back({at::randn({3, 2, 4}), {i, 10 + i, (i + 1) % 4}});
  parts[1].values = at::randn({4, 2, 5});
  parts[0].values = at::randn({6, 2, 4});
  parts[2].values = at::randn({5, 2, 3});
  parts[3].values = at::randn({3, 2, 6});
  const auto expected = [&] {
    return at::einsum("azb,byc,cxd,dwa->zyxw",
                      {parts[0].values, parts[1].values, parts[2].values, parts[3].values});
  };
  const auto ordered = [](const NetworkTensor& t) {
    std::vector<int64_t> axes;
    for (int leg = 10; leg < 14; ++leg)
      axes.push_back(std::find(t.legs.begin(), t.legs.end(), leg) - t.legs.begin());
    return t.values.permute(axes);
  };
  Contraction network(parts, 2, 50);
  CHECK(at::allclose(ordered(network.Run()), expected(), 1e-4, 1e-4));
  for (int i = 0; i < 2; ++i) {
    parts[2].values = at::randn({5, 2, 3});
    CHECK(at::allclose(ordered(network.Run(parts[2])), expected(), 1e-4, 1e-4));
  }
  CHECK_THROWS_WITH(Contraction(parts).Run(parts[2]), Catch::Matchers::Contains("no tensor"));
  CHECK_THROWS_WITH(Contraction({}), Catch::Matchers::Contains("without tensors"));
}

TEST_CASE("conjugate gradients lower a grid's loss as solving its equations does") {
  at::manual_seed(33);
  const at::Tensor w = at::randn({60, 84});
  const Legs legs{{3, 2, 5, 2}, {3, 7, 2, 2}};
  const NetworkCut start = PepsForm(legs, 0).Cut(w, {.keep = 0.4});
  const auto loss = [&](int64_t largest_gram) {
    std::vector<NetworkTensor> cores = start.cores;
    AlternatingLeastSquares(w, legs, 3, cores, largest_gram);
    return MeasuredLoss(w, cores, legs);
  };
  const double solved = loss(kLargestGram), descended = loss(0);
  CHECK(solved < start.loss);
  CHECK(descended < start.loss);
  // Ten steps a core do most of the way.
  CHECK(start.loss - descended > 0.8 * (start.loss - solved));
}

}  // namespace tnb
