// The kernels as a processor with fewer instructions runs them: every Highway target that this one supports,
// against the best one. Without AVX-512 there are no VNNI and no bf16 dot products either.
#include <ATen/ATen.h>
#include <hwy/targets.h>

#include <random>

#include "models/engine/codebook_tables.h"
#include "models/engine/nearest_word.h"
#include "models/engine/ops.h"
#include "models/engine/panel.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/weight.h"
#include "tests/models/engine/random_checkpoint.h"
#include "tests/models/engine/random_codebooks.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Only this target for as long as it lives; the best again afterwards.
class OnlyTarget {
 public:
  explicit OnlyTarget(int64_t target) { Set(target); }
  ~OnlyTarget() { Set(0); }
  OnlyTarget(const OnlyTarget&) = delete;
  OnlyTarget& operator=(const OnlyTarget&) = delete;

 private:
  static void Set(int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().DeInit();
  }
};

// All that this processor has, the least first.
std::vector<int64_t> Targets() {
  std::vector<int64_t> targets;
  for (int bit = 62; bit >= 0; --bit) {
    if ((hwy::SupportedTargets() >> bit & 1) != 0) targets.push_back(int64_t{1} << bit);
  }
  return targets;
}

at::Tensor Multiply(const PanelMatrix& w, Activation activation, const at::Tensor& x) {
  at::Tensor y = at::empty({x.size(0), w.rows});
  PanelMatmul(w, activation, x.const_data_ptr<float>(), w.cols, x.size(0), y.mutable_data_ptr<float>(),
              w.rows);
  return y;
}

struct Named {
  std::string name;
  at::Tensor values;
};

// Every kind of kernel once, over sizes with remainders everywhere.
std::vector<Named> Compute() {
  const int64_t rows = 77, cols = 165;
  at::manual_seed(3);
  std::mt19937 random(5);
  const at::Tensor w = at::randn({rows, cols});
  const at::Tensor half = w.to(at::kHalf), brain = w.to(at::kBFloat16);
  std::vector<PanelMatrix> integers, levels;
  for (const int bits : {8, 6, 5, 4, 3, 2}) {
    for (const int64_t group : {0, 32}) {
      CodeSpec spec{.bits = bits, .group = group, .zero_point = 1 << (bits - 1)};
      if (bits < 8) spec.zeros = ZeroType::kInteger;
      const auto groups = static_cast<size_t>(rows * spec.Groups(cols));
      std::vector<uint8_t> codes(static_cast<size_t>(rows * cols)), zeros(groups);
      for (uint8_t& code : codes) code = static_cast<uint8_t>(random() % (1U << bits));
      for (uint8_t& zero : zeros) zero = static_cast<uint8_t>(random() % (1U << bits));
      const std::vector<uint16_t> scales(groups, FloatToHalf(0.02F));
      CodeArrays arrays;
      arrays.codes = codes.data();
      arrays.scales = scales.data();
      arrays.zeros = zeros.data();
      integers.push_back(PackCodes(spec, arrays, rows, cols));
      if (bits != 4) continue;
      spec.levels = true;
      spec.zeros = ZeroType::kConstant;
      arrays.levels = LevelsOf("nf4")->data();
      levels.push_back(PackCodes(spec, arrays, rows, cols));
    }
  }
  const PanelMatrix f32 = PackF32(w.const_data_ptr<float>(), rows, cols),
                    f16 = PackF16(static_cast<const uint16_t*>(half.const_data_ptr()), rows, cols),
                    bf16 = PackBF16(static_cast<const uint16_t*>(brain.const_data_ptr()), rows, cols);
  std::vector<Named> results;
  for (const int64_t n : {1, 5, 29}) {
    const at::Tensor x = at::randn({n, cols});
    results.push_back({"fp32", Multiply(f32, Activation::kF32, x)});
    results.push_back({"fp16", Multiply(f16, Activation::kF32, x)});
    results.push_back({"bf16", Multiply(bf16, Activation::kBF16, x)});
    results.push_back({"bf16 act=fp32", Multiply(bf16, Activation::kF32, x)});
    for (const PanelMatrix& integer : integers) {
      results.push_back({"integer", Multiply(integer, Activation::kInt8, x)});
      results.push_back({"integer act=fp32", Multiply(integer, Activation::kF32, x)});
    }
    for (const PanelMatrix& level : levels)
      results.push_back({"levels", Multiply(level, Activation::kF32, x)});
    results.push_back({"norm", RmsNorm(x, at::ones({cols}), 1e-5)});
    const std::vector<RowSummary> summaries = Summarize(10 * x);
    for (const RowSummary& summary : summaries) {
      results.push_back({"summary", at::tensor({summary.log_sum_exp, static_cast<double>(summary.argmax)})});
    }
  }
  const std::vector<Codebooks> books = {testing::RandomAdditive(rows, 168),
                                        testing::RandomClusters(rows, 96, 48, 6, 33)};
  for (const Codebooks& each : books) {
    for (const int64_t n : {1, 5}) {
      const at::Tensor x = at::randn({n, each.cols});
      at::Tensor y = at::empty({n, rows});
      CodebookTables(each).Matmul(x.const_data_ptr<float>(), each.cols, n, y.mutable_data_ptr<float>(), rows);
      results.push_back({"tables", y});
    }
  }
  Codebooks tree{.rows = rows, .cols = 128, .width = 64};
  tree.stages = {testing::RandomStage(tree, 16, 100, 3, 10)};
  results.push_back({"tree", Expand(tree)});
  for (const int64_t size : {1, 2, 3, 4, 8, 16}) {
    const at::Tensor points = at::randn({37, size}), words = at::randn({size, 48}),
                     halves = words.square().sum(0) * 0.5;
    at::Tensor codes = at::empty({37}, at::kInt);
    kernels::NearestRows(points.const_data_ptr<float>(), 37, size, words.const_data_ptr<float>(),
                         halves.const_data_ptr<float>(), 48, codes.mutable_data_ptr<int32_t>());
    results.push_back({"nearest", codes.to(at::kFloat)});
  }
  ModelConfig config = testing::SmallConfig();
  config.block_count = 1;
  KvCache cache(config, 70);
  const int64_t count = 45;
  const at::Tensor k = at::randn({count, 2, 8}), v = at::randn({count, 2, 8}), q = at::randn({count, 6, 8});
  std::vector<int64_t> slots, positions;
  for (int64_t i = 0; i < count; ++i) {
    slots.push_back(i + 7);
    positions.push_back(i);
  }
  cache.Store(0, k, v, slots);
  const std::vector<AttentionRun> runs = {{{{7, count}}, positions, 0}};
  const KvCache::Opened past = cache.Open(0, runs);
  results.push_back({"attention", Attention(q, runs, past.keys, past.values, 0)});
  return results;
}

TEST_CASE("every instruction set of this processor gives the results of the best one") {
  const std::vector<Named> best = Compute();
  const bool dots = kernels::HasBF16Dot();
  for (const int64_t target : Targets()) {
    const OnlyTarget only(target);
    CAPTURE(hwy::TargetName(target), dots);
    if (target > HWY_AVX3) CHECK_FALSE(kernels::HasBF16Dot());
    const std::vector<Named> results = Compute();
    REQUIRE(results.size() == best.size());
    for (size_t i = 0; i < best.size(); ++i) {
      CAPTURE(i, best[i].name);
      // Sums of 165 products of unit normals in fp32, in another order or without fused multiplication; the
      // bf16 instruction rounds once a pair.
      CHECK(at::allclose(results[i].values, best[i].values, 1e-5, 4e-4));
    }
  }
  CHECK(kernels::HasBF16Dot() == dots);  // as before
}

}  // namespace
}  // namespace tnb
