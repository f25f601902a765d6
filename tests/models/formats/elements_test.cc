#include "models/formats/elements.h"

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"
#include "tests/models/formats/builders.h"
#include "tests/models/formats/golden_blocks.h"
#include "tests/support/catch.h"

using namespace tnb;
using namespace tnb::testing;

TEST_CASE("ggml blocks expand bit for bit as gguf-py expands them") {
  for (const GoldenBlocks& golden : kGoldenBlocks) {
    INFO(golden.format);
    const ElementFormat* format = FindElementFormat(golden.format);
    REQUIRE(format != nullptr);
    const std::string stored = FromHex(golden.stored);
    REQUIRE(stored.size() % static_cast<size_t>(format->block_bytes) == 0);
    const int64_t blocks = static_cast<int64_t>(stored.size()) / format->block_bytes;
    const size_t n = static_cast<size_t>(blocks * format->block_values) / 2;
    std::vector<float> values(2 * n);
    // One byte off any alignment.
    const std::string shifted = "x" + stored;
    format->expand(reinterpret_cast<const uint8_t*>(shifted.data()) + 1, blocks, values.data());
    const std::array<float, 6> some = {values[0],     values[1], values[n / 2],
                                       values[n - 1], values[n], values[2 * n - 1]};
    CHECK(some == golden.values);
    CHECK(Sha256Hex(Bytes(values)) == golden.sha256);
  }
}

TEST_CASE("all 65536 halves expand to their values") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float sign = bits & 0x8000 ? -1.0f : 1.0f;
    const float value = HalfToFloat(static_cast<uint16_t>(bits));
    if (exponent == 31 && fraction != 0) {
      REQUIRE(std::isnan(value));
      continue;
    }
    const float expected =
        exponent == 31  ? std::numeric_limits<float>::infinity()
        : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                        : std::ldexp(static_cast<float>(1024 + fraction), static_cast<int>(exponent) - 25);
    REQUIRE(std::bit_cast<uint32_t>(value) == std::bit_cast<uint32_t>(sign * expected));
  }
}

TEST_CASE("formats that cannot be expanded are not found") {
  CHECK(FindElementFormat("Q2_K") == nullptr);
  CHECK(FindElementFormat("F64") == nullptr);
  CHECK(FindElementFormat("") == nullptr);
}

TEST_CASE("the first value that is not finite is found") {
  std::vector<float> values(10000, 1e38f);
  CHECK(FindNonFinite(values.data(), 10000) == -1);
  CHECK(FindNonFinite(values.data(), 0) == -1);
  values[9999] = -std::numeric_limits<float>::infinity();
  CHECK(FindNonFinite(values.data(), 10000) == 9999);
  CHECK(FindNonFinite(values.data(), 9999) == -1);
  values[4097] = std::numeric_limits<float>::quiet_NaN();
  CHECK(FindNonFinite(values.data(), 10000) == 4097);
}
