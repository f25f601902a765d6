// All published angles; seconds to a minute.
#include <cmath>

#include "tests/support/catch.h"
#include "verify/kicked_ising.h"

namespace tnb {
namespace {

TEST_CASE("all 17 angles agree with the published exact magnetization") {
  const IsingReference reference = FindIsingReference(127, 5, std::nullopt).value();
  const auto points = RunKickedIsing(HeavyHexOf(127), 5, {32}, std::nullopt, 2, nullptr);
  for (const IsingPoint& point : points[0]) {
    CAPTURE(point.m);
    CHECK(std::abs(point.value - reference.values[point.m]) < 1e-11);  // published with 12 decimals
  }
}

// Beyond 5 steps the mean field is an approximation: good to 3e-5 for small angles (the published exact
// values have 6 decimals).
TEST_CASE("nine steps are near the published exact values at small angles") {
  const IsingReference reference = FindIsingReference(127, 9, 62).value();
  for (const int m : {1, 3, 5}) {
    CAPTURE(m);
    CHECK(std::abs(RunKickedIsing(HeavyHexOf(127), 9, m, 32, 62).value - reference.values[m]) < 3e-5);
  }
}

}  // namespace
}  // namespace tnb
