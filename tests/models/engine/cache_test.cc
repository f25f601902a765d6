// The key-value cache in other formats than fp32: every codec by itself, and a decoder that uses it.
#include <ATen/ATen.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "models/engine/artefact.h"
#include "models/engine/cache_codec.h"
#include "models/engine/decoder.h"
#include "models/engine/ops.h"
#include "models/engine/parallel.h"
#include "models/engine/statistics.h"
#include "tests/models/engine/logits.h"
#include "tests/models/engine/random_checkpoint.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using testing::AllLogits;

using testing::RandomCheckpoint;
using testing::SmallConfig;

struct Pair {
  at::Tensor key, value;
};

Pair RoundTrip(const CacheCodec& codec, int64_t block, int64_t head, const at::Tensor& key,
               const at::Tensor& value) {
  std::vector<uint8_t> bytes(static_cast<size_t>(codec.bytes()));
  codec.Encode(block, head, key.const_data_ptr<float>(), value.const_data_ptr<float>(), bytes.data());
  Pair back{at::empty_like(key), at::empty_like(value)};
  codec.Decode(block, head, bytes.data(), back.key.mutable_data_ptr<float>(),
               back.value.mutable_data_ptr<float>());
  return back;
}

CacheCodecPtr SavedAndLoaded(const CacheCodec& codec, const ModelConfig& config) {
  std::map<std::string, at::Tensor> tensors;
  const Json json = codec.Save(
      [&](const std::string& suffix, const at::Tensor& tensor) { tensors[suffix] = tensor.clone(); });
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  CHECK(bytes == codec.size().bytes);
  return LoadCacheCodec(
      json, [&](const std::string& suffix) { return tensors.at(suffix); }, config, "here");
}

// Two stages, the first with a tree, over random entries.
Codebooks RandomTree(int64_t width) {
  Codebooks books{.rows = 0, .cols = width, .width = width};
  for (const int64_t layers : {2, 0}) {
    CodebookStage stage;
    stage.subspaces = width / 4;
    stage.words = layers > 0 ? 50 : 9;
    stage.layers = layers;
    stage.value_bits = 10;
    stage.values = PackBits(at::randint(0, 1024, {stage.words * width}, at::kInt), 10);
    stage.step = layers > 0 ? 0.005F : 0.001F;
    stage.minimum = layers > 0 ? -2.5F : -0.5F;
    stage.codes = at::zeros({0}, at::kByte);
    if (layers > 0) stage.maps = at::zeros({0}, at::kByte);
    books.stages.push_back(std::move(stage));
  }
  return books;
}

CacheCodecPtr TreeCache(const ModelConfig& config) {
  std::vector<Codebooks> keys, values;
  for (int64_t block = 0; block < config.block_count; ++block) {
    keys.push_back(RandomTree(config.head_size));
    values.push_back(RandomTree(config.head_size));
  }
  return MakeQetCache(std::move(keys), std::move(values));
}

CacheCodecPtr Int4(const ModelConfig& config) {
  const std::vector<int64_t> shape = {config.block_count, config.kv_head_count, config.head_size};
  return MakeInt4Cache((at::rand(shape) * 0.2 + 0.2).to(at::kHalf), (at::rand(shape) - 3).to(at::kHalf),
                       config.head_size / 2);
}

}  // namespace

TEST_CASE("int8 keys and values are within half a step of absmax / 127") {
  at::manual_seed(1);
  const CacheCodecPtr codec = MakeInt8Cache(24);
  CHECK(codec->bytes() == 2 * (24 + 2));
  for (const double size : {1e-3, 1.0, 1e3}) {
    const at::Tensor key = at::randn({24}) * size, value = at::randn({24}) * size;
    const Pair back = RoundTrip(*codec, 0, 0, key, value);
    // Half a step, and the rounding of the scale to fp16 (2^-11) at the largest.
    CHECK((back.key - key).abs().max().item<double>() <= key.abs().max().item<double>() * (0.5 / 127 + 6e-4));
    CHECK((back.value - value).abs().max().item<double>() <=
          value.abs().max().item<double>() * (0.5 / 127 + 6e-4));
  }
  const Pair zeros = RoundTrip(*codec, 0, 0, at::zeros({24}), at::zeros({24}));
  CHECK(zeros.key.abs().max().item<float>() == 0);
  CHECK(zeros.value.abs().max().item<float>() == 0);
}

// By hand: keys on a grid of 0.5 from -1, clipped to [-1, 6.5]; values from 0 to 15 and from -3 to 0 by 0.2.
TEST_CASE("int4 keys are by channel, values by group of a token") {
  const at::Tensor scales = at::full({1, 1, 4}, 0.5).to(at::kHalf),
                   minima = at::full({1, 1, 4}, -1).to(at::kHalf);
  const CacheCodecPtr codec = MakeInt4Cache(scales, minima, 2);
  CHECK(codec->bytes() == 2 + 2 + 2 * 4);
  const Pair back = RoundTrip(*codec, 0, 0, at::tensor({-1.0F, 0.2F, 6.6F, 100.0F}),
                              at::tensor({0.0F, 15.0F, -3.0F, 0.0F}));
  CHECK(at::equal(back.key, at::tensor({-1.0F, 0.0F, 6.5F, 6.5F})));
  CHECK(at::allclose(back.value, at::tensor({0.0F, 15.0F, -3.0F, 0.0F}), 0, 2e-3));
  const Pair constant = RoundTrip(*codec, 0, 0, at::zeros({4}), at::full({4}, 0.25));
  CHECK(at::equal(constant.value, at::full({4}, 0.25)));
  CHECK_THROWS_AS(MakeInt4Cache(scales, minima, 3), Error);
}

TEST_CASE("a tree's entries are the nearest, stage by stage") {
  at::manual_seed(2);
  const ModelConfig config = SmallConfig();
  const CacheCodecPtr codec = TreeCache(config);
  const int64_t width = config.head_size, pieces = width / 4;
  CHECK(codec->bytes() == 2 * ((pieces * 6 + 2 * width / 2 + pieces * 4 + 7) / 8));
  at::manual_seed(2);
  const Codebooks books = RandomTree(width);  // the keys of block 0: drawn first
  for (int trial = 0; trial < 20; ++trial) {
    const at::Tensor key = at::randn({width});
    at::Tensor rest = key.clone(), sum = at::zeros({width});
    for (const CodebookStage& stage : books.stages) {
      at::Tensor turned = rest.clone();
      std::vector<float> scratch(static_cast<size_t>(width));
      std::vector<uint8_t> maps(static_cast<size_t>(stage.layers * width / 2));
      Entangle(turned.mutable_data_ptr<float>(), width, stage.layers, maps.data(), scratch.data());
      const at::Tensor entries =
          (UnpackIntegers(stage.values, 10, stage.words * width).to(at::kFloat) * stage.step + stage.minimum)
              .view({pieces, stage.words, 4});
      const at::Tensor target = turned.view({pieces, 1, 4});
      const at::Tensor nearest = (entries - target).square().sum(2).argmin(1);
      for (int64_t m = 0; m < pieces; ++m) {
        turned.narrow(0, 4 * m, 4).copy_(entries[m][nearest[m].item<int64_t>()]);
      }
      Untangle(turned.mutable_data_ptr<float>(), width, stage.layers, maps.data(), scratch.data());
      sum = sum + turned;
      rest = rest - turned;
    }
    CHECK(at::allclose(RoundTrip(*codec, 0, 0, key, key).key, sum, 0, 1e-6));
  }
}

TEST_CASE("decoding with a coded cache does not depend on cuts, slots or threads, and is saved") {
  at::manual_seed(3);
  const RandomCheckpoint checkpoint(SmallConfig());
  Model model = LoadCheckpointModel(checkpoint, "test");
  TokenIds tokens;
  for (int i = 0; i < 70; ++i) tokens.push_back(static_cast<TokenId>(i * 37 % model.config.vocabulary_size));
  const at::Tensor plain = AllLogits(Decoder(model), tokens, {});
  const int threads = Threads();
  for (const CacheCodecPtr& codec :
       {MakeInt8Cache(model.config.head_size), Int4(model.config), TreeCache(model.config)}) {
    CAPTURE(codec->format());
    model.cache = codec;
    const at::Tensor logits = AllLogits(Decoder(model), tokens, {});
    CHECK_FALSE(at::equal(logits, plain));
    CHECK(at::equal(AllLogits(Decoder(model), tokens, {1, 2, 33, 64}), logits));
    CHECK(at::equal(AllLogits(Decoder(model), tokens, {50}, 13), logits));
    SetThreads(threads == 1 ? 2 : 1);
    CHECK(at::equal(AllLogits(Decoder(model), tokens, {40}), logits));
    SetThreads(threads);

    const testing::TemporaryFolder folder;
    SaveArtefact(folder.path() / "model.artefact", model, "test");
    const Model loaded = LoadArtefact(folder.path() / "model.artefact");
    REQUIRE(loaded.cache);
    CHECK(loaded.cache->format() == codec->format());
    CHECK(loaded.size().bytes == model.size().bytes);
    CHECK(at::equal(AllLogits(Decoder(loaded), tokens, {}), logits));
    CHECK(SavedAndLoaded(*codec, model.config)->bytes() == codec->bytes());
  }
  // 8 bits cost little: the logits of this model have a deviation of about 1.
  model.cache = MakeInt8Cache(model.config.head_size);
  CHECK((AllLogits(Decoder(model), tokens, {}) - plain).norm().item<double>() <
        0.02 * plain.norm().item<double>());
  KvCache cache(model.config, 10, at::kCPU, model.cache);
  CHECK(cache.token_bytes() == model.config.block_count * model.config.kv_head_count * model.cache->bytes());
  CHECK(cache.token_bytes() == CacheTokenBytes(model.config, model.cache));
  CHECK(KvCache(model.config, 10).token_bytes() == CacheTokenBytes(model.config, nullptr));
}

TEST_CASE("sampled keys and values are those of the cache") {
  ModelConfig config = SmallConfig();
  const RandomCheckpoint checkpoint(config);
  const Model model = LoadCheckpointModel(checkpoint, "test");
  const int64_t length = 30;
  std::vector<TokenIds> windows(3);
  for (int64_t i = 0; i < 3 * length; ++i) {
    windows[static_cast<size_t>(i / length)].push_back(static_cast<TokenId>(i * 7 % config.vocabulary_size));
  }
  std::map<std::string, at::Tensor> values;
  StatisticsRequest request;
  request.moments = Moments::kKeysValues;
  CollectStatistics(
      testing::PartsOf(checkpoint), windows, request,
      [&](const std::string& name, const at::Tensor& tensor) { values.emplace(name, tensor); },
      [](int64_t, int64_t) {});
  const MemoryStatistics statistics(values);

  // A codec that keeps what it is given shows what the decoder stores.
  class Watch : public CacheCodec {
   public:
    explicit Watch(int64_t size) : size_(size) {}
    std::string format() const override { return "watch"; }
    int64_t bytes() const override { return 8 * size_; }
    void Encode(int64_t, int64_t, const float* key, const float* value, uint8_t* out) const override {
      std::copy_n(reinterpret_cast<const uint8_t*>(key), 4 * size_, out);
      std::copy_n(reinterpret_cast<const uint8_t*>(value), 4 * size_, out + 4 * size_);
    }
    void Decode(int64_t, int64_t, const uint8_t* in, float* key, float* value) const override {
      std::copy_n(in, 4 * size_, reinterpret_cast<uint8_t*>(key));
      std::copy_n(in + 4 * size_, 4 * size_, reinterpret_cast<uint8_t*>(value));
    }
    Json Save(const TensorSink&) const override { return {}; }

   private:
    int64_t size_;
  };
  const Decoder decoder(model);
  for (const int64_t block : {int64_t{0}, config.block_count - 1}) {
    const at::Tensor keys = statistics.Keys(block, config), sampled = statistics.Values(block, config);
    REQUIRE(keys.size(0) == 3 * length);  // fewer tokens than are sampled at most
    for (size_t w = 0; w < windows.size(); ++w) {
      KvCache cache(config, length, at::kCPU, std::make_shared<Watch>(config.head_size));
      const std::vector<CacheSpan> spans = cache.Allocate(length);
      TokenRun run{windows[w], {}, spans};
      decoder.Forward({run}, cache, {0});
      AttentionRun all;
      all.spans = spans;
      const KvCache::Opened past = cache.Open(block, {all});
      const at::Tensor mine =
          past.keys.permute({1, 3, 0, 2}).reshape({-1, config.kv_head_count, config.head_size});
      const at::Tensor stored = past.values.permute({1, 0, 2}).narrow(2, 0, config.head_size);
      const int64_t first = static_cast<int64_t>(w) * length;
      // Two ways of computing the same in fp32.
      CHECK(at::allclose(keys.narrow(0, first, length), mine.narrow(0, 0, length), 1e-4, 1e-4));
      CHECK(at::allclose(sampled.narrow(0, first, length), stored.narrow(0, 0, length), 1e-4, 1e-4));
    }
  }
  MemoryStatistics empty({});
  CHECK_THROWS_AS(empty.Keys(0, config), Error);
}

}  // namespace tnb
