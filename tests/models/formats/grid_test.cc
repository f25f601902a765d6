#include "models/formats/grid.h"

#include <cmath>
#include <random>
#include <vector>

#include "models/checkpoint.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using namespace tnb::testing;

namespace {

constexpr int64_t kRows = 40, kCols = 192;

std::vector<float> Gaussian(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.05F);
  std::vector<float> values(kRows * kCols);
  for (float& value : values) value = normal(random);
  return values;
}

// code * scale + minimum in fp32, as a quantized file is expanded.
std::vector<float> Quantized(std::vector<float> values, int64_t group, int levels) {
  for (size_t begin = 0; begin < values.size(); begin += static_cast<size_t>(group)) {
    float low = 1e9F, high = -1e9F;
    for (int64_t i = 0; i < group; ++i) {
      low = std::min(low, values[begin + static_cast<size_t>(i)]);
      high = std::max(high, values[begin + static_cast<size_t>(i)]);
    }
    const float scale = (high - low) / static_cast<float>(levels - 1);
    for (int64_t i = 0; i < group; ++i) {
      float& value = values[begin + static_cast<size_t>(i)];
      value = std::round((value - low) / scale) * scale + low;
    }
  }
  return values;
}

std::optional<GridFinding> Find(const std::vector<float>& values) {
  return FindGrid(values.data(), kRows, kCols);
}

}  // namespace

TEST_CASE("weights that were quantized in groups are recognized with their group and levels") {
  for (const auto& [group, levels] : {std::pair{32, 16}, {64, 16}, {64, 8}, {16, 4}, {192, 256}}) {
    CAPTURE(group, levels);
    const auto found = Find(Quantized(Gaussian(1), group, levels));
    REQUIRE(found);
    CHECK(found->group == group);
    CHECK(found->levels <= levels);
    CHECK(found->levels > levels / 2);
  }
}

TEST_CASE("weights that were never quantized lie on no grid") {
  CHECK_FALSE(Find(Gaussian(2)));
  // bf16 keeps 8 significant bits, whose step depends on the value: no equal steps.
  std::vector<float> rounded = Gaussian(3);
  for (float& value : rounded) {
    const float big = value * 65537.0F;  // 2^16 + 1: Veltkamp's split keeps 24 - 16 bits
    value = big - (big - value);
  }
  CHECK_FALSE(Find(rounded));
  // 1024 levels are finer than what a quantizer of 8 bits or fewer leaves.
  CHECK_FALSE(Find(Quantized(Gaussian(4), 64, 1024)));
}

TEST_CASE("constant groups say nothing, and a few other ones do not hide a grid") {
  CHECK_FALSE(Find(std::vector<float>(kRows * kCols, 0.25F)));
  std::vector<float> values = Quantized(Gaussian(5), 32, 16);
  const std::vector<float> other = Gaussian(6);
  std::copy(other.begin(), other.begin() + 32 * 6, values.begin());  // 6 of 240 groups: 2.5 %
  CHECK(Find(values));
  std::copy(other.begin(), other.begin() + 32 * 24, values.begin());
  CHECK_FALSE(Find(values));
}

TEST_CASE("levels of a few values") {
  const std::vector<float> codes = {0, 3, 5, 12};
  CHECK(GridLevels(codes.data(), 4, 16) == 13);
  CHECK(GridLevels(codes.data(), 4, 12) == 0);
  const std::vector<float> even = {-4, 0, 2, 6};  // steps of two
  CHECK(GridLevels(even.data(), 4, 16) == 6);
  const std::vector<float> same = {1, 1};
  CHECK(GridLevels(same.data(), 2, 16) == 1);
}

TEST_CASE("SmolLM2's wheel holds a 4-bit file, expanded") {
  const auto path = SmolLM2();
  if (!path) return;
  const auto checkpoint = OpenCheckpoint(*path);
  for (const char* name : {"blocks.0.q", "blocks.7.gate", "blocks.29.down"}) {
    CAPTURE(name);
    const TensorInfo& info = checkpoint->Info(name);
    CHECK(info.dtype == "Q4_1");
    std::vector<float> values(static_cast<size_t>(info.rows * info.cols));
    checkpoint->Read(name, 0, info.rows, values.data());
    const auto found = FindGrid(values.data(), info.rows, info.cols);
    REQUIRE(found);
    CHECK(found->group == 32);
    CHECK(found->levels == 16);
  }
}
