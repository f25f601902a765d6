#include "methods/quantize/integer.h"

#include <ATen/ATen.h>

#include "methods/recipe.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

at::Tensor Decode(const IntegerCodes& codes) { return MakeIntegerWeight(codes, Activation::kF32)->Dense(); }

}  // namespace

TEST_CASE("rounding reaches every value to half a step") {
  at::manual_seed(3);
  const at::Tensor w = at::randn({40, 200});
  for (const auto& [bits, group, symmetric] : {std::tuple<int, int64_t, bool>{8, 0, true},
                                               {8, 64, true},
                                               {4, 32, true},
                                               {4, 32, false},
                                               {4, 64, false},
                                               {4, 128, false}}) {
    CAPTURE(bits, group, symmetric);
    const IntegerCodes codes = RoundToNearest(w, bits, group, symmetric);
    const int64_t width = group == 0 ? 200 : group;
    const at::Tensor step = codes.scales.to(at::kFloat).repeat_interleave(width, 1).narrow(1, 0, 200);
    // Half a step, and what rounding the scale to fp16 (2^-11) takes off the largest codes.
    const double slack = 0.5 + static_cast<double>(1 << bits) * 0.0005;
    CHECK((((Decode(codes) - w).abs() / step).max().item<double>()) <= slack);
  }
}

TEST_CASE("edge groups: zeros, one sign, extremes") {
  at::Tensor w = at::zeros({3, 64});
  w[1].fill_(2.5);
  w[2].narrow(0, 0, 32).fill_(-1e-9);
  w[2][40] = 1000;
  for (const bool symmetric : {true, false}) {
    const at::Tensor back = Decode(RoundToNearest(w, 4, 32, symmetric));
    CHECK(back[0].abs().max().item<float>() == 0);
    CHECK(at::allclose(back[1], w[1], 1e-3, 0));
    CHECK(back[2].narrow(0, 0, 32).abs().max().item<float>() <= 1e-8F);
    CHECK(back[2][40].item<float>() == Approx(1000).epsilon(1e-3));
  }
  at::Tensor infinite = w.clone();
  infinite[0][0] = INFINITY;
  CHECK_THROWS_AS(RoundToNearest(infinite, 8, 0, true), Error);
  at::Tensor huge = w.clone();
  huge[0][0] = 1e12;
  CHECK_THROWS_AS(RoundToNearest(huge, 8, 0, true), Error);
}

TEST_CASE("stored bytes equal the formulas") {
  at::manual_seed(3);
  const at::Tensor w = at::randn({192, 576});
  const int64_t count = 192 * 576;
  const auto bytes = [&](int bits, int64_t group, bool symmetric) {
    return MakeIntegerWeight(RoundToNearest(w, bits, group, symmetric), Activation::kInt8)->size().bytes;
  };
  CHECK(bytes(8, 0, true) == count + 2 * 192);
  CHECK(bytes(8, 32, true) == count + 2 * count / 32);
  CHECK(bytes(4, 32, true) == count / 2 + 2 * count / 32);
  CHECK(bytes(4, 32, false) == count / 2 + 2 * count / 32 + count / 64);
  // 576 = 4.5 x 128: the last group is short and has a scale of its own.
  CHECK(bytes(4, 128, true) == count / 2 + 2 * 192 * 5);
}

// Hand-computed: absmax 7 gives scale 1 and codes equal to the values.
TEST_CASE("codes are the documented ones") {
  const at::Tensor w = at::tensor({-7.0F, -3.4F, 0.0F, 0.5F, 1.5F, 7.0F}).view({1, 6});
  const IntegerCodes symmetric = RoundToNearest(w, 4, 0, true);
  CHECK(at::equal(symmetric.codes.to(at::kInt) - 8, at::tensor({-7, -3, 0, 0, 2, 7}, at::kInt).view({1, 6})));
  const at::Tensor v = at::tensor({-5.0F, 0.0F, 10.0F}).view({1, 3});
  const IntegerCodes asymmetric = RoundToNearest(v, 4, 0, false);
  CHECK(asymmetric.scales.item<float>() == 1.0F);
  CHECK(asymmetric.zeros.item<int>() == 5);
  CHECK(at::equal(asymmetric.codes.to(at::kInt), at::tensor({0, 5, 15}, at::kInt).view({1, 3})));
}

}  // namespace tnb
