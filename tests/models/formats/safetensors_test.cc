#include "models/formats/safetensors.h"

#include <string>
#include <utility>
#include <vector>

#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

// Written by the safetensors Python package 0.8: a F16 [1.5, -2], b F32 [[0..2], [3..5]], e F32 [0, 4], i I64
// [-7], s F32 scalar 3.25, metadata {"k": "v"}.
constexpr char kReference[] =
    "30010000000000007b225f5f6d657461646174615f5f223a7b226b223a2276227d2c2269223a7b226474797065223a2249363422"
    "2c22736861"
    "7065223a5b315d2c22646174615f6f666673657473223a5b302c385d7d2c2262223a7b226474797065223a22463332222c227368"
    "617065223a"
    "5b322c335d2c22646174615f6f666673657473223a5b382c33325d7d2c2265223a7b226474797065223a22463332222c22736861"
    "7065223a5b"
    "302c345d2c22646174615f6f666673657473223a5b33322c33325d7d2c2273223a7b226474797065223a22463332222c22736861"
    "7065223a5b"
    "5d2c22646174615f6f666673657473223a5b33322c33365d7d2c2261223a7b226474797065223a22463136222c22736861706522"
    "3a5b325d2c"
    "22646174615f6f666673657473223a5b33362c34305d7d7d202020f9ffffffffffffff000000000000803f000000400000404000"
    "0080400000"
    "a04000005040003e00c0";

std::string OpenError(const TemporaryFolder& folder, const std::string& content,
                      ErrorKind kind = ErrorKind::kData) {
  WriteText(folder / "x.safetensors", content);
  return ErrorOf(kind, [&] { SafetensorsFile file(folder / "x.safetensors"); });
}

std::string Content(const SafetensorsTensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data), tensor.bytes};
}

}  // namespace

TEST_CASE("a file of the reference implementation is read") {
  const TemporaryFolder folder;
  WriteText(folder / "x.safetensors", FromHex(kReference));
  const SafetensorsFile file(folder / "x.safetensors");
  CHECK(file.metadata() == std::map<std::string, std::string>{{"k", "v"}});
  CHECK(file.FileBytes() == 352);
  REQUIRE(file.tensors().size() == 5);
  CHECK(file.Get("b").dtype == "F32");
  CHECK(file.Get("b").shape == std::vector<int64_t>{2, 3});
  CHECK(Content(file.Get("b")) == Bytes(std::vector<float>{0, 1, 2, 3, 4, 5}));
  CHECK(file.Get("a").dtype == "F16");
  CHECK(Content(file.Get("a")) == FromHex("003e00c0"));
  CHECK(Content(file.Get("i")) == Bytes(int64_t{-7}));
  CHECK(file.Get("s").shape.empty());
  CHECK(Content(file.Get("s")) == Bytes(3.25f));
  CHECK(file.Get("e").shape == std::vector<int64_t>{0, 4});
  CHECK(file.Get("e").bytes == 0);
  CHECK(file.Find("c") == nullptr);
  const std::string message = ErrorOf(ErrorKind::kData, [&] { file.Get("bb"); });
  CHECK_THAT(message, Contains("no tensor 'bb'"));
  CHECK_THAT(message, Contains("nearest is 'b'"));
  file.Release(file.Get("b"));
  CHECK(Content(file.Get("s")) == Bytes(3.25f));
}

TEST_CASE("a safetensors file cut anywhere is an error") {
  const TemporaryFolder folder;
  const std::string whole = FromHex(kReference);
  for (size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK_THAT(OpenError(folder, whole.substr(0, size)), !Contains("no error") && !Contains("another kind"));
  }
}

TEST_CASE("a safetensors header with any byte changed is read or refused") {
  const TemporaryFolder folder;
  const std::string whole = FromHex(kReference);
  for (size_t at = 0; at < 8 + 304; ++at) {
    for (const int flip : {1, 8, 128, 255}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      WriteText(folder / "x.safetensors", changed);
      try {
        const SafetensorsFile file(folder / "x.safetensors");
        uint64_t sum = 0;  // every byte that the file promises is there
        for (const SafetensorsTensor& tensor : file.tensors()) {
          for (uint64_t i = 0; i < tensor.bytes; ++i) sum += tensor.data[i];
        }
        CHECK(sum > 0);
      } catch (const Error& error) {
        CHECK((error.kind() == ErrorKind::kData || error.kind() == ErrorKind::kUnsupported));
      }
    }
  }
}

TEST_CASE("lying safetensors headers are refused with the reason") {
  const TemporaryFolder folder;
  const std::string data(16, 'x');
  const auto entry = [](const std::string& shape, const std::string& offsets,
                        const std::string& dtype = "F32") {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"a":)" + entry("[4]", "[0,16]") + R"(,"a":)" + entry("[4]", "[0,16]") + "}", "'a' comes twice"},
      {R"({"a":)" + entry("[2]", "[0,8]") + R"(,"b":)" + entry("[2]", "[4,12]") + "}", "share bytes"},
      {R"({"a":)" + entry("[5]", "[0,20]") + "}", "outside of the file"},
      {R"({"a":)" + entry("[4]", "[16,0]") + "}", "outside of the file"},
      {R"({"a":)" + entry("[3]", "[0,16]") + "}", "do not fit its shape"},
      {R"({"a":)" + entry("[4294967296,4294967296]", "[0,0]") + "}", "larger than memory"},
      {R"({"a":)" + entry("[9223372036854775807,2]", "[0,16]") + "}", "larger than memory"},
      {R"({"a":)" + entry("[-4]", "[0,16]") + "}", "bad shape"},
      {R"({"a":)" + entry("[4.0]", "[0,16]") + "}", "bad shape"},
      {R"({"a":)" + entry("[4]", "[0,18446744073709551615]") + "}", "bad offset"},
      {R"({"a":)" + entry("[4]", "[0,16,32]") + "}", "data_offsets"},
      {R"({"a":)" + entry("4", "[0,16]") + "}", "{dtype, shape"},
      {R"({"a":1})", "{dtype, shape"},
      {R"({"__metadata__":{"k":1}})", "__metadata__ 'k'"},
      {R"({"__metadata__":[]})", "__metadata__"},
      {"{\"\xff\xfe\":1}", "UTF-8"},
      {"{\"a\":", "JSON"},
      {" {}", "'{' first"},
      {"[]", "'{' first"},
      {"", "'{' first"},
  };
  for (const auto& [header, message] : cases) {
    INFO(header);
    CHECK_THAT(OpenError(folder, Safetensors(header, data)), Contains(message) && Contains("x.safetensors"));
  }
  CHECK_THAT(OpenError(folder, Safetensors(R"({"a":)" + entry("[4]", "[0,16]", "F31") + "}", data),
                       ErrorKind::kUnsupported),
             Contains("F31"));
  CHECK_THAT(OpenError(folder, Bytes(uint64_t{100'000'001}) + std::string(64, ' ')),
             Contains("at most 100000000"));
  CHECK_THAT(OpenError(folder, Bytes(~uint64_t{0}) + std::string(64, ' ')), Contains("at most 100000000"));
}

TEST_CASE("gaps between tensors are allowed") {
  const TemporaryFolder folder;
  WriteText(folder / "x.safetensors",
            Safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", "0123456789"));
  CHECK(Content(SafetensorsFile(folder / "x.safetensors").Get("a")) == "34");
}

TEST_CASE("a missing safetensors file is an error of the system") {
  CHECK_THAT(ErrorOf(ErrorKind::kIo, [] { SafetensorsFile file("no/such/file.safetensors"); }),
             Contains("no/such/file.safetensors"));
}
