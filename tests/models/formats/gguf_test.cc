#include "models/formats/gguf.h"

#include <string>
#include <vector>

#include "models/formats/mapped_checkpoint.h"
#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

GgufBuilder Sample() {
  GgufBuilder builder;
  builder.Text("text", "hello")
      .Bool("yes", true)
      .Number("u8", uint8_t{200})
      .Number("i8", int8_t{-3})
      .Number("u16", uint16_t{60000})
      .Number("i16", int16_t{-300})
      .Number("u32", uint32_t{4000000000})
      .Number("i32", int32_t{-5})
      .Number("u64", uint64_t{1} << 40)
      .Number("i64", int64_t{-1} << 40)
      .Number("huge", ~uint64_t{0})
      .Number("f32", 1e-5f)
      .Number("f64", 0.1)
      .Texts("texts", {"a", "", "\xff\xfe"})
      .Numbers("scores", std::vector<float>{0.5f, -1.0f})
      .Numbers("types", std::vector<int32_t>{1, 3, -6})
      .Tensor("m", 0, {2, 3}, Bytes(std::vector<float>{1, 2, 3, 4, 5, 6}))
      .Tensor("q", 8, {1, 32}, std::string(34, '\1'));
  return builder;
}

std::string OpenError(const TemporaryFolder& folder, const std::string& content,
                      ErrorKind kind = ErrorKind::kData) {
  WriteText(folder / "x.gguf", content);
  return ErrorOf(kind, [&] { GgufFile file(folder / "x.gguf"); });
}

}  // namespace

TEST_CASE("GGUF metadata and tensors are read in versions 2 and 3") {
  const TemporaryFolder folder;
  for (const uint32_t version : {2u, 3u}) {
    WriteText(folder / "x.gguf", Sample().Build(version));
    const GgufFile file(folder / "x.gguf");
    CHECK(file.version() == version);
    CHECK(file.Keys().size() == 16);
    CHECK(file.GetString("text") == "hello");
    CHECK(file.GetBool("yes"));
    CHECK(file.GetInt("u8") == 200);
    CHECK(file.GetInt("i8") == -3);
    CHECK(file.GetInt("u16") == 60000);
    CHECK(file.GetInt("i16") == -300);
    CHECK(file.GetInt("u32") == 4000000000);
    CHECK(file.GetInt("i32") == -5);
    CHECK(file.GetInt("u64") == int64_t{1} << 40);
    CHECK(file.GetInt("i64") == int64_t{-1} << 40);
    CHECK(file.GetFloat("f32") == 1e-5);
    CHECK(file.GetFloat("f64") == 0.1);
    CHECK(file.GetStrings("texts") == std::vector<std::string>{"a", "", "\xff\xfe"});
    CHECK(file.GetFloats("scores") == std::vector<double>{0.5, -1.0});
    CHECK(file.GetInts("types") == std::vector<int64_t>{1, 3, -6});
    CHECK(file.IsArray("types"));
    CHECK_FALSE(file.IsArray("text"));
    CHECK(file.GetInt("absent", 7) == 7);
    CHECK(file.GetString("absent", "x") == "x");
    CHECK(file.GetFloat("absent", 0.5) == 0.5);
    CHECK(file.GetBool("absent", true));
    REQUIRE(file.tensors().size() == 2);
    const GgufTensor* matrix = file.FindTensor("m");
    REQUIRE(matrix != nullptr);
    CHECK(matrix->shape == std::vector<int64_t>{2, 3});
    CHECK(std::string(reinterpret_cast<const char*>(matrix->data), matrix->bytes) ==
          Bytes(std::vector<float>{1, 2, 3, 4, 5, 6}));
    CHECK(std::string(file.FindTensor("q")->format->name) == "Q8_0");
    CHECK(file.FindTensor("q")->bytes == 34);
    CHECK(file.FindTensor("n") == nullptr);
  }
}

TEST_CASE("GGUF metadata of another type is an error that says so") {
  const TemporaryFolder folder;
  WriteText(folder / "x.gguf", Sample().Build());
  const GgufFile file(folder / "x.gguf");
  const auto message = [&](auto action) { return ErrorOf(ErrorKind::kData, action); };
  CHECK_THAT(message([&] { file.GetInt("text"); }), Contains("'text'") && Contains("found string"));
  CHECK_THAT(message([&] { file.GetInt("absent"); }), Contains("no metadata 'absent'"));
  CHECK_THAT(message([&] { file.GetInt("huge"); }), Contains("below 2^63"));
  CHECK_THAT(message([&] { file.GetInt("types"); }), Contains("found an array"));
  CHECK_THAT(message([&] { file.GetInts("u8"); }), Contains("found a single value"));
  CHECK_THAT(message([&] { file.GetInts("texts"); }), Contains("found string"));
  CHECK_THAT(message([&] { file.GetInts("scores"); }), Contains("found float32"));
  CHECK_THAT(message([&] { file.GetFloats("types"); }), Contains("found int32"));
  CHECK_THAT(message([&] { file.GetFloats("texts"); }), Contains("found string"));
  CHECK_THAT(message([&] { file.GetStrings("types"); }), Contains("found int32"));
  CHECK_THAT(message([&] { file.GetString("u8"); }), Contains("found uint8"));
  CHECK_THAT(message([&] { file.GetFloat("u8"); }), Contains("found uint8"));
  CHECK_THAT(message([&] { file.GetBool("u8", false); }), Contains("found uint8"));
}

TEST_CASE("a GGUF file cut anywhere is an error") {
  const TemporaryFolder folder;
  const std::string whole = Sample().Build();
  for (size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK_THAT(OpenError(folder, whole.substr(0, size)), !Contains("no error") && !Contains("another kind"));
  }
}

TEST_CASE("a GGUF header with any byte changed is read or refused") {
  const TemporaryFolder folder;
  const std::string whole = Sample().Build();
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {1, 2, 4, 128, 255}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      WriteText(folder / "x.gguf", changed);
      INFO(at << " ^ " << flip);
      try {
        const GgufFile file(folder / "x.gguf");
        CHECK(at >= 4);  // the magic; version 3 may become 2
        for (const std::string& key : file.Keys()) {
          try {
            file.GetStrings(key);
          } catch (const Error&) {
          }
        }
        for (const GgufTensor& tensor : file.tensors()) {
          std::vector<float> values(static_cast<size_t>(tensor.format->block_values) * tensor.bytes /
                                    static_cast<size_t>(tensor.format->block_bytes));
          tensor.format->expand(tensor.data, static_cast<int64_t>(tensor.bytes) / tensor.format->block_bytes,
                                values.data());
        }
      } catch (const Error& error) {
        CHECK((error.kind() == ErrorKind::kData || error.kind() == ErrorKind::kUnsupported));
      }
    }
  }
}

TEST_CASE("lying GGUF headers are refused with the reason") {
  const TemporaryFolder folder;
  const std::string floats(64, '\0');
  const auto with = [&](const std::string& name, uint32_t type, std::vector<int64_t> shape,
                        int64_t offset = -1) {
    GgufBuilder builder;
    builder.Tensor("first", 0, {16}, floats).Tensor(name, type, std::move(shape), floats);
    builder.tensors.back().offset = offset;
    return builder.Build();
  };
  CHECK(OpenError(folder, with("a", 0, {16})) == "no error");
  CHECK_THAT(OpenError(folder, with("first", 0, {16})), Contains("comes twice"));
  CHECK_THAT(OpenError(folder, with("a", 0, {17})), Contains("outside of the file"));
  CHECK_THAT(OpenError(folder, with("a", 0, {16}, 32)), Contains("share bytes"));
  CHECK_THAT(OpenError(folder, with("a", 0, {16}, 65)), Contains("a multiple of 32"));
  CHECK_THAT(OpenError(folder, with("a", 0, {16}, 0x7fffffffffffffe0)), Contains("outside of the file"));
  CHECK_THAT(OpenError(folder, with("a", 0, {0})), Contains("positive sizes"));
  CHECK_THAT(OpenError(folder, with("a", 0, {-16})), Contains("positive sizes"));
  CHECK_THAT(OpenError(folder, with("a", 0, {int64_t{1} << 32, int64_t{1} << 32})),
             Contains("positive sizes"));
  CHECK_THAT(OpenError(folder, with("a", 0, {1, 1, 1, 1, 16})), Contains("1 to 4"));
  CHECK_THAT(OpenError(folder, with("a", 0, {})), Contains("1 to 4"));
  CHECK_THAT(OpenError(folder, with("a", 8, {1, 16})), Contains("a multiple of 32"));
  CHECK_THAT(OpenError(folder, with("a", 4, {16})), Contains("a ggml type"));
  CHECK_THAT(OpenError(folder, with("a", 99, {16})), Contains("a ggml type"));
  CHECK_THAT(OpenError(folder, with("a", 10, {1, 256}), ErrorKind::kUnsupported), Contains("Q2_K"));
  CHECK_THAT(OpenError(folder, GgufBuilder().Text("k", "a").Text("k", "b").Build()),
             Contains("'k' comes twice"));
  CHECK_THAT(OpenError(folder, GgufBuilder().Raw("k", 13, "").Build()), Contains("0 to 12"));
  CHECK_THAT(OpenError(folder, GgufBuilder().Raw("k", 7, "\2").Build()), Contains("0 or 1"));
  CHECK_THAT(OpenError(folder, GgufBuilder().Raw("k", 8, Bytes(~uint64_t{0})).Build()),
             Contains("ends within"));
  CHECK_THAT(
      OpenError(folder, GgufBuilder().Raw("k", 9, Bytes(uint32_t{8}) + Bytes(uint64_t{1} << 62)).Build()),
      Contains("string count"));
  CHECK_THAT(
      OpenError(folder, GgufBuilder().Raw("k", 9, Bytes(uint32_t{10}) + Bytes(uint64_t{1} << 61)).Build()),
      Contains("element count"));
  CHECK_THAT(OpenError(folder, GgufBuilder().Raw("k", 9, Bytes(uint32_t{9}) + Bytes(uint64_t{1})).Build()),
             Contains("array of arrays"));
  for (const uint32_t alignment : {0u, 3u, 1u << 21}) {
    CHECK_THAT(OpenError(folder, GgufBuilder().Number("general.alignment", alignment).Build()),
               Contains("power of two"));
  }
  CHECK_THAT(OpenError(folder, "GGUF" + Bytes(uint32_t{3}) + Bytes(uint64_t{1} << 60) + Bytes(uint64_t{0})),
             Contains("tensor count"));
  CHECK_THAT(OpenError(folder, "GGUF" + Bytes(uint32_t{3}) + Bytes(uint64_t{0}) + Bytes(uint64_t{1} << 60)),
             Contains("metadata count"));
  CHECK_THAT(OpenError(folder, Sample().Build(1), ErrorKind::kUnsupported), Contains("GGUF version 1"));
  CHECK_THAT(OpenError(folder, Sample().Build(0x03000000), ErrorKind::kUnsupported), Contains("big-endian"));
  CHECK_THAT(OpenError(folder, Sample().Build(4)), Contains("2 or 3"));
  CHECK_THAT(OpenError(folder, ""), Contains("not a GGUF file"));
}

TEST_CASE("another alignment moves the data") {
  const TemporaryFolder folder;
  GgufBuilder builder;
  builder.Number("general.alignment", uint32_t{256})
      .Tensor("a", 0, {1}, Bytes(1.5f))
      .Tensor("b", 0, {1}, Bytes(2.5f));
  WriteText(folder / "x.gguf", builder.Build(3, 256));
  const GgufFile file(folder / "x.gguf");
  CHECK(static_cast<size_t>(file.FindTensor("b")->data - file.FindTensor("a")->data) == 256);
  CHECK(*reinterpret_cast<const float*>(file.FindTensor("b")->data) == 2.5f);
}

TEST_CASE("a whole model cut at every 64th of its size or with a damaged header never opens wrongly") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  const std::string whole = TinyGguf(config, TinyWeights(config)).Build();
  for (size_t part = 0; part < 64; ++part) {
    WriteText(folder / "m.gguf", whole.substr(0, whole.size() * part / 64));
    CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { OpenGguf(folder / "m.gguf"); }), Contains("m.gguf"));
  }
  for (size_t at = 0; at < 2500; ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
    WriteText(folder / "m.gguf", changed);
    try {
      const auto checkpoint = OpenGguf(folder / "m.gguf");
      for (const TensorInfo& info : checkpoint->tensors()) {
        std::vector<float> values(static_cast<size_t>(info.rows * info.cols));
        checkpoint->Read(info.name, 0, info.rows, values.data());
      }
    } catch (const Error& error) {
      CHECK(error.kind() != ErrorKind::kInternal);
    }
  }
}
