// awq and smoothquant on a small random model: it stays what it is while factors move, and rounding hurts
// less.
#include "methods/quantize/scaled.h"

#include <ATen/ATen.h>

#include <map>

#include "methods/recipe.h"
#include "models/engine/decoder.h"
#include "tests/models/engine/random_checkpoint.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using testing::RandomCheckpoint;
using testing::SmallConfig;

// Every query head has a key and value head of its own, so that factors can move from o to v; biases.
ModelConfig FullHeads() {
  ModelConfig config = SmallConfig();
  config.kv_head_count = config.head_count;
  config.attention_bias = true;
  return config;
}

std::vector<TokenIds> Windows(int64_t vocabulary) {
  std::vector<TokenIds> windows(8);
  for (int64_t i = 0; i < 8; ++i) {
    for (int64_t j = 0; j < 64; ++j) {
      windows[static_cast<size_t>(i)].push_back(
          static_cast<TokenId>((i * 53 + j * 37 + i * j * 11) % vocabulary));
    }
  }
  return windows;
}

// A model whose inputs of linears have a few channels that are much larger than the others, as those of large
// language models do: the gains of its norms are changed.
Model Outliers(const Checkpoint& checkpoint) {
  Model model = LoadCheckpointModel(checkpoint, "random");
  for (Block& block : model.blocks) {
    for (at::Tensor* gain : {&block.attention_norm, &block.mlp_norm}) {
      gain->narrow(0, 3, 2).mul_(20);
      gain->narrow(0, 30, 1).mul_(40);
    }
  }
  return model;
}

class Service : public StatisticsService {
 public:
  explicit Service(const Model& model) : model_(model) {}
  std::string FileContents(const std::string&) override { return ""; }
  std::shared_ptr<const Statistics> Get(const StatisticsRequest& request) override {
    std::map<std::string, at::Tensor> values;
    const ModelParts parts = {model_.config,
                              [&](const std::string& name, int64_t) {
                                const Block& block = model_.blocks.at(static_cast<size_t>(name[7] - '0'));
                                return name.ends_with("mlp_norm") ? block.mlp_norm : block.attention_norm;
                              },
                              [&](const LinearSlot& place, int64_t, int64_t) {
                                for (const LinearSlot* slot : model_.Slots()) {
                                  if (slot->name != place.name) continue;
                                  auto linear = MakeDenseLinear(slot->linear->weight(0));
                                  linear->set_bias(slot->linear->bias());
                                  return linear;
                                }
                                return std::unique_ptr<Linear>();
                              }};
    CollectStatistics(
        parts, Windows(model_.config.vocabulary_size), request,
        [&](const std::string& name, const at::Tensor& value) { values[name] = value; },
        [](int64_t, int64_t) {});
    return std::make_shared<MemoryStatistics>(std::move(values));
  }

 private:
  const Model& model_;
};

struct Compressed {
  Model model;
  std::map<std::string, LayerOutcome> layers;
};

Compressed Compress(const std::string& text, const Checkpoint& checkpoint) {
  const Model original = Outliers(checkpoint);
  Service service(original);
  Recipe recipe = ParseRecipe(text);
  PrepareRecipe(recipe, &service, [&](const auto& wanted, const auto& visit) {
    Model fresh = Outliers(checkpoint);
    for (LinearSlot* slot : fresh.Slots()) {
      if (wanted(*slot)) visit(*slot);
    }
  });
  Compressed result{Outliers(checkpoint), {}};
  for (LinearSlot* slot : result.model.Slots()) {
    for (LayerOutcome& layer : ApplyRecipe(recipe, *slot)) result.layers[slot->name] = std::move(layer);
  }
  for (size_t i = 0; i < result.model.blocks.size(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    ApplyRecipeToNorm(recipe, prefix + "attention_norm", result.model.blocks[i].attention_norm);
    ApplyRecipeToNorm(recipe, prefix + "mlp_norm", result.model.blocks[i].mlp_norm);
  }
  return result;
}

at::Tensor Logits(const Model& model) {
  const Decoder decoder(model);
  KvCache cache(model.config, 256);
  TokenRun run;
  run.tokens = Windows(model.config.vocabulary_size)[5];
  run.own = cache.Allocate(64);
  std::vector<int64_t> rows(64);
  for (int64_t i = 0; i < 64; ++i) rows[static_cast<size_t>(i)] = i;
  return decoder.Logits(decoder.Forward({run}, cache, rows));
}

double Difference(const Model& model, const Checkpoint& checkpoint) {
  const at::Tensor dense = Logits(Outliers(checkpoint));
  return ((Logits(model) - dense).norm() / dense.norm()).item<double>();
}

double OutputErrors(const Compressed& compressed) {
  double total = 0;
  for (const auto& [name, layer] : compressed.layers) total += layer.report.output_error.value_or(0);
  return total;
}

}  // namespace

TEST_CASE("factors move and the model stays what it is") {
  for (const ModelConfig& config : {SmallConfig(), FullHeads()}) {
    const RandomCheckpoint checkpoint(config, 3);
    const bool full = config.kv_head_count == config.head_count;
    const Compressed awq = Compress("awq:bits=8,group=32,act=fp32", checkpoint);
    // What rounding alone does; a factor that went astray makes it 1.
    const auto rounded = [&](const char* text) {
      return Difference(Compress(text, checkpoint).model, checkpoint);
    };
    CHECK(Difference(awq.model, checkpoint) < 1.3 * rounded("int8:group=32,zero=asym,act=fp32"));
    CHECK_FALSE(at::allclose(awq.model.blocks[1].mlp_norm, Outliers(checkpoint).blocks[1].mlp_norm));
    for (const auto& [name, layer] : awq.layers) {
      CAPTURE(name);
      // Without moving back the error would be that of the factors.
      CHECK(layer.relative_error < 0.05);
      CHECK(layer.report.output_error.value() < 0.02);
      const bool moves = !name.ends_with(".o") || full;
      CHECK(layer.report.detail.at("scaled").get<bool>() == moves);
    }
    const Compressed smooth = Compress("smoothquant", checkpoint);
    CHECK(Difference(smooth.model, checkpoint) < rounded("int8:act=int8-row"));
    CHECK(smooth.layers.at("blocks.0.q").format == "dense int8 row act=int8-row");
    CHECK_FALSE(smooth.layers.at("blocks.0.o").report.detail.at("scaled").get<bool>());
  }
}

TEST_CASE("inputs with outliers round better once factors have moved") {
  const RandomCheckpoint checkpoint(SmallConfig(), 4);
  CHECK(Difference(Compress("smoothquant", checkpoint).model, checkpoint) <
        0.7 * Difference(Compress("int8:act=int8-row", checkpoint).model, checkpoint));
  const Compressed clipped = Compress("awq:bits=3,group=32,act=fp32", checkpoint);
  const Compressed scaled = Compress("awq:bits=3,group=32,act=fp32,clip=none", checkpoint);
  CHECK(OutputErrors(clipped) < OutputErrors(scaled));
  CHECK(Difference(scaled.model, checkpoint) <
        0.8 * Difference(Compress("int3:act=fp32", checkpoint).model, checkpoint));
}

TEST_CASE("factors do not move where a reader of the input is not selected") {
  const RandomCheckpoint checkpoint(SmallConfig(), 4);
  const Compressed some = Compress("awq:bits=4,group=32@q/v/gate/up/down", checkpoint);
  CHECK_FALSE(some.layers.at("blocks.1.q").report.detail.at("scaled").get<bool>());
  CHECK(some.layers.at("blocks.1.gate").report.detail.at("scaled").get<bool>());
  CHECK(some.layers.at("blocks.1.down").report.detail.at("scaled").get<bool>());
  CHECK(at::equal(some.model.blocks[1].attention_norm, Outliers(checkpoint).blocks[1].attention_norm));
  CHECK(Difference(some.model, checkpoint) <
        1.2 * Difference(Compress("int4@q/v/gate/up/down", checkpoint).model, checkpoint));
  CHECK_THROWS_AS(Compress("svd:rank=8+awq", checkpoint), Error);
  Recipe recipe = ParseRecipe("awq");
  CHECK_THROWS_AS(PrepareRecipe(recipe, nullptr, [](const auto&, const auto&) {}), Error);
}

TEST_CASE("awt is an equivalent model, and low rank of it ASVD") {
  const RandomCheckpoint checkpoint(SmallConfig(), 5);
  const Compressed moved = Compress("awt", checkpoint);
  CHECK(Difference(moved.model, checkpoint) < 1e-5);  // a few roundings of fp32
  CHECK_FALSE(at::allclose(moved.model.blocks[1].mlp_norm, Outliers(checkpoint).blocks[1].mlp_norm));
  for (const auto& [name, layer] : moved.layers) CHECK(layer.relative_error < 1e-6);
  // The factors of ASVD are those of AWT times one number a matrix, which truncation does not see.
  const Compressed after = Compress("awt+svd:rank=12@gate/up", checkpoint);
  const Compressed asvd = Compress("asvd:rank=12,alpha=1@gate/up", checkpoint);
  for (const char* name : {"blocks.0.gate", "blocks.1.up"}) {
    CHECK(after.layers.at(name).relative_error == Approx(asvd.layers.at(name).relative_error).epsilon(1e-3));
    CHECK(after.layers.at(name).report.output_error.value() ==
          Approx(asvd.layers.at(name).report.output_error.value()).epsilon(1e-3));
  }
  CHECK(Difference(after.model, checkpoint) == Approx(Difference(asvd.model, checkpoint)).epsilon(0.01));
  // A network that knows the size of its inputs beats one that does not.
  CHECK(Difference(Compress("awt+mpo:keep=0.5", checkpoint).model, checkpoint) <
        Difference(Compress("mpo:keep=0.5", checkpoint).model, checkpoint));
}

TEST_CASE("what is calibrated on the model as it was is refused after factors moved") {
  const RandomCheckpoint checkpoint(SmallConfig(), 5);
  CHECK_THROWS_WITH(Compress("awt+svd:keep=0.5,whiten=input", checkpoint),
                    Catch::Matchers::Contains("before factors moved"));
  CHECK_THROWS_WITH(Compress("awt+gptq", checkpoint), Catch::Matchers::Contains("before factors moved"));
}

}  // namespace tnb
