#include "methods/equivalent/equivalent.h"

#include <cmath>

#include "methods/recipe.h"
#include "tests/methods/recipe_error.h"
#include "tests/models/engine/random_checkpoint.h"
#include "tests/models/engine/reference.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using testing::RandomCheckpoint;
using testing::RecipeError;
using testing::SmallConfig;

std::vector<float> ReadAll(const Checkpoint& checkpoint, const std::string& name) {
  const TensorInfo& info = checkpoint.Info(name);
  std::vector<float> values(static_cast<size_t>(info.rows * info.cols));
  checkpoint.Read(name, 0, info.rows, values.data());
  return values;
}

// |a - b| / |b| over all logits of a few tokens, by the plain reference.
double LogitDifference(const Checkpoint& a, const Checkpoint& b) {
  const TokenIds tokens = {3, 17, 99, 4, 4, 130, 0, 56};
  const auto first = testing::ReferenceLogits(a, tokens), second = testing::ReferenceLogits(b, tokens);
  double difference = 0, norm = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    for (size_t i = 0; i < second[t].size(); ++i) {
      const double d = static_cast<double>(first[t][i]) - static_cast<double>(second[t][i]);
      difference += d * d;
      norm += static_cast<double>(second[t][i]) * static_cast<double>(second[t][i]);
    }
  }
  return std::sqrt(difference / norm);
}

ModelConfig Qwen() {
  ModelConfig config = SmallConfig();
  config.architecture = "qwen2";
  config.attention_bias = true;
  config.tied_head = false;
  return config;
}

}  // namespace

TEST_CASE("a rewritten model has the outputs of the one it was made from, and other weights") {
  for (const ModelConfig& config : {SmallConfig(), Qwen()}) {
    const auto source = std::make_shared<RandomCheckpoint>(config, 5);
    for (const char* recipe : {"fold-norms", "rotate:seed=7", "fold-norms+rotate"}) {
      CAPTURE(recipe, config.tied_head);
      const auto rewritten = Rewrite(ParseRecipe(recipe), source);
      // The reference computes in fp32, a few hundred roundings of 6e-8 a logit; equivalence is promised to
      // 1e-5.
      CHECK(LogitDifference(*rewritten, *source) < 1e-5);
      CHECK_FALSE(rewritten->config().tied_head);
      CHECK(rewritten->Has("head"));
      CHECK(ReadAll(*rewritten, "blocks.1.mlp_norm") == std::vector<float>(48, 1.0F));
      CHECK(ReadAll(*rewritten, "final_norm") == std::vector<float>(48, 1.0F));
      CHECK(ReadAll(*rewritten, "blocks.2.gate") != ReadAll(*source, "blocks.2.gate"));
      const bool rotated = std::string(recipe).find("rotate") != std::string::npos;
      CHECK((ReadAll(*rewritten, "blocks.2.down") != ReadAll(*source, "blocks.2.down")) == rotated);
      CHECK((ReadAll(*rewritten, "embedding") != ReadAll(*source, "embedding")) == rotated);
    }
  }
}

TEST_CASE("folding multiplies columns by the gains of the right norm") {
  const auto source = std::make_shared<RandomCheckpoint>(SmallConfig(), 6);
  const auto folded = FoldNorms(source);
  for (const auto& [reader, norm, of] : {std::tuple{"blocks.1.v", "blocks.1.attention_norm", "blocks.1.v"},
                                         {"blocks.0.up", "blocks.0.mlp_norm", "blocks.0.up"},
                                         {"head", "final_norm", "embedding"}}) {
    const std::vector<float> before = ReadAll(*source, of), gains = ReadAll(*source, norm),
                             after = ReadAll(*folded, reader);
    REQUIRE(before.size() == after.size());
    size_t wrong = 0;
    for (size_t i = 0; i < after.size(); ++i)
      wrong += after[i] != before[i] * gains[i % gains.size()] ? 1 : 0;
    CHECK(wrong == 0);
  }
}

TEST_CASE("a rotation keeps lengths, depends on its seed only, and may be read in pieces") {
  const auto source = std::make_shared<RandomCheckpoint>(SmallConfig(), 8);
  const auto a = Rotate(source, 1), again = Rotate(source, 1), b = Rotate(source, 2);
  for (const char* name : {"embedding", "blocks.0.o", "blocks.0.up"}) {
    const std::vector<float> whole = ReadAll(*a, name);
    CHECK(whole == ReadAll(*again, name));
    CHECK(whole != ReadAll(*b, name));
    const TensorInfo& info = a->Info(name);
    std::vector<float> pieces(whole.size());
    for (int64_t row = 0; row < info.rows; row += 13) {
      a->Read(name, row, std::min(row + 13, info.rows), pieces.data() + row * info.cols);
    }
    // The same sums in fp64, possibly in another order: equal but for a rounding to fp32.
    for (size_t i = 0; i < whole.size(); ++i)
      REQUIRE(pieces[i] == Approx(whole[i]).epsilon(1e-6).margin(1e-9));
  }
  double before = 0, after = 0;
  for (const float value : ReadAll(*source, "blocks.0.o")) before += double{value} * value;
  for (const float value : ReadAll(*a, "blocks.0.o")) after += double{value} * value;
  CHECK(after == Approx(before).epsilon(1e-6));
}

TEST_CASE("stages that rewrite the model come first and take no selector") {
  CHECK(ParseRecipe("rotate+int4").text == "rotate:seed=0@all+int4:act=int8,group=32,zero=asym@attn/mlp");
  CHECK_THAT(RecipeError("int4+rotate"), Catch::Contains("comes first") && Catch::Contains("rotate+int4"));
  CHECK_THAT(RecipeError("fold-norms@q"), Catch::Contains("no selector"));
  CHECK_THAT(RecipeError("rotate:seed=-1"), Catch::Contains("from 0 to"));
}

}  // namespace tnb
