#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
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

TEST_CASE("what killed writers left behind is removed, and nothing else") {
  const testing::TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);  // no such process any more
  const std::string dead = std::to_string(child);
  const auto leave = [&](const std::string& name) { std::ofstream(folder / name) << "half"; };
  for (const char* end : {"", "x", "-1"}) leave("f.part" + dead + end);
  leave("g.part" + dead);
  leave("f.part" + std::to_string(::getppid()));  // its writer lives
  leave("f.part");
  WriteFileAtomically(folder / "f", "new");
  CHECK(!std::filesystem::exists(folder / ("f.part" + dead)));
  CHECK(std::filesystem::exists(folder / ("f.part" + dead + "x")));
  CHECK(std::filesystem::exists(folder / ("f.part" + dead + "-1")));
  CHECK(std::filesystem::exists(folder / ("g.part" + dead)));
  CHECK(std::filesystem::exists(folder / ("f.part" + std::to_string(::getppid()))));
  CHECK(std::filesystem::exists(folder / "f.part"));

  // One whose lock is held is being written, perhaps on another machine.
  leave("f.part" + dead);
  const int held = ::open((folder / ("f.part" + dead)).c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  WriteFileAtomically(folder / "f", "newer");
  CHECK(std::filesystem::exists(folder / ("f.part" + dead)));
  ::close(held);
  WriteFileAtomically(folder / "f", "newest");
  CHECK(!std::filesystem::exists(folder / ("f.part" + dead)));
  CHECK(ReadFile(folder / "f") == "newest");
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
