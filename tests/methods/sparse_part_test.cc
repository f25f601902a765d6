// What a factorization keeps beside its network.
#include "methods/factorize/sparse_part.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "methods/recipe.h"
#include "tests/methods/forms.h"
#include "tests/methods/stage_support.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using testing::SlotOf;

LinearSlot Applied(const std::string& recipe, const at::Tensor& w) {
  LinearSlot slot = SlotOf(w);
  ApplyRecipe(ParseRecipe(recipe), slot);
  return slot;
}

std::string MessageOf(const std::string& recipe, const at::Tensor& w) {
  try {
    Applied(recipe, w);
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

// Twenty places of a 64 x 48 matrix.
std::vector<std::pair<int64_t, int64_t>> Places() {
  at::manual_seed(50);
  const at::Tensor places = at::randperm(64 * 48);
  std::vector<std::pair<int64_t, int64_t>> result;
  for (int64_t i = 0; i < 20; ++i) {
    const auto place = places[i].item<int64_t>();
    result.emplace_back(place / 48, place % 48);
  }
  return result;
}

// A Kronecker product, noise, and spikes that no short network has.
at::Tensor Spiky() {
  const auto places = Places();
  at::manual_seed(51);
  at::Tensor w = at::kron(at::randn({8, 6}), at::randn({8, 8})) + 0.05 * at::randn({64, 48});
  double size = 12;
  for (const auto& [row, col] : places) w[row][col] = size++;
  return w;
}

}  // namespace

TEST_CASE("superweights are exact, and worth their parameters") {
  const at::Tensor w = Spiky();
  for (const char* recipe :
       {"mpo:keep=0.3", "svd:keep=0.3", "tucker:keep=0.3,modes=balanced", "peps:keep=0.3"}) {
    const LinearSlot plain = Applied(std::string(recipe) + "@all", w);
    const LinearSlot kept = Applied(std::string(recipe) + ",superweights=20@all", w);
    CAPTURE(recipe);
    CHECK(kept.linear->size().parameters <= static_cast<int64_t>(0.3 * 64 * 48));
    const at::Tensor rebuilt = kept.linear->Rebuild();
    for (const auto& [row, col] : Places()) {
      CHECK(rebuilt[row][col].item<double>() == Approx(w[row][col].item<double>()).epsilon(1e-5));
    }
    CHECK(testing::RelativeError(w, rebuilt) < testing::RelativeError(w, plain.linear->Rebuild()));
  }
}

TEST_CASE("saten keeps the largest of the residual, and counts it") {
  const at::Tensor w = Spiky();
  LinearSlot slot = SlotOf(w);
  const LayerOutcome outcome = ApplyRecipe(ParseRecipe("saten:keep=0.4,density=0.02@all"), slot)[0];
  const int64_t stored = outcome.report.detail.at("sparse_elements").get<int64_t>();
  CHECK(stored == 62);  // 3072 - floor(0.98 * 3072)
  REQUIRE(slot.linear->weight_count() == 3);
  const WeightSize sparse = slot.linear->weight(2)->size();
  CHECK(sparse.parameters == stored);
  CHECK(sparse.bytes == (2 + 4) * stored + 4 * 65);  // columns and values, and where 64 rows begin
  CHECK(slot.linear->size().parameters <= static_cast<int64_t>(0.4 * 64 * 48));
  CHECK(outcome.relative_error * outcome.relative_error ==
        Approx(*outcome.report.discarded_weight).epsilon(1e-4));
  const double mpo = testing::RelativeError(w, Applied("mpo:keep=0.4@all", w).linear->Rebuild());
  CHECK(outcome.relative_error < 0.7 * mpo);
  // What is stored is what the network misses: there the sum is exact.
  const at::Tensor difference = (slot.linear->Rebuild() - w).abs();
  const at::Tensor at_elements = slot.linear->weight(2)->Dense().ne(0);
  CHECK(difference.masked_select(at_elements).max().item<double>() < 1e-4);
}

TEST_CASE("saten in 2:4 stores half of the elements") {
  const at::Tensor w = Spiky();
  LinearSlot slot = SlotOf(w);
  const LayerOutcome outcome = ApplyRecipe(ParseRecipe("saten:keep=0.6,pattern=2:4@all"), slot)[0];
  CHECK(outcome.report.detail.at("sparse_elements") == 64 * 48 / 2);
  const WeightSize sparse = slot.linear->weight(2)->size();
  CHECK(sparse.bytes == 4 * 64 * 48 / 2 + 64 * 48 / 8);
  CHECK(outcome.relative_error * outcome.relative_error ==
        Approx(*outcome.report.discarded_weight).epsilon(1e-4));
  // A tenth is left for the network, which the sparse part has to improve on; no more can be promised.
  CHECK(outcome.relative_error <
        0.7 * testing::RelativeError(w, Applied("mpo:keep=0.1@all", w).linear->Rebuild()));
  CHECK_THAT(MessageOf("saten:keep=0.4,pattern=2:4@all", w), Catch::Matchers::Contains("keep above 0.5"));
  CHECK_THAT(MessageOf("saten:keep=0.6,pattern=2:4@all", at::randn({64, 42})),
             Catch::Matchers::Contains("4"));
}

TEST_CASE("a sparse part is refused where it leaves nothing for the network") {
  const at::Tensor w = Spiky();
  CHECK_THAT(MessageOf("saten:keep=0.04@all", w), Catch::Matchers::Contains("keep above 0.05"));
  CHECK_THAT(MessageOf("svd:keep=0.3,superweights=100000@all", w),
             Catch::Matchers::Contains("sparse part alone"));
  CHECK(ParseRecipe("svd:superweights=0").text == ParseRecipe("svd").text);
}

}  // namespace tnb
