// Factorizations as recipes: with every storage format, on every shape, on the embedding.
#include <ATen/ATen.h>

#include <map>

#include "methods/recipe.h"
#include "tests/methods/forms.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

LinearSlot Slot(const at::Tensor& w, LinearKind kind = LinearKind::kQ) {
  LinearSlot slot;
  slot.kind = kind;
  slot.name = kind == LinearKind::kEmbedding ? "embedding" : "blocks.0.q";
  slot.block = kind == LinearKind::kEmbedding ? -1 : 0;
  slot.linear = MakeDenseLinear(MakeDenseWeight(w));
  return slot;
}

bool NeedsCalibration(const StageDescription& stage) {
  return std::any_of(stage.parameters.begin(), stage.parameters.end(),
                     [](const ParameterDescription& p) { return p.name == "data" && p.when.empty(); });
}

// Stages of a group that need nothing but the matrix.
std::vector<std::string> Stages(const std::vector<std::string>& groups) {
  std::vector<std::string> names;
  for (const StageEntry& entry : StageRegistry()) {
    const StageDescription& stage = entry.description;
    if (std::find(groups.begin(), groups.end(), stage.group) != groups.end() && !NeedsCalibration(stage))
      names.push_back(stage.name);
  }
  return names;
}

std::string Applied(const std::string& recipe, LinearSlot& slot) {
  try {
    ApplyRecipe(ParseRecipe(recipe), slot);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every factorization composes with every format, and reloads to the same outputs and bytes") {
  at::manual_seed(12);
  const at::Tensor w = at::randn({128, 96});
  const at::Tensor x = at::randn({7, 96});
  const std::vector<std::string> structures = Stages({"factorize"}),
                                 formats = Stages({"storage", "quantize"});
  REQUIRE(structures.size() >= 6);
  REQUIRE(formats.size() >= 5);
  for (const std::string& structure : structures) {
    for (const std::string& format : formats) {
      LinearSlot slot = Slot(w);
      CAPTURE(structure, format);
      const std::string message = Applied(structure + ":keep=0.5@all+" + format + "@all", slot);
      if (format == "decoquant") {  // a decomposition of its own
        CHECK(message.find("decoquant cuts matrices") != std::string::npos);
        continue;
      }
      // A format without an exact zero cannot take a sparse part, and says so.
      if (structure == "saten" && message.find("would not stay zero") != std::string::npos) continue;
      REQUIRE(message.empty());
      std::map<std::string, at::Tensor> stored;
      const Json json = slot.linear->Save(
          [&](const std::string& suffix, const at::Tensor& t) { stored[suffix] = t.clone(); });
      const auto back = LoadLinear(
          json, [&](const std::string& suffix) { return stored.at(suffix); }, "test");
      CHECK(at::equal(back->Forward(x), slot.linear->Forward(x)));
      CHECK(at::equal(back->Rebuild(), slot.linear->Rebuild()));
      CHECK(back->size().bytes == slot.linear->size().bytes);
      int64_t bytes = 0;
      for (const auto& [suffix, tensor] : stored) bytes += static_cast<int64_t>(tensor.nbytes());
      CHECK(bytes == slot.linear->size().bytes);
    }
  }
}

TEST_CASE("stored bytes are those of the formulas") {
  at::manual_seed(16);
  const at::Tensor w = at::randn({128, 96});
  for (const std::string& structure : Stages({"factorize"})) {
    if (structure == "saten") continue;  // its indices: sparse_part_test
    LinearSlot plain = Slot(w), half = Slot(w), codes = Slot(w);
    CAPTURE(structure);
    REQUIRE(Applied(structure + ":keep=0.5@all", plain).empty());
    REQUIRE(Applied(structure + ":keep=0.5@all+fp16@all", half).empty());
    REQUIRE(Applied(structure + ":keep=0.5@all+int8:group=row@all", codes).empty());
    int64_t parameters = 0, expected = 0;
    for (int64_t i = 0; i < plain.linear->weight_count(); ++i) {
      const WeightPtr weight = plain.linear->weight(i);
      parameters += weight->rows() * weight->cols();
      expected += weight->rows() * weight->cols() + 2 * weight->rows();  // a code each, a scale a row
    }
    CHECK(parameters <= 128 * 96 / 2);
    CHECK(plain.linear->size().parameters == parameters);
    CHECK(plain.linear->size().bytes == 4 * parameters);
    CHECK(half.linear->size().bytes == 2 * parameters);
    CHECK(codes.linear->size().bytes == expected);
  }
  // Low rank r (m + n), two cores chi (o1 i1 + o2 i2), as the papers count them.
  LinearSlot svd = Slot(w), mpo = Slot(w);
  REQUIRE(Applied("svd:rank=20@all", svd).empty());
  REQUIRE(Applied("mpo:chi=20,legs=8x16/8x12@all", mpo).empty());
  CHECK(svd.linear->size().bytes == 4 * 20 * (128 + 96));
  CHECK(mpo.linear->size().bytes == 4 * 20 * (8 * 8 + 16 * 12));
}

TEST_CASE("odd shapes factor, or say what to do") {
  at::manual_seed(13);
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{192, 64}, {64, 192}, {431, 257}, {97, 64}}) {
    const at::Tensor w = at::randn({rows, cols});
    for (const std::string& structure : Stages({"factorize"})) {
      LinearSlot slot = Slot(w);
      const std::string message = Applied(structure + ":keep=0.5@all", slot);
      CAPTURE(structure, rows, cols, message);
      if (message.empty()) {
        CHECK(static_cast<double>(slot.linear->size().parameters) <= 0.5 * static_cast<double>(rows * cols));
        CHECK(testing::RelativeError(w, slot.linear->Rebuild()) < 1);
      } else {
        CHECK_THAT(message, Catch::Matchers::Contains("legs=") || Catch::Matchers::Contains("modes="));
      }
    }
  }
  // The largest one of SmolLM2 has useful legs for every number of cores.
  for (const int64_t cores : {2, 3, 4, 6}) CHECK_NOTHROW(ChooseLegs("auto", cores, 49152, 576));
}

TEST_CASE("impossible requests to any factorization name the legal range") {
  const at::Tensor w = at::randn({64, 96});
  const auto message = [&](const std::string& recipe) {
    LinearSlot slot = Slot(w);
    return Applied(recipe, slot);
  };
  CHECK_THAT(message("svd:rank=65@all"), Catch::Matchers::Contains("rank from 1 to 64"));
  CHECK_THAT(message("mpo:chi=999@all"), Catch::Matchers::Contains("chi from 1 to 64"));
  CHECK_THAT(message("mpo:cores=3,chi=999@all"), Catch::Matchers::Contains("chi from 1 to"));
  CHECK_THAT(message("mpo:legs=8x9/8x12@all"), Catch::Matchers::Contains("multiplying to 64"));
  CHECK_THAT(message("mpo:disentangle=1,keep=0.9@all"), Catch::Matchers::Contains("three cores or more"));
  CHECK_THAT(message("mpo:cores=3,disentangle=1,keep=0.05@all"), Catch::Matchers::Contains("at least 0."));
  CHECK_THAT(message("saten:chi=999@all"), Catch::Matchers::Contains("chi from 1 to 64"));
  CHECK_THAT(message("saten:legs=8x8/9x12@all"), Catch::Matchers::Contains("multiplying to 96"));
  CHECK_THAT(message("saten:density=0.95@all"), Catch::Matchers::Contains("to 0.9"));
  CHECK_THAT(message("ring:legs=4x4x4/4x4x7@all"), Catch::Matchers::Contains("multiplying to 96"));
  CHECK_THAT(message("kron:terms=65@all"), Catch::Matchers::Contains("terms from 1 to 64"));
  CHECK_THAT(message("ring:chi=999@all"), Catch::Matchers::Contains("chi from 1 to"));
  CHECK_THAT(message("peps:bond=999@all"), Catch::Matchers::Contains("bond from 1 to"));
  CHECK_THAT(message("tucker:rank=97@all"), Catch::Matchers::Contains("1 to 96"));
  CHECK_THAT(message("tucker:keep=0.001@all"), Catch::Matchers::Contains("at least 0.02"));
  CHECK_THAT(message("tucker:modes=8x8/7@all"), Catch::Matchers::Contains("multiplying to 64"));
  CHECK_THAT(message("tucker:head_size=48@all"), Catch::Matchers::Contains("multiple of the head size 48"));
  CHECK_THAT(message("peps:legs=8x8/8x12@all"), Catch::Matchers::Contains("4 out legs"));
  CHECK_THAT(message("svd:keep=1.5@all"), Catch::Matchers::Contains("to 1"));
  CHECK_THAT(message("kron:terms=3,keep=0.5"), Catch::Matchers::Contains("keep and terms"));
}

TEST_CASE("permuted rows and columns come back in order, and their indices are counted") {
  at::manual_seed(15);
  // Rows and columns that are alike, in a random order.
  const at::Tensor smooth = at::kron(at::randn({16, 12}), at::ones({8, 8})) + 0.1 * at::randn({128, 96});
  const at::Tensor w = smooth.index_select(0, at::randperm(128)).index_select(1, at::randperm(96));
  const at::Tensor x = at::randn({5, 96});
  LinearSlot plain = Slot(w), similar = Slot(w);
  REQUIRE(Applied("mpo:chi=6@all", plain) == "");
  for (const char* recipe : {"mpo:chi=6,permute=similar@all", "mpo:chi=6,permute=norm@all+int8@all",
                             "kron:terms=2,permute=similar@all", "peps:keep=0.3,permute=similar@all"}) {
    LinearSlot slot = Slot(w);
    CAPTURE(recipe);
    REQUIRE(Applied(recipe, slot) == "");
    CHECK(at::allclose(slot.linear->ForwardWith(testing::Matrices(*slot.linear), x),
                       at::matmul(x, slot.linear->Rebuild().t()), 1e-3, 1e-3));
    const at::Tensor index = at::tensor({127, 0, 64}, at::kLong);
    CHECK(at::allclose(slot.linear->Rows(index), slot.linear->Rebuild().index_select(0, index), 1e-4, 1e-4));
    std::map<std::string, at::Tensor> stored;
    const Json json = slot.linear->Save(
        [&](const std::string& suffix, const at::Tensor& t) { stored[suffix] = t.clone(); });
    const auto back = LoadLinear(
        json, [&](const std::string& suffix) { return stored.at(suffix); }, "test");
    CHECK(at::equal(back->Forward(x), slot.linear->Forward(x)));
    CHECK(back->size().bytes == slot.linear->size().bytes);
    stored[".rows"][0] = stored[".rows"][1];
    CHECK_THROWS_WITH(LoadLinear(
                          json, [&](const std::string& suffix) { return stored.at(suffix); }, "test"),
                      Catch::Matchers::Contains("each once"));
  }
  REQUIRE(Applied("mpo:chi=6,permute=similar@all", similar) == "");
  CHECK(similar.linear->size().parameters == plain.linear->size().parameters);
  CHECK(similar.linear->size().bytes == plain.linear->size().bytes + 2 * (128 + 96));
  CHECK(testing::RelativeError(w, similar.linear->Rebuild()) <
        0.5 * testing::RelativeError(w, plain.linear->Rebuild()));
}

TEST_CASE("an embedding is factorized where it is asked for, and looked up by rows") {
  at::manual_seed(14);
  const at::Tensor w = at::randn({96, 24});
  for (const char* recipe :
       {"mpo:cores=3,keep=0.5@embed", "svd:keep=0.5@embed", "tucker:modes=balanced@embed",
        "peps:keep=0.7@embed", "mpo:keep=0.5@embed+int8@embed"}) {
    LinearSlot slot = Slot(w, LinearKind::kEmbedding);
    CAPTURE(recipe);
    REQUIRE(Applied(recipe, slot) == "");
    CHECK(slot.linear->factorized());
    const at::Tensor tokens = at::tensor({95, 0, 31, 31}, at::kLong);
    CHECK(
        at::allclose(slot.linear->Rows(tokens), slot.linear->Rebuild().index_select(0, tokens), 1e-5, 1e-5));
  }
  // "all" means the linears: low rank was never meant for tables.
  LinearSlot slot = Slot(w, LinearKind::kEmbedding);
  CHECK(ApplyRecipe(ParseRecipe("svd@all"), slot).empty());
  CHECK_FALSE(slot.linear->factorized());
}

}  // namespace tnb
