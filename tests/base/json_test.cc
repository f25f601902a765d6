#include "base/json.h"

#include "base/files.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("required and optional fields") {
  const Json object = ParseJson(R"({"n": 3, "name": "x", "none": null})", "a.json");
  CHECK(Require<int>(object, "n", "a.json") == 3);
  CHECK(Optional<int>(object, "missing", 7, "a.json") == 7);
  CHECK(Optional<int>(object, "none", 7, "a.json") == 7);
  CHECK_THROWS_WITH(Require<int>(object, "missing", "a.json"), Contains("'missing'") && Contains("a.json"));
  CHECK_THROWS_WITH(Require<int>(object, "name", "a.json"), Contains("wrong type") && Contains("\"x\""));
  CHECK_THROWS_AS(Optional<int>(object, "name", 7, "a.json"), Error);
  CHECK_THROWS_AS(Require<int>(Json::array(), "n", "a.json"), Error);
}

TEST_CASE("a dump does not depend on the order of keys") {
  CHECK(ParseJson(R"({"b": 1, "a": 2})", "x").dump() == ParseJson(R"({"a": 2, "b": 1})", "x").dump());
}

TEST_CASE("broken JSON names the file") {
  CHECK_THROWS_WITH(ParseJson("{\"a\": ", "broken.json"), Contains("broken.json"));
  CHECK_THROWS_AS(ParseJson("", "empty"), Error);
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "x.json", "[1, 2");
  CHECK_THROWS_WITH(ReadJsonFile(folder / "x.json"), Contains("x.json"));
  CHECK_THROWS_AS(ReadJsonFile(folder / "absent.json"), Error);
}

}  // namespace
}  // namespace tnb
