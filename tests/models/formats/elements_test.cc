#include "models/formats/elements.h"

#include <algorithm>
#include <array>
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

TEST_CASE("floats round to the nearest half, halves to even") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = HalfToFloat(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      REQUIRE(std::isnan(HalfToFloat(FloatToHalf(value))));
      continue;
    }
    REQUIRE(FloatToHalf(value) == bits);
    // Between a half and the next one of the same sign: the even one at the middle, else the nearer.
    if ((bits & 0x7fff) >= 0x7bff) continue;
    const float next = HalfToFloat(static_cast<uint16_t>(bits + 1)), middle = (value + next) / 2;
    REQUIRE(FloatToHalf(middle) == (bits % 2 == 0 ? bits : bits + 1));
    REQUIRE(FloatToHalf(std::nextafter(middle, value)) == bits);
    REQUIRE(FloatToHalf(std::nextafter(middle, next)) == bits + 1);
  }
  CHECK(FloatToHalf(65519.9f) == 0x7bff);
  CHECK(FloatToHalf(65520) == 0x7c00);
  CHECK(FloatToHalf(-std::numeric_limits<float>::infinity()) == 0xfc00);
  CHECK(FloatToHalf(1e-10f) == 0);
}

TEST_CASE("formats that cannot be expanded are not found") {
  CHECK(FindElementFormat("Q2_K") == nullptr);
  CHECK(FindElementFormat("F64") == nullptr);
  CHECK(FindElementFormat("") == nullptr);
}

// ggml's own functions (llama.cpp as vendored in llama-cpp-python 0.3.36, ggml-quants.c compiled with
// -ffp-contract=off): the 32-bit FNV-1a hash of all expanded values, their mean squared error, and some of
// them.
TEST_CASE("values quantize to what ggml quantizes them to") {
  constexpr int kCount = 4096;
  std::vector<float> values(kCount);
  for (int i = 0; i < kCount; ++i) {
    const double u = ((i * 101 + (i / 64) * 37 + (i * (i / 32)) % 53) % 211 - 105) / 105.0;
    values[static_cast<size_t>(i)] = static_cast<float>(u * u * u * (1 + (i / 256) % 7));
  }
  // Zeros in a whole large block and in a small one, equal values, one sign only, a part that is tiny.
  const auto at = [&](int i) { return values.begin() + i; };
  std::fill(at(512), at(768), 0.0f);
  std::fill(at(800), at(832), 0.25f);
  std::transform(at(1024), at(1280), at(1024), [](float x) { return std::abs(x); });
  std::transform(at(1300), at(1316), at(1300), [](float x) { return x * 1e-6f; });
  struct Golden {
    const char* name;
    uint32_t hash;
    double error;
    std::array<float, 4> some;  // values 0, 70, 1100 and 4095
  };
  for (const Golden& golden : std::initializer_list<Golden>{
           {"Q4_0", 3121718820u, 0.015449945086846125, {-0x1p+0f, 0x1.383p-2f, 0, 0}},
           {"Q5_0", 1142102463u, 0.0038442212989269072, {-0x1p+0f, 0x1.6c38p-2f, 0x1.1ccp-2f, 0}},
           {"Q8_0",
            2881747255u,
            6.4735432764650609e-05,
            {-0x1.fff8p-1f, 0x1.54d8p-2f, 0x1.1fp-2f, -0x1.83p-5f}},
           {"Q4_K",
            3732311553u,
            0.011554871953250006,
            {-0x1.f07cp-1f, 0x1.596cp-2f, 0x1.2abfp-2f, -0x1.2e8p-6f}},
           {"Q6_K",
            2384461629u,
            0.00071853705182413959,
            {-0x1.003b8p+0f, 0x1.54776p-2f, 0x1.1a478p-2f, -0x1.ff79p-5f}},
       }) {
    INFO(golden.name);
    const ElementFormat* format = FindElementFormat(golden.name);
    std::vector<uint8_t> stored(static_cast<size_t>(kCount / format->block_values * format->block_bytes));
    FindQuantizer(golden.name)(values.data(), kCount / format->block_values, stored.data());
    std::vector<float> back(kCount);
    format->expand(stored.data(), kCount / format->block_values, back.data());
    double error = 0;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < back.size(); ++i) {
      error += (double{back[i]} - double{values[i]}) * (double{back[i]} - double{values[i]}) / kCount;
      const auto bits = std::bit_cast<uint32_t>(back[i]);
      for (int k = 0; k < 4; ++k) hash = (hash ^ (bits >> (8 * k) & 255)) * 16777619u;
    }
    CHECK(error == Approx(golden.error).epsilon(1e-12));
    CHECK(std::array<float, 4>{back[0], back[70], back[1100], back[4095]} == golden.some);
    CHECK(hash == golden.hash);
  }
  CHECK(FindQuantizer("Q5_K") == nullptr);
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
