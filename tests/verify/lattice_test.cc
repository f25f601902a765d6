#include "verify/lattice.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using Bond = std::pair<int, int>;

std::vector<int> Degrees(const Lattice& lattice) {
  std::vector<int> degrees(lattice.sites, 0);
  for (const auto& [a, b] : lattice.bonds) {
    ++degrees.at(a);
    ++degrees.at(b);
  }
  return degrees;
}

bool Has(const Lattice& lattice, Bond bond) {
  return std::count(lattice.bonds.begin(), lattice.bonds.end(), bond) == 1;
}

// IBM's coupling map of ibm_kyiv (Eagle), as printed in the supplement of Nature 618, 500: the connectors
// and the chains.
TEST_CASE("127 qubits are IBM's Eagle") {
  const Lattice lattice = HeavyHexOf(127);
  CHECK(lattice.sites == 127);
  CHECK(lattice.bonds.size() == 144);
  const std::vector<std::vector<int>> connectors = {
      {0, 14, 18},   {4, 15, 22},   {8, 16, 26},    {12, 17, 30},    {20, 33, 39},    {24, 34, 43},
      {28, 35, 47},  {32, 36, 51},  {37, 52, 56},   {41, 53, 60},    {45, 54, 64},    {49, 55, 68},
      {58, 71, 77},  {62, 72, 81},  {66, 73, 85},   {70, 74, 89},    {75, 90, 94},    {79, 91, 98},
      {83, 92, 102}, {87, 93, 106}, {96, 109, 114}, {100, 110, 118}, {104, 111, 122}, {108, 112, 126}};
  size_t bonds = 0;
  for (const auto& path : connectors) {
    CAPTURE(path[1]);
    CHECK(Has(lattice, {path[0], path[1]}));
    CHECK(Has(lattice, {path[1], path[2]}));
    bonds += 2;
  }
  for (const auto& [first, last] :
       std::vector<Bond>{{0, 13}, {18, 32}, {37, 51}, {56, 70}, {75, 89}, {94, 108}, {113, 126}}) {
    for (int i = first; i < last; ++i, ++bonds) CHECK(Has(lattice, {i, i + 1}));
  }
  CHECK(bonds == lattice.bonds.size());
  const std::vector<int> degrees = Degrees(lattice);
  CHECK(std::count(degrees.begin(), degrees.end(), 3) == 36);
  CHECK(degrees[13] == 1);
  CHECK(degrees[113] == 1);
  CHECK(std::count(degrees.begin(), degrees.end(), 2) == 127 - 36 - 2);
}

TEST_CASE("larger lattices are made by the same rule") {
  // Every connector is on two bonds, every chain of k sites has k - 1.
  const std::map<int, size_t> bonds = {{23, 24}, {65, 72}, {127, 144}, {433, 504}, {1121, 1320}};
  for (const auto& [sites, count] : bonds) {
    CAPTURE(sites);
    const Lattice lattice = HeavyHexOf(sites);
    CHECK(lattice.sites == sites);
    CHECK(lattice.bonds.size() == count);
    const std::vector<int> degrees = Degrees(lattice);
    CHECK(*std::max_element(degrees.begin(), degrees.end()) == 3);
    CHECK(std::count(degrees.begin(), degrees.end(), 1) == 2);
    CHECK(Neighborhood(lattice, 0, sites).size() == static_cast<size_t>(sites));  // connected
  }
}

TEST_CASE("neighborhoods grow along bonds") {
  const Lattice lattice = HeavyHexOf(127);
  CHECK(Neighborhood(lattice, 62, 0) == std::vector<int>{62});
  CHECK(Neighborhood(lattice, 62, 1) == std::vector<int>{61, 62, 63, 72});
  CHECK(Neighborhood(lattice, 13, 2) == std::vector<int>{11, 12, 13, 17});
  CHECK_THROWS(Neighborhood(lattice, 127, 1));
}

TEST_CASE("impossible lattices name the nearest ones") {
  CHECK_THROWS_WITH(HeavyHexOf(100), Contains("65 or 127"));
  CHECK_THROWS_WITH(HeavyHexOf(0), Contains("23"));
  CHECK_THROWS_AS(HeavyHexOf(-5), Error);
  CHECK_THROWS_AS(HeavyHexOf(2000000000), Error);
  CHECK_THROWS_AS(HeavyHex(4), Error);
  CHECK_THROWS_AS(HeavyHex(1), Error);
}

}  // namespace
}  // namespace tnb
