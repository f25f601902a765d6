#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "models/formats/safetensors.h"
#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

std::string Content(const SafetensorsTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data), tensor.bytes};
}

size_t FilesIn(const TemporaryFolder& folder) {
  const auto files = std::filesystem::directory_iterator(folder.path());
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

// Limits the size of files that this process may write: what a full disk looks like.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("what the writer writes the reader reads, aligned, with and without room for the header") {
  for (const uint64_t reserve : {uint64_t{0}, uint64_t{100}, uint64_t{1} << 16}) {
    INFO(reserve);
    const TemporaryFolder folder;
    const std::vector<float> a = {1, -2, 3.5f};
    const std::string b = "seven b";
    const std::string large(9 << 20, 'L');  // more than one piece when the data has to move
    SafetensorsWriter writer(folder / "x.safetensors", reserve, {{"format", "pt"}});
    writer.Append("a", "F32", {3}, a.data(), 12);
    writer.Append("b", "U8", {7}, b.data(), 7);
    writer.Append("empty", "F16", {0, 8}, nullptr, 0);
    writer.Append("large", "I8", {9, 1 << 20}, large.data(), large.size());
    writer.SetMetadata("note", "später");
    CHECK_FALSE(std::filesystem::exists(folder / "x.safetensors"));
    writer.Finish();
    CHECK(FilesIn(folder) == 1);
    const SafetensorsFile file(folder / "x.safetensors");
    CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}, {"note", "später"}});
    REQUIRE(file.tensors().size() == 4);
    CHECK(Content(file.Get("a")) == Bytes(a));
    CHECK(Content(file.Get("b")) == b);
    CHECK(file.Get("empty").shape == std::vector<int64_t>{0, 8});
    CHECK(Content(file.Get("large")) == large);
    for (const SafetensorsTensor& tensor : file.tensors()) {
      CHECK(reinterpret_cast<uintptr_t>(tensor.data) % 64 == 0);
    }
    if (reserve == uint64_t{1} << 16) CHECK(file.FileBytes() == 8 + 65592 + writer.data_bytes());
  }
}

TEST_CASE("the written data has no gaps, which the format forbids") {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "x.safetensors", 1024);
  writer.Append("b", "U8", {1}, "b", 1);
  writer.Append("a", "U8", {1}, "a", 1);
  writer.Finish();
  const std::string file = ReadFile(folder / "x.safetensors");
  const Json header = Json::parse(file.substr(8, file.find("}   ") - 7));
  CHECK(header["b"]["data_offsets"] == Json({0, 1}));
  CHECK(header["_padding.0"]["data_offsets"] == Json({1, 64}));
  CHECK(header["a"]["data_offsets"] == Json({64, 65}));
}

TEST_CASE("a file without tensors is a file") {
  const TemporaryFolder folder;
  SafetensorsWriter(folder / "x.safetensors", 0).Finish();
  CHECK(SafetensorsFile(folder / "x.safetensors").tensors().empty());
}

TEST_CASE("without Finish nothing remains and the old file stays") {
  const TemporaryFolder folder;
  WriteText(folder / "x.safetensors", "old");
  {
    SafetensorsWriter writer(folder / "x.safetensors", 0);
    writer.Append("a", "U8", {1}, "a", 1);
    CHECK(FilesIn(folder) == 2);
  }
  CHECK(FilesIn(folder) == 1);
  CHECK(ReadFile(folder / "x.safetensors") == "old");
}

TEST_CASE("what a killed writer left is removed by the next one, what a living one writes is not") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  REQUIRE(child > 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  const std::filesystem::path target = folder / "x.safetensors";
  const auto unfinished = [&](const std::string& end) { return target.string() + ".part" + end; };
  const std::vector<std::string> kept = {std::to_string(::getppid()), std::to_string(child) + "x", ""};
  WriteText(unfinished(std::to_string(child)), "dead");
  WriteText(folder / ("y.safetensors.part" + std::to_string(child)), "of another file");
  for (const std::string& end : kept) WriteText(unfinished(end), "not to be touched");
  SafetensorsWriter(target, 0).Finish();
  CHECK_FALSE(std::filesystem::exists(unfinished(std::to_string(child))));
  for (const std::string& end : kept) CHECK(std::filesystem::exists(unfinished(end)));
  CHECK(FilesIn(folder) == 5);
}

TEST_CASE("a full disk is an error with a hint and leaves nothing") {
  const TemporaryFolder folder;
  const std::string data(1 << 20, 'x');
  std::string message;
  {
    const FileSizeLimit limit(1 << 19);
    message = ErrorOf(ErrorKind::kIo, [&] {
      SafetensorsWriter writer(folder / "x.safetensors", 0);
      writer.Append("a", "U8", {1 << 20}, data.data(), data.size());
    });
  }
  CHECK_THAT(message, Contains("free some space"));
  CHECK(FilesIn(folder) == 0);
}

TEST_CASE("a folder that does not exist is an error") {
  const TemporaryFolder folder;
  CHECK_THAT(ErrorOf(ErrorKind::kIo, [&] { SafetensorsWriter writer(folder / "no/x.safetensors", 0); }),
             Contains("cannot create file"));
}

TEST_CASE("the writer refuses what would not be read back") {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "x.safetensors", 0);
  writer.Append("a", "U8", {1}, "a", 1);
  const auto refused = [&](const std::string& name, const std::string& dtype, std::vector<int64_t> shape,
                           uint64_t n) {
    return ErrorOf(ErrorKind::kInternal, [&] { writer.Append(name, dtype, shape, "xxxxxxxx", n); });
  };
  CHECK_THAT(refused("a", "U8", {1}, 1), Contains("is taken"));
  CHECK_THAT(refused("__metadata__", "U8", {1}, 1), Contains("is taken"));
  CHECK_THAT(refused("_padding.0", "U8", {1}, 1), Contains("is taken"));
  CHECK_THAT(refused("b", "F32", {1}, 5), Contains("do not fit"));
  CHECK_THAT(refused("b", "Q4", {1}, 1), Contains("do not fit"));
  CHECK_THAT(refused("b", "U8", {-1, -1}, 1), Contains("do not fit"));
  writer.SetMetadata("k", "\xff");
  CHECK_THAT(ErrorOf(ErrorKind::kInternal, [&] { writer.Finish(); }), Contains("UTF-8"));
  CHECK_THAT(refused("b", "U8", {1}, 1), Contains("after Finish or an error"));
  CHECK(FilesIn(folder) == 0);
}
