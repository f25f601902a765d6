// A large core in codes and a small one in fp16.
#include <ATen/ATen.h>

#include "base/error.h"
#include "tests/methods/stage_support.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Relative error of W after a method, and the linear that it became.
double RelativeError(const std::string& method, const at::Tensor& w, LinearSlot& slot) {
  slot = testing::SlotOf(w);
  testing::Compress(method, slot);
  return ((slot.linear->Rebuild() - w).norm() / w.norm()).item<double>();
}

TEST_CASE("decoquant cuts nothing: what remains is the rounding of the large core") {
  at::manual_seed(1);
  const at::Tensor w = at::randn({96, 120});
  LinearSlot slot;
  // Codes of 8 bits: a step is a 255th of a range of about 5 standard deviations, its error 1/sqrt(12) of it.
  CHECK(RelativeError("decoquant:bits=8,act=fp32", w, slot) < 0.01);
  CHECK(slot.linear->factorized());
  // Blocks of 4 x 4: as many codes as elements, a scale and a zero point a group, 16 x 16 numbers.
  CHECK(slot.linear->size().code_bits >= 8 * w.numel());
  CHECK(slot.linear->size().parameters >= 16 * 16);
  const int64_t most = w.numel() + 3 * (w.numel() / 30) + 2 * 16 * 16;  // groups of 30 columns and more
  CHECK(slot.linear->size().bytes <= most);
  // What it multiplies with is what it rebuilds.
  const at::Tensor x = at::randn({3, 120});
  CHECK(at::allclose(slot.linear->Forward(x), at::matmul(x, slot.linear->Rebuild().t()), 1e-4, 1e-3));
  // Odd and prime sizes: 5 x 3 and 1 x 4 elements a block.
  CHECK(RelativeError("decoquant:bits=8,act=fp32,leg=5", at::randn({35, 9}), slot) < 0.01);
  CHECK(RelativeError("decoquant:bits=8,act=fp32", at::randn({13, 8}), slot) < 0.01);
  CHECK(RelativeError("decoquant", at::ones({16, 16}), slot) < 0.01);  // rank 1
}

TEST_CASE("decoquant: outliers of one kind of element go into the small core") {
  at::manual_seed(2);
  at::Tensor w = at::randn({64, 128});
  // Every fourth column is thirty times as large, which costs its neighbors in a group their codes.
  w.view({64, 32, 4}).select(2, 1).mul_(30);
  LinearSlot slot;
  // The small columns are lost to plain rounding, and kept by the cut.
  const auto small = [&](const at::Tensor& back) {
    const at::Tensor difference = (back - w).view({64, 32, 4}).select(2, 0);
    return (difference.norm() / w.view({64, 32, 4}).select(2, 0).norm()).item<double>();
  };
  RelativeError("decoquant:group=64,act=fp32", w, slot);
  CHECK(small(slot.linear->Rebuild()) < 0.2);
  RelativeError("int4:group=64,act=fp32", w, slot);
  CHECK(small(slot.linear->Rebuild()) > 0.7);
}

TEST_CASE("decoquant refuses what is cut already") {
  LinearSlot slot = testing::SlotOf(at::randn({16, 16}));
  CHECK_THROWS_AS(testing::Compress("svd:rank=4@all+decoquant", slot), Error);
}

}  // namespace
}  // namespace tnb
