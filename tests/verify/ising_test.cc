#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "base/error.h"
#include "tests/support/catch.h"
#include "verify/graph_peps.h"
#include "verify/kicked_ising.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

// <Z> of a site after `steps` steps, from all 2^n amplitudes: the slow and plain way.
double Exact(const Lattice& lattice, int steps, double angle, int site) {
  std::vector<std::complex<double>> state(size_t{1} << lattice.sites);
  state[0] = 1;
  const std::complex<double> cosine = std::cos(angle / 2), sine(0, -std::sin(angle / 2));
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < lattice.sites; ++i) {
      const size_t bit = size_t{1} << i;
      for (size_t index = 0; index < state.size(); ++index) {
        if (index & bit) continue;
        const auto up = state[index], down = state[index | bit];
        state[index] = cosine * up + sine * down;
        state[index | bit] = sine * up + cosine * down;
      }
    }
    for (size_t index = 0; index < state.size(); ++index) {
      int phase = 0;
      for (const auto& [a, b] : lattice.bonds) phase += ((index >> a ^ index >> b) & 1) ? -1 : 1;
      state[index] *= std::polar(1.0, phase * std::numbers::pi / 4);
    }
  }
  double z = 0;
  for (size_t index = 0; index < state.size(); ++index) {
    z += (index >> site & 1 ? -1 : 1) * std::norm(state[index]);
  }
  return z;
}

// Only what lies in the light cone of a site can change its <Z>: sites fewer than `steps` bonds away (the
// last layer of ZZ commutes with Z).
double ExactInLightCone(const Lattice& lattice, int steps, double angle, int site) {
  const std::vector<int> cone = Neighborhood(lattice, site, steps - 1);
  const auto index = [&](int i) { return std::lower_bound(cone.begin(), cone.end(), i) - cone.begin(); };
  Lattice part{.sites = static_cast<int>(cone.size())};
  for (const auto& [a, b] : lattice.bonds) {
    if (std::count(cone.begin(), cone.end(), a) != 0 && std::count(cone.begin(), cone.end(), b) != 0) {
      part.bonds.emplace_back(index(a), index(b));
    }
  }
  return Exact(part, steps, angle, static_cast<int>(index(site)));
}

GraphPeps Evolved(const Lattice& lattice, int steps, double angle, int chi) {
  GraphPeps state(lattice, chi);
  for (int step = 0; step < steps; ++step) {
    state.RotateX(angle);
    state.CoupleZ(std::numbers::pi / 4);
  }
  return state;
}

TEST_CASE("on trees the simple update is exact") {
  const Lattice chain{.sites = 7, .bonds = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}}};
  const Lattice star{.sites = 8, .bonds = {{0, 1}, {0, 2}, {0, 3}, {1, 4}, {1, 5}, {2, 6}, {3, 7}}};
  for (const Lattice& tree : {chain, star}) {
    for (const double angle : {0.0, 0.3, 0.9, std::numbers::pi / 2, 2.5}) {
      const GraphPeps state = Evolved(tree, 4, angle, 16);
      CAPTURE(tree.bonds.size(), angle);
      double sum = 0;
      for (int site = 0; site < tree.sites; ++site) {
        const double exact = Exact(tree, 4, angle, site);
        // Rounding of 4 steps; divisions by Schmidt values of 1e-3 and more.
        CHECK(std::abs(state.Z(site) - exact) < 1e-11);
        sum += exact;
      }
      CHECK(std::abs(state.MeanZ() - sum / tree.sites) < 1e-11);
      CHECK(state.largest_discarded() < 1e-19);
    }
  }
}

TEST_CASE("loops are exact until the light cone closes them, and the mean field thereafter") {
  Lattice ring{.sites = 12};
  for (int i = 0; i + 1 < 12; ++i) ring.bonds.emplace_back(i, i + 1);
  ring.bonds.emplace_back(0, 11);
  const double angle = 0.8;
  CHECK(std::abs(Evolved(ring, 5, angle, 32).Z(3) - Exact(ring, 5, angle, 3)) < 1e-11);
  // 8 steps reach around the ring; the mean field is then near, but not equal.
  const double difference = std::abs(Evolved(ring, 8, angle, 32).Z(3) - Exact(ring, 8, angle, 3));
  CHECK(difference > 1e-9);
  CHECK(difference < 0.1);
}

TEST_CASE("sites of the heavy-hexagon lattice agree with their light cones") {
  const Lattice lattice = HeavyHexOf(127);
  for (const int m : {3, 8, 13}) {
    const GraphPeps state = Evolved(lattice, 3, IsingAngle(m), 8);
    for (const int site : {0, 13, 62, 72, 113, 126}) {
      CAPTURE(m, site);
      CHECK(std::abs(state.Z(site) - ExactInLightCone(lattice, 3, IsingAngle(m), site)) < 1e-12);
    }
  }
}

TEST_CASE("five steps agree with the published exact magnetization") {
  const Lattice lattice = HeavyHexOf(127);
  const IsingReference reference = FindIsingReference(127, 5, std::nullopt).value();
  CHECK(reference.exact_chi == 32);
  const IsingPoint point = RunKickedIsing(lattice, 5, 8, 32, std::nullopt);
  CHECK(std::abs(point.value - reference.values[8]) < 1e-11);  // published with 12 decimals
  CHECK(point.largest_bond == 32);
  CHECK(point.largest_discarded < 1e-19);
  CHECK(point.seconds > 0);
}

TEST_CASE("Clifford angles, where Schmidt values are degenerate") {
  const Lattice lattice = HeavyHexOf(127);
  CHECK(RunKickedIsing(lattice, 5, 0, 32, std::nullopt).value == Approx(1).margin(1e-12));
  CHECK(RunKickedIsing(lattice, 5, 16, 32, std::nullopt).value == Approx(0).margin(1e-12));
}

// Values of an independent prototype of the same algorithm in another language; with truncation they depend
// on the order of the bonds in the fourth digit.
TEST_CASE("truncated bonds converge to the exact value") {
  const Lattice lattice = HeavyHexOf(127);
  const double exact = FindIsingReference(127, 5, std::nullopt).value().values[8];
  double before = 1;
  for (const auto& [chi, value] :
       std::vector<std::pair<int, double>>{{2, 0.6973}, {4, 0.5099}, {8, 0.4569}}) {
    const IsingPoint point = RunKickedIsing(lattice, 5, 8, chi, std::nullopt);
    CAPTURE(chi);
    CHECK(std::abs(point.value - value) < 1e-3);
    CHECK(point.largest_bond == chi);
    CHECK(point.largest_discarded > 1e-6);
    CHECK(std::abs(point.value - exact) < before / 2);
    before = std::abs(point.value - exact);
  }
}

TEST_CASE("the middle of a larger lattice cannot be told from that of the smaller one") {
  const Lattice small = HeavyHexOf(127), large = HeavyHexOf(433);
  // A site with three bonds, far from the edges: row 6, column 12, above which and below which connectors
  // hang as around site 62.
  int twin = -1;
  for (int site = 200; site < 240 && twin < 0; ++site) {
    if (Neighborhood(large, site, 1).size() == 4) twin = site;
  }
  REQUIRE(twin > 0);
  REQUIRE(Neighborhood(large, twin, 2).size() == Neighborhood(small, 62, 2).size());
  CHECK(RunKickedIsing(large, 3, 8, 8, twin).value ==
        Approx(RunKickedIsing(small, 3, 8, 8, 62).value).margin(1e-12));
}

TEST_CASE("all points are computed once, whatever the threads") {
  const Lattice lattice = HeavyHexOf(23);
  int done = 0;
  const auto points = RunKickedIsing(lattice, 2, {1, 4}, std::nullopt, 3, [&] { ++done; });
  CHECK(done == 2 * kIsingAngles);
  REQUIRE(points.size() == 2);
  const auto alone = RunKickedIsing(lattice, 2, {1, 4}, std::nullopt, 1, nullptr);
  for (size_t chi = 0; chi < 2; ++chi) {
    for (int m = 0; m < kIsingAngles; ++m) {
      CHECK(points[chi][m].m == m);
      CHECK(points[chi][m].value == alone[chi][m].value);
    }
  }
  CHECK_THROWS_AS(RunKickedIsing(lattice, 2, {0}, std::nullopt, 3, nullptr), Error);
}

TEST_CASE("a bond dimension below one is refused") {
  CHECK_THROWS_WITH(GraphPeps(HeavyHexOf(23), 0), Contains("1 or more"));
  CHECK(!FindIsingReference(127, 6, std::nullopt));
  CHECK(!FindIsingReference(127, 5, 62));
  CHECK(FindIsingReference(127, 9, 62)->exact_chi == 0);
}

}  // namespace
}  // namespace tnb
