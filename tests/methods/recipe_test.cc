#include "methods/recipe.h"

#include <ATen/ATen.h>

#include "tests/methods/recipe_error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using testing::RecipeError;

LinearSlot Slot(const std::string& name, LinearKind kind, int64_t block, int64_t rows = 64,
                int64_t cols = 96) {
  LinearSlot slot;
  slot.name = name;
  slot.kind = kind;
  slot.block = block;
  slot.linear = MakeDenseLinear(MakeDenseWeight(at::randn({rows, cols})));
  return slot;
}

}  // namespace

TEST_CASE("a recipe's canonical form has every default, sorted, and reads back as itself") {
  CHECK(ParseRecipe("mpo+int8").text ==
        "mpo:cores=2,keep=0.6,legs=auto@attn/gate/up+int8:act=int8,group=row@attn/mlp");
  CHECK(ParseRecipe("fp32").text == "fp32@all");
  CHECK(ParseRecipe("svd:rank=010").text == "svd:rank=10@attn/gate/up");
  CHECK(ParseRecipe("int4:zero=sym,group=64@q/k").text == "int4:act=int8,group=64,zero=sym@q/k");
  CHECK(ParseRecipe("mpo:error=0.5,cores=3").text == "mpo:cores=3,error=0.5,legs=auto@attn/gate/up");
  for (const char* text :
       {"mpo+int8", "bf16", "compactifai-93", "svd:keep=0.25@re(blocks\\.[0-3]\\.q)+fp16@untouched"}) {
    const std::string canonical = ParseRecipe(text).text;
    CHECK(ParseRecipe(canonical).text == canonical);
  }
}

TEST_CASE("what a recipe cannot mean is refused with the legal values") {
  CHECK_THAT(RecipeError("mpx"), Catch::Matchers::Contains("did you mean mpo"));
  CHECK_THAT(RecipeError("mpo:kep=0.5"),
             Catch::Matchers::Contains("unknown parameter 'kep'") && Catch::Matchers::Contains("keep"));
  CHECK_THAT(RecipeError("mpo:keep=1.5"), Catch::Matchers::Contains("from 0.0001 to 1, found 1.5"));
  CHECK_THAT(RecipeError("mpo:keep=nan"), Catch::Matchers::Contains("out of range"));
  CHECK_THAT(RecipeError("mpo:cores=2.5"), Catch::Matchers::Contains("a whole number from 2 to 12"));
  CHECK_THAT(RecipeError("mpo:chi=4,keep=0.5"), Catch::Matchers::Contains("told twice"));
  CHECK_THAT(RecipeError("int4:group=48"), Catch::Matchers::Contains("expected 32, 64, 128"));
  CHECK_THAT(RecipeError("int8:act=int8,act=fp32"), Catch::Matchers::Contains("given twice"));
  CHECK_THAT(RecipeError("svd-llm@embed"), Catch::Matchers::Contains("cannot be applied to the embedding"));
  CHECK_THAT(RecipeError("int8@bloks(1-2)"), Catch::Matchers::Contains("unknown selector item"));
  CHECK_THAT(RecipeError("int8@blocks(5-2)"), Catch::Matchers::Contains("unknown selector item"));
  CHECK_THAT(RecipeError("int8@re([)"), Catch::Matchers::Contains("not a regular expression"));
  CHECK_THAT(RecipeError(""), Catch::Matchers::Contains("not a method"));
  CHECK_THAT(RecipeError("mpo++int8"), Catch::Matchers::Contains("not a method"));
}

TEST_CASE("method lists are split where a comma does not continue parameters") {
  CHECK(SplitMethodList("fp32,svd:keep=0.6,mpo:keep=0.6,cores=3+int8,mpo+int8") ==
        std::vector<std::string>{"fp32", "svd:keep=0.6", "mpo:keep=0.6,cores=3+int8", "mpo+int8"});
  CHECK(SplitMethodList("int4:group=64,zero=sym@q/k,int8@re(a,b)") ==
        std::vector<std::string>{"int4:group=64,zero=sym@q/k", "int8@re(a,b)"});
}

TEST_CASE("short texts leave out what is the default, and mean the same") {
  for (const std::string text : {"mpo+int8", "fp32", "svd:keep=0.5", "int4:group=64@mlp", "mpo:chi=64",
                                 "mpo:keep=0.6@attn+int8+bf16"}) {
    const std::string canonical = ParseRecipe(text).text;
    const std::string shortest = ShortRecipe(canonical);
    INFO(canonical << " -> " << shortest);
    CHECK(ParseRecipe(shortest).text == canonical);
    CHECK(shortest.size() <= text.size());
  }
  CHECK(ShortRecipe(ParseRecipe("mpo+int8").text) == "mpo+int8");
  CHECK(ShortRecipe("of another program:x=1@all") == "of another program:x=1@all");
}

TEST_CASE("selectors widen by kind and narrow by block") {
  const LinearSlot q3 = Slot("blocks.3.q", LinearKind::kQ, 3);
  const LinearSlot down9 = Slot("blocks.9.down", LinearKind::kDown, 9);
  const LinearSlot embedding = Slot("embedding", LinearKind::kEmbedding, -1);
  const auto matches = [](const std::string& text, const LinearSlot& slot) {
    return Selector::Parse(text).Matches(slot);
  };
  CHECK(matches("attn", q3));
  CHECK_FALSE(matches("mlp", q3));
  CHECK(matches("q/down", down9));
  CHECK(matches("q/blocks(2-3)", q3));
  CHECK_FALSE(matches("q/blocks(4-9)", q3));
  CHECK(matches("blocks(9)", down9));
  CHECK_FALSE(matches("blocks(0-99)", embedding));
  CHECK(matches("all", embedding));
  CHECK(matches("re(^blocks\\.3)", q3));
  LinearSlot touched = Slot("blocks.1.q", LinearKind::kQ, 1);
  CHECK(matches("untouched", touched));
  touched.touched = true;
  CHECK_FALSE(matches("untouched", touched));
  CHECK_FALSE(matches("attn/untouched", touched));
}

TEST_CASE("stages compose: cores of a network are quantized in place") {
  LinearSlot slot = Slot("blocks.0.gate", LinearKind::kGate, 0);
  const at::Tensor w = slot.linear->Rebuild();
  const auto outcomes = ApplyRecipe(ParseRecipe("mpo:keep=0.5+int8+bf16"), slot);
  REQUIRE(outcomes.size() == 3);
  CHECK(slot.linear->factorized());
  CHECK(slot.touched);
  CHECK(slot.linear->Describe() == "network of 2 cores, int8 row");
  CHECK(outcomes[0].size.parameters <= 64 * 96 / 2);
  CHECK(outcomes[0].size.bytes == 4 * outcomes[0].size.parameters);
  // One byte a core value and an fp16 scale a row of each core.
  CHECK(outcomes[1].size.code_bits == 8 * outcomes[0].size.parameters);
  CHECK(outcomes[1].size.bytes == outcomes[0].size.parameters + 2 * outcomes[1].size.parameters);
  CHECK(outcomes[1].relative_error >= outcomes[0].relative_error - 1e-3);
  // A cast leaves codes as they are.
  CHECK(outcomes[2].size.bytes == outcomes[1].size.bytes);
  const double error = ((slot.linear->Rebuild() - w).norm() / w.norm()).item<double>();
  CHECK(error == Approx(outcomes[1].relative_error).epsilon(1e-6));
}

TEST_CASE("int8+mpo factorizes the rounded matrix") {
  LinearSlot slot = Slot("blocks.0.gate", LinearKind::kGate, 0);
  const auto outcomes = ApplyRecipe(ParseRecipe("int8+mpo:error=0.000001"), slot);
  REQUIRE(outcomes.size() == 2);
  CHECK(slot.linear->Describe() == "network of 2 cores, fp32");
  CHECK(outcomes[1].relative_error == Approx(outcomes[0].relative_error).epsilon(1e-2));
}

}  // namespace tnb
