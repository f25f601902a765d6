#include "base/files.h"

#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("what is written is read") {
  const testing::TemporaryFolder folder;
  const std::string content = std::string("a\0b\n", 4) + std::string(200000, 'x');
  WriteFileAtomically(folder / "f", content);
  CHECK(ReadFile(folder / "f") == content);
  WriteFileAtomically(folder / "f", "new");
  CHECK(ReadFile(folder / "f") == "new");
  // No temporary file stays behind.
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("errors name the file") {
  const testing::TemporaryFolder folder;
  CHECK_THROWS_WITH(ReadFile(folder / "absent"), Contains("absent"));
  CHECK_THROWS_AS(ReadFile(folder.path()), Error);
  CHECK_THROWS_AS(WriteFileAtomically(folder / "no/such/folder", "x"), Error);
  CHECK_THROWS_AS(MappedFile(folder / "absent"), Error);
  CHECK_THROWS_AS(MappedFile(folder.path()), Error);
}

TEST_CASE("a map shows the file") {
  const testing::TemporaryFolder folder;
  const std::string content(100000, 'q');
  WriteFileAtomically(folder / "f", content);
  WriteFileAtomically(folder / "empty", "");
  MappedFile first(folder / "f");
  const MappedFile second = std::move(first);
  CHECK(first.size() == 0);
  REQUIRE(second.size() == content.size());
  second.Release(1, content.size());  // pages come back when read
  second.Release(50, 1000000000);
  CHECK(std::string(reinterpret_cast<const char*>(second.data()), second.size()) == content);
  CHECK(MappedFile(folder / "empty").size() == 0);
}

TEST_CASE("the cache folder follows the environment") {
  const char* before = std::getenv("TNBENCH_CACHE");
  const std::string kept = before != nullptr ? before : "";
  setenv("TNBENCH_CACHE", "/some/where", 1);
  CHECK(CacheFolder() == "/some/where");
  if (before != nullptr) {
    setenv("TNBENCH_CACHE", kept.c_str(), 1);
  } else {
    unsetenv("TNBENCH_CACHE");
  }
}

}  // namespace
}  // namespace tnb
