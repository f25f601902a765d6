// Parts of the harness that need no process.
#include <limits>

#include "base/error.h"
#include "harness/command.h"
#include "harness/facts.h"
#include "harness/memory.h"
#include "harness/phase.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

TEST_CASE("numbers survive the way to the driver") {
  for (const double value : {0.0, -1.5, 1e300, 0.1, std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity()}) {
    CHECK(NumberFromJson(ParseJson(NumberToJson(value).dump(), "test"), "test") == value);
  }
  CHECK(std::isnan(NumberFromJson(NumberToJson(std::nan("")), "test")));
  CHECK_THROWS_AS(NumberFromJson("12", "test"), Error);
  CHECK_THROWS_AS(NumberFromJson(nullptr, "test"), Error);
}

TEST_CASE("lists have no empty parts") {
  CHECK(SplitList("a,b", "--x") == std::vector<std::string>{"a", "b"});
  CHECK(SplitList("", "--x").empty());
  CHECK_THROWS_WITH(SplitList("a,", "--x"), Catch::Contains("--x"));
  CHECK_THROWS_AS(SplitList(",a", "--x"), Error);
}

TEST_CASE("integers are whole texts") {
  int64_t value = 7;
  for (const char* text : {"", " 1", "1 ", "1.0", "1x", "+1", "0x10", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseInteger(text, value));
  }
  REQUIRE(ParseInteger("-012", value));
  CHECK(value == -12);
}

TEST_CASE("facts do not vary between two calls") {
  CHECK(ThisMachine().facts == ThisMachine().facts);
  CHECK(ThisMachine().facts["memory_gib"].get<int>() >= 1);
  CHECK_FALSE(ThisMachine().facts["processor"].get<std::string>().empty());
  CHECK_FALSE(ThisBuild().facts["compiler"].get<std::string>().empty());
  CHECK_FALSE(ThisBuild().commit.empty());
}

TEST_CASE("the peak stays when memory is given back") {
  const auto before = PeakResidentBytes();
  REQUIRE(before.has_value());
  constexpr size_t kBytes = 200 << 20;
  {
    const std::vector<char> block(kBytes, 1);
    REQUIRE(block[kBytes / 2] == 1);
    CHECK(ResidentBytes().value() >= static_cast<int64_t>(kBytes));
  }
  TrimAllocator();
  CHECK(PeakResidentBytes().value() >= *before);
  CHECK(PeakResidentBytes().value() >= static_cast<int64_t>(kBytes));
  CHECK(ResidentBytes().value() < PeakResidentBytes().value() - static_cast<int64_t>(kBytes / 2));
}

}  // namespace
}  // namespace tnb
