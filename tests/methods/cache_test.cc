// Stages for the key-value cache.
#include <ATen/ATen.h>

#include "methods/cache/cache_stage.h"
#include "methods/vector/product.h"
#include "tests/methods/recipe_error.h"
#include "tests/methods/stage_support.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

ModelConfig Config() {
  ModelConfig config;
  config.block_count = 2;
  config.kv_head_count = 3;
  config.head_size = 16;
  return config;
}

std::map<std::string, at::Tensor> Samples() {
  at::manual_seed(1);
  std::map<std::string, at::Tensor> values;
  for (const std::string block : {"blocks.0.", "blocks.1."}) {
    // Channels of very different ranges, as keys have them.
    values[block + "keys"] = at::randn({300, 3, 16}) * at::logspace(1, -1, 48).view({3, 16}) + 0.3;
    values[block + "values"] = at::randn({300, 3, 16});
  }
  return values;
}

CacheCodecPtr CodecOf(const std::string& text, StatisticsService* statistics) {
  Recipe recipe = ParseRecipe(text);
  PrepareRecipe(recipe, statistics, [](const auto&, const auto&) {});
  return CacheOf(recipe, Config());
}

// Mean squared errors of keys and values of block 0 against their mean squares.
std::pair<double, double> RelativeErrors(const CacheCodec& codec,
                                         const std::map<std::string, at::Tensor>& samples) {
  const at::Tensor keys = samples.at("blocks.0.keys").contiguous(),
                   values = samples.at("blocks.0.values").contiguous();
  at::Tensor key = at::empty_like(keys), value = at::empty_like(values);
  std::vector<uint8_t> bytes(static_cast<size_t>(codec.bytes()));
  for (int64_t i = 0; i < keys.size(0) * 3; ++i) {
    codec.Encode(0, i % 3, keys.const_data_ptr<float>() + i * 16, values.const_data_ptr<float>() + i * 16,
                 bytes.data());
    codec.Decode(0, i % 3, bytes.data(), key.mutable_data_ptr<float>() + i * 16,
                 value.mutable_data_ptr<float>() + i * 16);
  }
  const auto relative = [](const at::Tensor& back, const at::Tensor& x) {
    return ((back - x).square().sum() / x.square().sum()).item<double>();
  };
  return {relative(key, keys), relative(value, values)};
}

}  // namespace

TEST_CASE("caches in fewer bits have the errors of their bits") {
  const auto samples = Samples();
  testing::FixedStatistics statistics(samples);
  CHECK(CodecOf("int8", nullptr) == nullptr);
  const CacheCodecPtr int8 = CodecOf("int8+kv-int8", nullptr),
                      int4 = CodecOf("kv-int4:group=16", &statistics),
                      tree = CodecOf("kv-qet:bits=4", &statistics);
  CHECK(int8->format() == "int8");
  CHECK(int8->bytes() == 2 * 18);
  CHECK(int4->bytes() == 16 + 4);
  CHECK(tree->bytes() <= 16);  // the codebooks are in the budget of 4 bits an element of the samples
  const auto [int8_keys, int8_values] = RelativeErrors(*int8, samples);
  const auto [int4_keys, int4_values] = RelativeErrors(*int4, samples);
  const auto [tree_keys, tree_values] = RelativeErrors(*tree, samples);
  CAPTURE(int8_keys, int8_values, int4_keys, int4_values, tree_keys, tree_values);
  // A uniform step d has an error of d^2 / 12. 8 bits of a range of about 2.2 (16 normals): (2.2 / 127)^2
  // / 12.
  CHECK(int8_values == Approx(2.5e-5).epsilon(0.3));
  // 4 bits of a range of about 3.5: (3.5 / 15)^2 / 12 = 4.5e-3; keys lose a little more at their tails.
  CHECK(int4_values == Approx(4.5e-3).epsilon(0.3));
  CHECK(int4_keys < 0.02);
  CHECK(tree_keys < 0.1);
  CHECK(tree_values < 0.1);
}

TEST_CASE("what is encoded live is what the method gives offline") {
  const auto samples = Samples();
  testing::FixedStatistics statistics(samples);
  const CacheCodecPtr codec = CodecOf("kv-qet:M=8,bits=5", &statistics);
  ProductOptions options;
  options.method = ProductMethod::kQet;
  options.subspaces = 8;
  options.bytes = 300 * 3 * 16 * 5 / 8;
  const at::Tensor matrix = samples.at("blocks.0.values").reshape({-1, 16});
  const Codebooks offline = QuantizeProduct(matrix, 16, options);
  const double expected = ((Expand(offline) - matrix).square().sum() / matrix.square().sum()).item<double>();
  CHECK(RelativeErrors(*codec, samples).second == Approx(expected).epsilon(1e-6));
}

TEST_CASE("ranges of channels leave out what costs more than it gives") {
  at::manual_seed(2);
  at::Tensor samples = at::randn({2000, 2});
  samples[0][1] = 12;  // one outlier
  const ChannelRanges ranges = FitChannels(samples);
  CHECK(ranges.scales[0].item<float>() * 15 < 7.5);
  CHECK(ranges.scales[1].item<float>() * 15 < 15.0);
  CHECK(FitChannels(at::ones({5, 1})).scales.item<float>() == 0);
  CHECK_THROWS_AS(FitChannels(at::zeros({0, 3})), Error);
}

TEST_CASE("a stage for the cache stands for the whole cache") {
  using Catch::Matchers::Contains;
  CHECK(ParseRecipe("kv-int8").text == "kv-int8@all");
  CHECK_THAT(testing::RecipeError("kv-int8@q"), Contains("whole key-value cache"));
  CHECK_THAT(testing::RecipeError("kv-int8+kv-int4"), Contains("one such stage"));
  CHECK(ParseRecipe("rotate+kv-int8").stages.size() == 2);
  CHECK(ParseRecipe("kv-int8+rotate").stages.size() == 2);  // it changes no linear
  LinearSlot slot = testing::SlotOf("blocks.0.q", LinearKind::kQ, MakeDenseWeight(at::eye(4)));
  CHECK(testing::Compress("kv-int8", slot).empty());
  CHECK_FALSE(slot.touched);
}

}  // namespace tnb
