// Vectors made with CPython 3.11's random.Random.
#include "base/random.h"

#include <algorithm>
#include <limits>

#include "base/json.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Indices = std::vector<size_t>;

// One generator, drawn from in the order of the members.
struct Golden {
  int64_t seed;
  double random[2];
  uint64_t bits[6];            // getrandbits(1, 31, 32, 33, 53, 64)
  uint64_t below[6];           // randrange(1, 2, 7, 1000, 2**32, 10**12)
  std::vector<int> shuffled;   // shuffle(list(range(10)))
  Indices sample21, sample22;  // sample(range(n), 5): from a pool, by rejection
  Indices sample85, sample86;  // sample(range(n), 6): from a pool, by rejection
};

void Check(const Golden& golden) {
  PythonRandom random(golden.seed);
  for (const double expected : golden.random) CHECK(random.Random() == expected);
  const int bits[] = {1, 31, 32, 33, 53, 64};
  for (size_t i = 0; i < 6; ++i) CHECK(random.RandomBits(bits[i]) == golden.bits[i]);
  const uint64_t bounds[] = {1, 2, 7, 1000, uint64_t{1} << 32, 1000000000000};
  for (size_t i = 0; i < 6; ++i) CHECK(random.RandomBelow(bounds[i]) == golden.below[i]);
  std::vector<int> values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  random.Shuffle(values);
  CHECK(values == golden.shuffled);
  CHECK(random.Sample(21, 5) == golden.sample21);
  CHECK(random.Sample(22, 5) == golden.sample22);
  CHECK(random.Sample(85, 6) == golden.sample85);
  CHECK(random.Sample(86, 6) == golden.sample86);
}

TEST_CASE("draws are those of CPython") {
  Check({0,
         {0x1.b0580f98a7dbep-1, 0x1.84129978f9c1ap-1},
         {0, 86939546, 1112038970, 8441607418u, 3647322674545125u, 14458531974522955699ull},
         {0, 1, 2, 597, 598176026, 829528891695u},
         {3, 8, 9, 6, 5, 0, 7, 2, 4, 1},
         {11, 13, 10, 6, 15},
         {14, 16, 8, 1, 17},
         {1, 11, 51, 80, 0, 78},
         {63, 42, 31, 41, 8, 24}});
  Check({1234,
         {0x1.eed2ff71cd77dp-1, 0x1.c34f680ef4f52p-2},
         {0, 194655650, 3912611952u, 8343123266u, 5244240138843581u, 12388159654460451796ull},
         {0, 0, 6, 363, 1017090249, 20567622216u},
         {2, 4, 3, 9, 6, 0, 1, 8, 7, 5},
         {7, 2, 17, 14, 19},
         {19, 21, 2, 16, 18},
         {5, 34, 71, 8, 38, 61},
         {45, 34, 31, 83, 25, 58}});
  Check({1099511627783,
         {0x1.3a3761afd4291p-1, 0x1.a13cb57c0715ap-1},
         {1, 1373366560, 2449809396u, 3030506883u, 8540023854421894u, 2338138790806636401u},
         {0, 1, 3, 453, 3852568308u, 924386111788u},
         {9, 3, 0, 1, 6, 4, 5, 8, 2, 7},
         {2, 11, 4, 18, 0},
         {18, 4, 1, 11, 9},
         {77, 61, 3, 48, 74, 44},
         {33, 60, 44, 81, 31, 72}});
  Check({std::numeric_limits<int64_t>::min(),
         {0x1.1b5fa2193586fp-1, 0x1.e198384d65bb9p-1},
         {0, 2081370941, 3656249883u, 2156693347u, 6791671973561022u, 9281348672238038600ull},
         {0, 1, 5, 685, 4140643018u, 26813450215u},
         {0, 4, 6, 3, 7, 9, 8, 2, 5, 1},
         {13, 3, 11, 8, 1},
         {8, 17, 7, 9, 4},
         {81, 75, 48, 50, 47, 24},
         {21, 16, 35, 82, 50, 31}});
  Check({std::numeric_limits<int64_t>::max(),
         {0x1.443e8e5409ca6p-2, 0x1.43346b887de9dp-1},
         {1, 1054279919, 1947612296, 469192892, 6439787091284342u, 13741994411260435403ull},
         {0, 0, 5, 368, 3402687524u, 854904102431u},
         {0, 7, 8, 4, 5, 9, 1, 6, 2, 3},
         {10, 2, 6, 11, 16},
         {17, 4, 10, 7, 20},
         {15, 56, 62, 18, 51, 46},
         {37, 59, 68, 9, 52, 50}});
}

TEST_CASE("the sign of a seed does not matter") {
  CHECK(PythonRandom(-1234).RandomBits(64) == PythonRandom(1234).RandomBits(64));
}

TEST_CASE("samples at the edges") {
  PythonRandom random(5);
  CHECK(random.Sample(10, 0).empty());
  CHECK(random.Sample(0, 0).empty());
  Indices all = random.Sample(1000, 1000);
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i < all.size(); ++i) REQUIRE(all[i] == i);
  CHECK_THROWS_AS(random.Sample(3, 4), Error);
  CHECK_THROWS_AS(random.RandomBelow(0), Error);
  CHECK_THROWS_AS(random.RandomBits(65), Error);
  CHECK(random.RandomBits(0) == 0);
}

TEST_CASE("draws are those of the shared golden file") {
  const auto path = testing::SharedData("../reference/golden_random.json");
  if (!path) return;
  const Json golden = ReadJsonFile(*path);
  for (const Json& sampled : golden.at("cases")) {
    PythonRandom random(sampled.at("seed").get<int64_t>());
    for (const Json& draw : sampled.at("draws")) {
      CHECK(random.Sample(sampled.at("n"), draw.size()) == draw.get<Indices>());
    }
  }
  PythonRandom bits(1234), reals(1234), shuffler(1234);
  for (const Json& expected : golden.at("getrandbits32_seed1234")) {
    CHECK(bits.RandomBits(32) == expected.get<uint64_t>());
  }
  for (const Json& expected : golden.at("random_seed1234")) CHECK(reals.Random() == expected.get<double>());
  Indices values(20);
  for (size_t i = 0; i < values.size(); ++i) values[i] = i;
  shuffler.Shuffle(values);
  CHECK(values == golden.at("shuffle20_seed1234").get<Indices>());
}

}  // namespace
}  // namespace tnb
