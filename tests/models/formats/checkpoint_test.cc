#include "models/checkpoint.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "models/formats/mapped_checkpoint.h"
#include "models/formats/safetensors.h"
#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

std::vector<float> ReadAll(const Checkpoint& checkpoint, const std::string& name) {
  const TensorInfo& info = checkpoint.Info(name);
  std::vector<float> values(static_cast<size_t>(info.rows * info.cols));
  checkpoint.Read(name, 0, info.rows, values.data());
  return values;
}

void CheckWeights(const Checkpoint& checkpoint, const std::map<std::string, std::vector<float>>& weights) {
  REQUIRE(checkpoint.tensors().size() == weights.size());
  for (const auto& [name, values] : weights) {
    INFO(name);
    CHECK(ReadAll(checkpoint, name) == values);
    checkpoint.Release(name);
    // Row by row from the last to the first: ranges are independent.
    const TensorInfo& info = checkpoint.Info(name);
    std::vector<float> row(static_cast<size_t>(info.cols));
    for (int64_t i = info.rows; i-- > 0;) {
      checkpoint.Read(name, i, i + 1, row.data());
      CHECK(std::equal(row.begin(), row.end(), values.begin() + i * info.cols));
    }
  }
}

std::string OpenError(const std::filesystem::path& path, ErrorKind kind = ErrorKind::kData) {
  return ErrorOf(kind, [&] { OpenCheckpoint(path); });
}

}  // namespace

TEST_CASE("the same weights come out of every format") {
  for (const bool tied : {false, true}) {
    const TemporaryFolder folder;
    ModelConfig config = TinyConfig();
    config.tied_head = tied;
    const auto weights = TinyWeights(config);
    WriteHuggingFace(folder / "one", config, weights, 1);
    WriteHuggingFace(folder / "three", config, weights, 3);
    WriteText(folder / "m.gguf", TinyGguf(config, weights).Build());
    WriteText(folder / "noextension", TinyGguf(config, weights).Build());
    WriteText(folder / "m.bin", Llama2c(config, weights));
    for (const char* name : {"one", "three", "m.gguf", "noextension", "m.bin", "one/model.safetensors",
                             "three/model-1-of-3.safetensors"}) {
      INFO(name);
      const auto checkpoint = OpenCheckpoint(folder / name);
      CHECK(checkpoint->config() == config);
      CheckWeights(*checkpoint, weights);
      CHECK(checkpoint->Info("blocks.1.k").rows == 16);
      CHECK(checkpoint->Info("blocks.1.k").cols == 32);
      CHECK(checkpoint->Info("blocks.1.k").dtype == "F32");
      CHECK(checkpoint->Info("blocks.1.k").bytes == 16 * 32 * 4);
      CHECK(checkpoint->Has("head") == !tied);
    }
    CHECK(OpenCheckpoint(folder / "m.gguf")->ContentHash() == Sha256File(folder / "m.gguf"));
    CHECK(OpenCheckpoint(folder / "m.bin")->FileBytes() == std::filesystem::file_size(folder / "m.bin"));
    const auto shards = OpenCheckpoint(folder / "three");
    CHECK(shards->ContentHash().size() == 64);
    CHECK(shards->ContentHash() == OpenCheckpoint(folder / "three")->ContentHash());
    CHECK(shards->ContentHash() != OpenCheckpoint(folder / "one")->ContentHash());
  }
}

TEST_CASE("biases: permuted in llama GGUFs, straight in qwen2 GGUFs and Hugging Face directories") {
  const TemporaryFolder folder;
  ModelConfig config = TinyConfig();
  config.attention_bias = true;
  auto weights = TinyWeights(config);
  WriteText(folder / "llama.gguf", TinyGguf(config, weights).Build());
  CheckWeights(*OpenCheckpoint(folder / "llama.gguf"), weights);
  config.architecture = "qwen2";
  WriteText(folder / "qwen2.gguf", TinyGguf(config, weights).Build());
  WriteHuggingFace(folder / "qwen2", config, weights, 1);
  for (const char* name : {"qwen2.gguf", "qwen2"}) {
    const auto checkpoint = OpenCheckpoint(folder / name);
    CHECK(checkpoint->config() == config);
    CheckWeights(*checkpoint, weights);
  }
}

TEST_CASE("half precision and quantized tensors are expanded") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  GgufBuilder builder = TinyGguf(config, TinyWeights(config));
  for (GgufBuilder::Entry& tensor : builder.tensors) {
    if (tensor.name == "blk.1.ffn_up.weight") {  // 48 x 32 in Q8_0: scale 0.5, quants = row
      tensor.type = 8;
      tensor.data.clear();
      for (int row = 0; row < 48; ++row)
        tensor.data += FromHex("0038") + std::string(32, static_cast<char>(row));
    }
    if (tensor.name == "blk.0.attn_q.weight") {  // F16, all 1.5
      tensor.type = 1;
      tensor.data.clear();
      for (int i = 0; i < 32 * 32; ++i) tensor.data += FromHex("003e");
    }
  }
  WriteText(folder / "m.gguf", builder.Build());
  const auto checkpoint = OpenCheckpoint(folder / "m.gguf");
  CHECK(checkpoint->Info("blocks.1.up").dtype == "Q8_0");
  CHECK(checkpoint->Info("blocks.1.up").bytes == 48 * 34);
  std::vector<float> rows(64);
  checkpoint->Read("blocks.1.up", 6, 8, rows.data());
  CHECK(rows[0] == 3.0f);
  CHECK(rows[63] == 3.5f);
  CHECK(ReadAll(*checkpoint, "blocks.0.q") == std::vector<float>(32 * 32, 1.5f));
}

TEST_CASE("tokenizers are found beside or within the model") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  const auto weights = TinyWeights(config);
  using Kind = TokenizerSource::Kind;
  WriteText(folder / "m.bin", Llama2c(config, weights));
  CHECK(OpenCheckpoint(folder / "m.bin")->tokenizer().kind == Kind::kNone);
  for (const auto& [name, kind] :
       std::vector<std::pair<std::string, Kind>>{{"tokenizer.model", Kind::kSentencePiece},
                                                 {"tokenizer.bin", Kind::kLlama2c},
                                                 {"tok11.model", Kind::kSentencePiece},
                                                 {"tok11.bin", Kind::kLlama2c}}) {
    WriteText(folder / name, "x");
    CHECK(OpenCheckpoint(folder / "m.bin")->tokenizer().kind == kind);
    CHECK(OpenCheckpoint(folder / "m.bin")->tokenizer().path == folder / name);
  }
  GgufBuilder builder = TinyGguf(config, weights);
  WriteText(folder / "m.gguf", builder.Build());
  CHECK(OpenCheckpoint(folder / "m.gguf")->tokenizer().kind == Kind::kNone);
  WriteText(folder / "m.gguf", builder.Texts("tokenizer.ggml.tokens", {"a"}).Build());
  CHECK(OpenCheckpoint(folder / "m.gguf")->tokenizer().kind == Kind::kGguf);
  WriteHuggingFace(folder / "hf", config, weights, 1);
  CHECK(OpenCheckpoint(folder / "hf")->tokenizer().kind == Kind::kNone);
  WriteText(folder / "hf/tokenizer.json", "{}");
  CHECK(OpenCheckpoint(folder / "hf")->tokenizer().path == folder / "hf");
}

TEST_CASE("missing, unknown and misshapen tensors are named") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  const auto weights = TinyWeights(config);
  const auto changed = [&](const std::string& name, auto change) {
    GgufBuilder builder = TinyGguf(config, weights);
    for (size_t i = 0; i < builder.tensors.size(); ++i) {
      if (builder.tensors[i].name == name) change(&builder, i);
    }
    WriteText(folder / "m.gguf", builder.Build());
    return OpenError(folder / "m.gguf");
  };
  CHECK_THAT(
      changed("blk.1.ffn_up.weight", [](auto* b, size_t i) { b->tensors.erase(b->tensors.begin() + i); }),
      Contains("'blocks.1.up' is missing") && Contains("[48, 32]"));
  CHECK_THAT(
      changed("blk.1.ffn_up.weight", [](auto* b, size_t i) { b->tensors[i].name = "blk.2.ffn_up.weight"; }),
      Contains("'blocks.1.up' is missing"));
  CHECK_THAT(changed("blk.1.ffn_up.weight",
                     [](auto* b, size_t i) {
                       b->tensors[i].shape = {32, 48};
                     }),
             Contains("wrong shape") && Contains("expected [48, 32], found [32, 48]"));
  CHECK_THAT(changed("token_embd.weight", [](auto* b, size_t i) { b->tensors[i].shape = {11 * 32}; }),
             Contains("token_embd.weight with two dimensions"));
  for (const char* extra :
       {"blk.2.ffn_up.weight", "blk.01.ffn_up.weight", "blk.0.attn_output.bias", "spare"}) {
    GgufBuilder builder = TinyGguf(config, weights);
    WriteText(folder / "m.gguf", builder.Tensor(extra, 0, {1}, Bytes(1.0f)).Build());
    CHECK_THAT(OpenError(folder / "m.gguf"), Contains(extra) && Contains("not part of"));
  }
  const auto checkpoint = [&] {
    WriteText(folder / "m.gguf", TinyGguf(config, weights).Build());
    return OpenCheckpoint(folder / "m.gguf");
  }();
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { checkpoint->Read("blocks.1.upp", 0, 1, nullptr); }),
             Contains("blocks.1.upp") && Contains("nearest is 'blocks.1.up'"));
  CHECK_THAT(ErrorOf(ErrorKind::kInternal, [&] { checkpoint->Read("blocks.1.up", 40, 49, nullptr); }),
             Contains("40 to 49"));
}

TEST_CASE("values that are not finite are found with their place") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  auto weights = TinyWeights(config);
  weights["blocks.1.up"][5 * 32 + 7] = std::numeric_limits<float>::quiet_NaN();
  weights["blocks.0.q"][9 * 32 + 3] = -std::numeric_limits<float>::infinity();
  WriteText(folder / "m.gguf", TinyGguf(config, weights).Build());
  const auto checkpoint = OpenCheckpoint(folder / "m.gguf");
  std::vector<float> out(48 * 32);
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { checkpoint->Read("blocks.1.up", 4, 8, out.data()); }),
             Contains("row 5, column 7") && Contains("blk.1.ffn_up.weight"));
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { checkpoint->Read("blocks.0.q", 0, 32, out.data()); }),
             Contains("row 9, column 3"));
  checkpoint->Read("blocks.1.up", 6, 48, out.data());
}

TEST_CASE("llama3 scaling is recovered from a GGUF's frequency divisors") {
  const TemporaryFolder folder;
  ModelConfig config = TinyConfig();
  config.hidden_size = 128;
  config.head_size = 32;
  config.rope = {500000.0, RopeConfig::Scaling::kLlama3, 32.0, 1.0, 4.0, 8192};
  std::vector<float> divisors;  // as convert_hf_to_gguf.py computes them
  for (int i = 0; i < 16; ++i) {
    const double frequency = 1.0 / std::pow(500000.0, 2 * i / 32.0);
    const double wavelength = 2 * std::numbers::pi / frequency;
    const double smooth = (8192 / wavelength - 1.0) / (4.0 - 1.0);
    divisors.push_back(wavelength < 2048   ? 1.0f
                       : wavelength > 8192 ? 32.0f
                                           : static_cast<float>(1 / ((1 - smooth) / 32.0 + smooth)));
  }
  const auto open = [&](std::vector<float> values) {
    GgufBuilder builder = TinyGguf(config, TinyWeights(config));
    const int64_t count = static_cast<int64_t>(values.size());
    WriteText(folder / "m.gguf", builder.Tensor("rope_freqs.weight", 0, {count}, Bytes(values)).Build());
    return OpenCheckpoint(folder / "m.gguf");
  };
  CHECK(open(divisors)->config() == config);
  CHECK(open(std::vector<float>(16, 1.0f))->config().rope == RopeConfig{500000.0});
  divisors[3] = 2.0f;
  CHECK_THAT(ErrorOf(ErrorKind::kUnsupported, [&] { open(divisors); }), Contains("rope_freqs.weight"));
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { open({1.0f}); }), Contains("16 F32 values"));
  divisors[15] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THAT(ErrorOf(ErrorKind::kUnsupported, [&] { open(divisors); }), Contains("rope_freqs.weight"));
}

TEST_CASE("GGUF settings that change the model are taken or refused") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  const auto weights = TinyWeights(config);
  const auto with = [&](auto add) {
    GgufBuilder builder = TinyGguf(config, weights);
    add(&builder);
    WriteText(folder / "m.gguf", builder.Build());
    return folder / "m.gguf";
  };
  CHECK(OpenCheckpoint(with([](auto* b) {
          b->Text("llama.rope.scaling.type", "linear").Number("llama.rope.scaling.factor", 4.0f);
        }))
            ->config()
            .rope == RopeConfig{10000.0, RopeConfig::Scaling::kLinear, 4.0});
  CHECK(OpenCheckpoint(with([](auto* b) { b->Number("llama.attention.sliding_window", uint32_t{8}); }))
            ->config()
            .sliding_window == 8);
  const auto refused = [&](auto add) { return OpenError(with(add), ErrorKind::kUnsupported); };
  CHECK_THAT(refused([](auto* b) {
               b->Text("llama.rope.scaling.type", "yarn").Number("llama.rope.scaling.factor", 4.f);
             }),
             Contains("rope.scaling.type") && Contains("yarn"));
  CHECK_THAT(refused([](auto* b) { b->Number("llama.expert_count", uint32_t{8}); }),
             Contains("expert_count"));
  CHECK_THAT(refused([](auto* b) { b->Number("llama.rope.dimension_count", uint32_t{4}); }),
             Contains("dimension_count"));
  CHECK_THAT(refused([](auto* b) { b->Number("llama.attention.value_length", uint32_t{4}); }),
             Contains("value_length"));
  CHECK_THAT(refused([](auto* b) { b->Number("llama.attention.scale", 0.5f); }), Contains("attention.scale"));
  CHECK_THAT(refused([](auto* b) { b->Bool("llama.attention.causal", false); }), Contains("causal"));
  CHECK_THAT(refused([](auto* b) { b->Number("split.count", uint16_t{2}); }), Contains("split.count"));
  WriteText(folder / "m.gguf", GgufBuilder().Text("general.architecture", "gemma").Build());
  CHECK_THAT(OpenError(folder / "m.gguf", ErrorKind::kUnsupported), Contains("gemma"));
}

TEST_CASE("Hugging Face directories: what is incomplete, foreign or harmless") {
  const TemporaryFolder folder;
  ModelConfig config = TinyConfig();
  const auto weights = TinyWeights(config);
  WriteHuggingFace(folder / "m", config, weights, 2);
  const std::filesystem::path index = folder / "m/model.safetensors.index.json";
  const std::string index_text = ReadFile(index);
  CHECK_THAT(OpenError(folder / "m/model-7-of-9.safetensors", ErrorKind::kIo), Contains("no such file"));
  std::filesystem::rename(folder / "m/model-1-of-2.safetensors", folder / "moved");
  CHECK_THAT(OpenError(folder / "m"), Contains("model-1-of-2.safetensors") && Contains("missing"));
  std::filesystem::rename(folder / "moved", folder / "m/model-1-of-2.safetensors");
  Json changed = Json::parse(index_text);
  changed["weight_map"]["lm_head.weight"] = "../m/model-0-of-2.safetensors";
  WriteText(index, changed.dump());
  CHECK_THAT(OpenError(folder / "m"), Contains("without folders"));
  changed["weight_map"]["lm_head.weight"] = "model-0-of-2.safetensors";
  changed["weight_map"]["model.norm.weight"] = "model-0-of-2.safetensors";
  WriteText(index, changed.dump());
  CHECK_THAT(OpenError(folder / "m"), Contains("lacks a tensor"));
  std::filesystem::remove(index);
  CHECK_THAT(OpenError(folder / "m"), Contains("no safetensors weights"));
  WriteText(folder / "m/pytorch_model.bin", "x");
  CHECK_THAT(OpenError(folder / "m", ErrorKind::kUnsupported), Contains("pytorch_model.bin"));
  std::filesystem::remove(folder / "m/config.json");
  CHECK_THAT(OpenError(folder / "m"), Contains("no config.json"));

  // Untied weights under a tied configuration: the head is a copy that nothing reads.
  WriteHuggingFace(folder / "tied", config, weights, 1);
  config.tied_head = true;
  WriteText(folder / "tied/config.json", HuggingFaceConfig(config).dump());
  CHECK_FALSE(OpenCheckpoint(folder / "tied")->Has("head"));
  const auto add = [&](const std::string& name) {
    const SafetensorsFile old(folder / "tied/model.safetensors");
    SafetensorsWriter writer(folder / "tied/model.safetensors", 8192);
    for (const SafetensorsTensor& tensor : old.tensors()) {
      writer.Append(tensor.name, tensor.dtype, tensor.shape, tensor.data, tensor.bytes);
    }
    const float value = 1;
    writer.Append(name, "F32", {1}, &value, 4);
    writer.Finish();
  };
  add("model.layers.0.self_attn.rotary_emb.inv_freq");
  CHECK(OpenCheckpoint(folder / "tied")->tensors().size() == weights.size() - 1);
  add("model.layers.0.self_attn.o_proj.bias");
  CHECK_THAT(OpenError(folder / "tied"), Contains("o_proj.bias") && Contains("not part of"));
}

TEST_CASE("llama2.c files of another size or version are refused") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  const std::string whole = Llama2c(config, TinyWeights(config));
  for (size_t part = 0; part < 64; ++part) {
    WriteText(folder / "m.bin", whole.substr(0, whole.size() * part / 64));
    CHECK_THAT(OpenError(folder / "m.bin"), Contains("m.bin"));
  }
  WriteText(folder / "m.bin", whole + "x");
  CHECK_THAT(OpenError(folder / "m.bin"), Contains("does not fit the header"));
  for (size_t at = 0; at < 28; ++at) {
    for (const int flip : {1, 64, 128, 255}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      WriteText(folder / "m.bin", changed);
      INFO(at << " ^ " << flip);
      CHECK_THAT(OpenError(folder / "m.bin"), Contains("m.bin") && !Contains("another kind"));
    }
  }
  WriteText(folder / "m.bin", Bytes(0x616b3432) + std::string(252, '\0'));
  CHECK_THAT(OpenError(folder / "m.bin"), Contains("version"));
}

TEST_CASE("what is no model says so") {
  const TemporaryFolder folder;
  CHECK_THAT(OpenError(folder / "absent", ErrorKind::kIo), Contains("no such file"));
  CHECK_THAT(OpenError(folder.path()), Contains("no config.json"));
  WriteText(folder / "m.pt", "x");
  CHECK_THAT(OpenError(folder / "m.pt", ErrorKind::kUnsupported), Contains(".pt"));
}

TEST_CASE("several threads read one checkpoint") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  const auto weights = TinyWeights(config);
  WriteText(folder / "m.gguf", TinyGguf(config, weights).Build());
  const auto checkpoint = OpenCheckpoint(folder / "m.gguf");
  std::vector<int> right(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < right.size(); ++t) {
    threads.emplace_back([&, t] {
      for (const auto& [name, values] : weights) right[t] += ReadAll(*checkpoint, name) == values ? 1 : 0;
      right[t] += checkpoint->ContentHash().size() == 64 ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::vector<int>(4, static_cast<int>(weights.size()) + 1));
}
