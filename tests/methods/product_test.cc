// Product quantization against the releases' own errors on the same matrix (product_golden.py), and what the
// methods promise.
#include "methods/vector/product.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "methods/vector/kmeans.h"
#include "methods/vector/product_stage.h"
#include "models/engine/parallel.h"
#include "tests/methods/recipe_error.h"
#include "tests/methods/stage_support.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

// Sums of four uniform numbers, as matrix() in product_golden.py.
at::Tensor GoldenMatrix() {
  const int64_t rows = 2048, cols = 32;
  at::Tensor x = at::empty({rows, cols});
  for (int64_t i = 0; i < rows * cols; ++i) {
    double sum = 0;
    for (uint32_t part = 0; part < 4; ++part) {
      uint32_t h = static_cast<uint32_t>(4 * i) + part;
      h ^= h >> 16;
      h *= 0x85EBCA6BU;
      h ^= h >> 13;
      h *= 0xC2B2AE35U;
      h ^= h >> 16;
      sum += h / 2147483648.0 - 1.0;
    }
    x.mutable_data_ptr<float>()[i] = static_cast<float>(sum);
  }
  return x;
}

double MeanSquaredError(const Codebooks& books, const at::Tensor& matrix) {
  return (Expand(books) - matrix).to(at::kDouble).square().mean().item<double>();
}

}  // namespace

TEST_CASE("k-means finds clusters that are there, and the nearest of equals is the first") {
  at::manual_seed(1);
  const at::Tensor centers = at::randn({5, 3}) * 100;
  const at::Tensor which = at::randint(0, 5, {400}, at::kLong);
  const at::Tensor points = centers.index_select(0, which) + at::randn({400, 3}) * 0.01;
  // Lloyd's iterations stop at a local minimum; with several starts one of them finds all five.
  double least = INFINITY;
  for (int64_t seed = 0; seed < 20; ++seed) {
    const Clustering found = KMeans(points, 5, 20, seed);
    const at::Tensor back = found.words.index_select(0, found.codes);
    least = std::min(least, (back - points).square().mean().item<double>());
  }
  CHECK(least < 2e-4);  // the variance of a cluster is 1e-4
  const at::Tensor twice = at::tensor({1.0F, 2.0F, 2.0F, 5.0F}).view({4, 1});
  CHECK(at::equal(NearestWords(at::tensor({2.1F, 9.0F, -3.0F}).view({3, 1}), twice),
                  at::tensor({1, 3, 0}, at::kInt)));
  // As many entries as points: nothing is lost.
  const at::Tensor few = at::randn({17, 3});
  const Clustering all = KMeans(few, 17, 3, 1);
  CHECK(at::equal(all.words.index_select(0, all.codes), few));
  const int threads = Threads();
  SetThreads(1);
  const at::Tensor alone = KMeans(points, 7, 5, 3).words;
  SetThreads(2);
  CHECK(at::equal(KMeans(points, 7, 5, 3).words, alone));
  SetThreads(threads);
}

TEST_CASE("the largest codebook that fits is taken") {
  // 1000 vectors, 8 subspaces, entries of 16 * 32 bits: 255 of 8 bits each are 8000 + 16320 bytes.
  CHECK(WordsFor(8000 + 16320, 1000, 8, 512, 0, 1000) == 255);
  CHECK(WordsFor(8000 + 16383, 1000, 8, 512, 0, 1000) == 255);
  CHECK(WordsFor(8000 + 16384, 1000, 8, 512, 0, 1000) == 256);
  CHECK(WordsFor(8000 + 16448, 1000, 8, 512, 0, 1000) == 256);  // 257 would need 9 bits
  CHECK(WordsFor(10, 1000, 8, 512, 0, 1000) == 0);
  CHECK(WordsFor(1 << 20, 1000, 8, 512, 0, 1000) == 999);
}

// Starts are random, and differ from numpy's: at 2048 vectors errors of k-means vary by about 1 % from seed
// to seed, those of a residual by twice that.
TEST_CASE("pq and qet have the errors of their releases") {
  const Json golden =
      ParseJson(ReadFile(TNBENCH_SOURCE_DIR "/tests/methods/product_golden.json"), "product_golden.json");
  const at::Tensor x = GoldenMatrix();
  CHECK(x.var().item<double>() == Approx(golden.at("variance").get<double>()).epsilon(1e-3));
  for (const Json& expected : golden.at("cases")) {
    ProductOptions options;
    options.subspaces = expected.at("M").get<int64_t>();
    options.bytes = expected.at("bits").get<int64_t>() * x.numel() / 8;
    if (expected.at("method") == "qet") {
      options.method = ProductMethod::kQet;
      options.layers = expected.at("layers").get<std::vector<int64_t>>();
    }
    const Codebooks books = QuantizeProduct(x, 32, options);
    CAPTURE(expected.dump());
    for (size_t i = 0; i < books.stages.size(); ++i) {
      CHECK(books.stages[i].words == expected.at("words")[i].get<int64_t>());
    }
    CHECK(MeanSquaredError(books, x) == Approx(expected.at("mse").get<double>()).epsilon(0.03));
    CHECK(SizeOf(books).bytes <= options.bytes);
  }
}

TEST_CASE("a rotation helps where directions matter, and clusters where there are some") {
  at::manual_seed(2);
  // Variance in few directions that no axis has.
  const at::Tensor rotation = std::get<0>(at::linalg_qr(at::randn({16, 16})));
  const at::Tensor x = at::matmul(at::randn({3000, 16}) * at::logspace(1, -1, 16), rotation);
  ProductOptions options;
  options.subspaces = 4;
  options.bytes = 3000 * 16 * 3 / 8;
  const auto error = [&](ProductMethod method, const at::Tensor& matrix) {
    options.method = method;
    const Codebooks books = QuantizeProduct(matrix, 16, options);
    CHECK(SizeOf(books).bytes <= options.bytes);
    return MeanSquaredError(books, matrix);
  };
  CHECK(error(ProductMethod::kOpq, x) < 0.9 * error(ProductMethod::kPq, x));
  const at::Tensor split = at::cat({x + 30, x - 30});
  options.bytes *= 2;
  CHECK(error(ProductMethod::kLopq, split) < error(ProductMethod::kPq, split));
}

TEST_CASE("the best split is the best") {
  at::manual_seed(3);
  const at::Tensor x = at::randn({64, 64});
  ProductOptions options;
  options.bytes = x.numel() * 3 / 8;
  const double best = MeanSquaredError(QuantizeProductBest(x, 32, options), x);
  int tried = 0;
  for (const int64_t subspaces : {2, 4, 8, 16, 32}) {
    options.subspaces = subspaces;
    try {
      CHECK(best <= MeanSquaredError(QuantizeProduct(x, 32, options), x));
      ++tried;
    } catch (const Error&) {  // no room for this one
    }
  }
  CHECK(tried >= 2);
  options.bytes = 20;
  CHECK_THROWS_AS(QuantizeProductBest(x, 32, options), Error);
}

TEST_CASE("vector stages store what they say") {
  at::manual_seed(4);
  const at::Tensor w = at::randn({96, 128});
  for (const std::string method : {"pq", "opq:width=16", "lopq:width=16", "qet", "qet:M=16,layers=1/0"}) {
    LinearSlot slot = testing::SlotOf("blocks.0.q", LinearKind::kQ, MakeDenseWeight(w));
    testing::Compress(method + (method.find(':') == std::string::npos ? ":" : ",") + "bits=5", slot);
    CAPTURE(method, slot.linear->Describe());
    CHECK(slot.linear->Describe().find("codebook") != std::string::npos);
    CHECK(slot.linear->size().bytes <= 96 * 128 * 5 / 8);
    CHECK((slot.linear->Rebuild() - w).norm().item<double>() < 0.7 * w.norm().item<double>());
  }
  CHECK(VectorWidth(576, 64, 8) == 64);
  CHECK(VectorWidth(100, 64, 1) == 50);
  CHECK_THROWS_AS(VectorWidth(100, 64, 8), Error);
  using Catch::Matchers::Contains;
  CHECK_THAT(testing::RecipeError("qet:layers=3/0/0"), Contains("one number a stage"));
  CHECK_THAT(testing::RecipeError("qet:layers=3/x"), Contains("a list of numbers"));
  CHECK_THAT(testing::RecipeError("pq:M=0"), Contains("best, or 1 and more"));
  const std::string canonical = ParseRecipe("qet").text;
  CHECK(canonical == "qet:M=best,bits=4,codebook_bits=10/10,layers=3/0,shares=0.7/0.3,width=64@attn/mlp");
  CHECK(ParseRecipe(canonical).text == canonical);
}

}  // namespace tnb
