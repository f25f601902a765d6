// Pruning against what the authors' releases do to the same matrix (prune_golden.py), and what a recipe makes
// of pruned weights.
#include <ATen/ATen.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "methods/prune/mask.h"
#include "methods/prune/sparsegpt.h"
#include "tests/methods/recipe_error.h"
#include "tests/methods/stage_support.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using testing::Compress;
using testing::FixedStatistics;
using testing::SlotOf;

at::Tensor Matrix(const Json& values, int64_t rows) {
  return at::tensor(values.get<std::vector<double>>(), at::kDouble).view({rows, -1});
}

at::Tensor Pruned(const std::string& recipe, const at::Tensor& w, StatisticsService* statistics) {
  LinearSlot slot = SlotOf("blocks.0.q", LinearKind::kQ, MakeDenseWeight(w.to(at::kFloat)));
  Compress(recipe, slot, statistics);
  return slot.linear->Rebuild();
}

double Zeros(const at::Tensor& w) { return w.eq(0).to(at::kDouble).mean().item<double>(); }

// |ΔW X|^2 by the covariance.
double OutputError(const at::Tensor& difference, const at::Tensor& covariance) {
  const at::Tensor d = difference.to(at::kDouble);
  return (at::matmul(d, covariance.to(at::kDouble)) * d).sum().item<double>();
}

}  // namespace

TEST_CASE("wanda and sparsegpt do what their releases do") {
  const Json golden =
      ParseJson(ReadFile(TNBENCH_SOURCE_DIR "/tests/methods/prune_golden.json"), "prune_golden.json");
  const auto rows = golden.at("rows").get<int64_t>(), cols = golden.at("cols").get<int64_t>();
  const at::Tensor w = Matrix(golden.at("w"), rows), h = Matrix(golden.at("h"), cols);
  FixedStatistics statistics({{"blocks.0.qkv.covariance", h.to(at::kFloat)}});
  for (const auto& [name, expected] : golden.at("cases").items()) {
    CAPTURE(name);
    // fp32 against fp64, with a covariance whose condition is about 1e4 after the ridge.
    CHECK(at::allclose(Pruned("wanda:feed=dense,pattern=" + name, w, &statistics),
                       Matrix(expected.at("wanda"), rows).to(at::kFloat), 0, 1e-6));
    const bool structured = name != "unstructured";
    const PrunePattern pattern = {
        .sparsity = 0.5, .keep = structured ? name[0] - '0' : 0, .of = structured ? name[2] - '0' : 0};
    const PrunedMatrix pruned = SparseGpt(w.to(at::kFloat), h.to(at::kFloat), pattern, 0.01, 16);
    const at::Tensor release = Matrix(expected.at("sparsegpt"), rows).to(at::kFloat);
    CHECK(at::equal(pruned.w.eq(0), release.eq(0)));
    CHECK(at::allclose(pruned.w, release, 1e-3, 1e-3));
  }
}

TEST_CASE("masks drop exactly what they are asked to") {
  const at::Tensor scores = at::tensor({4.0F, 1.0F, 2.0F, 3.0F, 9.0F, 9.0F, 9.0F, 9.0F}).view({2, 4});
  const auto kept = [&](double sparsity, PruneScope scope) {
    return KeepLargest(scores, {.sparsity = sparsity}, scope).to(at::kInt);
  };
  CHECK(
      at::equal(kept(0.5, PruneScope::kMatrix), at::tensor({0, 0, 0, 0, 1, 1, 1, 1}, at::kInt).view({2, 4})));
  CHECK(at::equal(kept(0.5, PruneScope::kRow), at::tensor({1, 0, 0, 1, 0, 0, 1, 1}, at::kInt).view({2, 4})));
  CHECK(kept(0.2, PruneScope::kRow).sum().item<int>() == 8);  // floor(0.8) of four
  CHECK(kept(0.0, PruneScope::kMatrix).sum().item<int>() == 8);
  CHECK(at::equal(KeepLargest(scores, {.keep = 2, .of = 4}, PruneScope::kMatrix).to(at::kInt),
                  at::tensor({1, 0, 0, 1, 0, 0, 1, 1}, at::kInt).view({2, 4})));
  CHECK_THROWS_AS(KeepLargest(scores, {.keep = 4, .of = 8}, PruneScope::kRow), Error);
  CHECK_THROWS_AS(KeepLargest(scores * NAN, {.sparsity = 0.5}, PruneScope::kRow), Error);
}

TEST_CASE("knowing the inputs pays, and so does making good") {
  at::manual_seed(11);
  const at::Tensor w = at::randn({48, 64});
  // Inputs of different sizes that know a little of each other. (Where the least are below the damping, 1 %
  // of the mean diagonal, SparseGPT sees them all alike, and Wanda is the better of the two.)
  const at::Tensor mix = at::eye(64) + 0.1 * at::randn({64, 64});
  const at::Tensor x = at::matmul(at::randn({500, 64}), mix) * at::logspace(0.5, -0.5, 64);
  const at::Tensor h = at::matmul(x.t(), x) / 500;
  FixedStatistics statistics({{"blocks.0.qkv.covariance", h}});
  for (const std::string pattern : {"unstructured", "2:4", "4:8"}) {
    const auto error = [&](const std::string& method) {
      const at::Tensor pruned = Pruned(
          method + ":pattern=" + pattern + (method == "magnitude" ? "" : ",feed=dense"), w, &statistics);
      CHECK(Zeros(pruned) == Approx(0.5).margin(0.01));
      return OutputError(pruned - w, h);
    };
    const double magnitude = error("magnitude"), wanda = error("wanda"), sparsegpt = error("sparsegpt");
    CAPTURE(pattern, magnitude, wanda, sparsegpt);
    CHECK(wanda < magnitude);
    CHECK(sparsegpt < wanda);
  }
}

TEST_CASE("zeros survive later stages, and elements take their format") {
  at::manual_seed(12);
  const at::Tensor w = at::randn({40, 64});
  const auto slot_after = [&](const std::string& recipe) {
    LinearSlot slot = SlotOf("blocks.0.q", LinearKind::kQ, MakeDenseWeight(w));
    Compress(recipe, slot);
    return slot;
  };
  const int64_t count = 40 * 64;
  const LinearSlot pruned = slot_after("magnitude");
  CHECK(pruned.linear->Describe() == "dense sparse bitmap fp32");
  CHECK(pruned.linear->size().bytes == count / 8 + 4 * count / 2);
  const at::Tensor zeros = pruned.linear->Rebuild().eq(0);
  CHECK(zeros.sum().item<int64_t>() == count / 2);
  for (const auto& [recipe, format] : {std::pair{"magnitude+int4", "dense sparse bitmap int4 g32 asym"},
                                       {"magnitude+int8", "dense sparse bitmap int8 row"},
                                       {"magnitude+fp16", "dense sparse bitmap fp16"},
                                       {"fp16+magnitude", "dense sparse bitmap fp16"},
                                       {"magnitude+bf16+int8", "dense sparse bitmap int8 row"},
                                       {"magnitude:pattern=2:4+int4", "dense sparse 2:4 int4 g32 asym"}}) {
    CAPTURE(recipe);
    const LinearSlot slot = slot_after(recipe);
    CHECK(slot.linear->Describe() == format);
    CHECK(slot.linear->Rebuild().eq(0).sum().item<int64_t>() >= count / 2);
    if (std::string(recipe).find("2:4") == std::string::npos) {
      CHECK(slot.linear->Rebuild().masked_select(zeros).eq(0).all().item<bool>());
    }
  }
  // Every core of a factorized linear is pruned by itself, and a factorization of a pruned matrix is dense.
  CHECK(slot_after("svd:rank=8+magnitude").linear->Describe().find("sparse") != std::string::npos);
  CHECK(slot_after("magnitude+svd:rank=8").linear->Describe().find("sparse") == std::string::npos);
}

TEST_CASE("blocks of least influence are dropped whole") {
  testing::FixedStatistics statistics({{"influence", at::tensor({0.5F, 0.02F, 0.3F, 0.01F})}});
  const auto described = [&](const std::string& recipe, int64_t block) {
    LinearSlot slot =
        SlotOf("blocks." + std::to_string(block) + ".q", LinearKind::kQ, MakeDenseWeight(at::ones({4, 6})));
    slot.block = block;
    const std::vector<LayerOutcome> outcomes = Compress(recipe, slot, &statistics);
    REQUIRE(outcomes.size() >= 1);
    CHECK(outcomes[0].report.detail.at("dropped") == (slot.linear->size().bytes == 0));
    return slot.linear->Describe();
  };
  for (const int64_t block : {1, 3}) {
    CHECK(described("layer-drop:layers=2", block) == "dense zero");
    CHECK(described("layer-drop:layers=2+int8", block) == "dense zero");
  }
  for (const int64_t block : {0, 2}) CHECK(described("layer-drop:layers=2", block) == "dense fp32");
  CHECK(described("layer-drop:layers=1", 1) == "dense fp32");
  CHECK_THROWS_AS(described("layer-drop:layers=4", 1), Error);
}

TEST_CASE("what pruning refuses") {
  at::manual_seed(13);
  FixedStatistics statistics({{"blocks.0.qkv.covariance", at::eye(12)}});
  const auto message = [&](const std::string& recipe, int64_t cols, StatisticsService* service) {
    LinearSlot slot = SlotOf("blocks.0.q", LinearKind::kQ, MakeDenseWeight(at::randn({8, cols})));
    try {
      Compress(recipe, slot, service);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("(no error)");
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(message("magnitude:pattern=4:8", 12, nullptr), Contains("whole groups"));
  CHECK_THAT(message("wanda", 12, nullptr), Contains("needs calibration statistics"));
  CHECK_THAT(message("int8+sparsegpt:feed=dense", 12, &statistics), Contains("before the quantizing stage"));
  CHECK_THAT(message("svd:rank=2+wanda:feed=dense", 12, &statistics),
             Contains("before the factorizing stage"));
  CHECK_THAT(message("sparsegpt:feed=dense", 16, &statistics), Contains("another shape"));
  CHECK_THAT(testing::RecipeError("wanda:pattern=2:4,sparsity=0.3"), Contains("pattern=unstructured"));
  CHECK_THAT(testing::RecipeError("magnitude:sparsity=1"), Contains("0.999"));
  // Always-zero inputs lose their column; a covariance that is nothing but zeros is one of these.
  FixedStatistics dead({{"blocks.0.qkv.covariance", at::zeros({12, 12})}});
  CHECK(message("sparsegpt:feed=dense", 12, &dead) == "(no error)");
}

}  // namespace tnb
