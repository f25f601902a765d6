// Sparse weights: every form and element type against the dense matrix, over sizes around the panel edges.
#include "models/engine/sparse.h"

#include <ATen/ATen.h>

#include <map>

#include "base/error.h"
#include "models/engine/parallel.h"
#include "models/engine/weight.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

at::Tensor RandomMask(int64_t rows, int64_t cols, double density) {
  return at::rand({rows, cols}).lt(density);
}

// Two of every four columns.
at::Tensor TwoOfFour(int64_t rows, int64_t cols) {
  const at::Tensor order = std::get<1>(at::rand({rows, cols / 4, 4}).sort(2));
  return order.lt(2).view({rows, cols});
}

CodedMatrix Codes(int bits, int64_t group, bool asymmetric, int64_t rows, int64_t cols) {
  const int64_t groups = group == 0 ? 1 : (cols + group - 1) / group;
  CodedMatrix codes;
  codes.bits = bits;
  codes.group = group;
  codes.codes = at::randint(0, int64_t{1} << bits, {rows, cols}, at::kByte);
  codes.scales = (at::rand({rows, groups}) + 0.1).to(at::kHalf);
  if (asymmetric) codes.zeros = at::randint(0, 16, {rows, groups}, at::kByte);
  return codes;
}

std::vector<WeightPtr> Formats(int64_t rows, int64_t cols) {
  const at::Tensor values = at::randn({rows, cols});
  return {MakeDenseWeight(values),
          MakeDenseWeight(values.to(at::kHalf)),
          MakeDenseWeight(values.to(at::kBFloat16)),
          MakeCodedWeight(Codes(8, 0, false, rows, cols), Activation::kF32),
          MakeCodedWeight(Codes(8, 32, false, rows, cols), Activation::kInt8),
          MakeCodedWeight(Codes(4, 32, true, rows, cols), Activation::kF32),
          MakeCodedWeight(Codes(4, 64, false, rows, cols), Activation::kF32)};
}

WeightPtr SavedAndLoaded(const Weight& weight, int64_t* bytes = nullptr) {
  std::map<std::string, at::Tensor> tensors;
  Json json = weight.Save([&](const std::string& suffix, const at::Tensor& tensor) {
    CHECK(tensor.is_contiguous());
    if (bytes != nullptr) *bytes += static_cast<int64_t>(tensor.nbytes());
    tensors[suffix] = tensor.clone();
  });
  json["rows"] = weight.rows();
  json["cols"] = weight.cols();
  return LoadWeight(
      json, [&](const std::string& suffix) { return tensors.at(suffix); }, "here");
}

}  // namespace

TEST_CASE("sparse weights have the zeros and keep everything else to the bit") {
  at::manual_seed(1);
  for (const auto& [rows, cols] :
       {std::pair<int64_t, int64_t>{1, 4}, {3, 5}, {32, 64}, {33, 132}, {70, 1100}}) {
    for (const double density : {0.0, 0.03, 0.5, 1.0}) {
      const at::Tensor kept = RandomMask(rows, cols, density);
      for (const WeightPtr& weight : Formats(rows, cols)) {
        CAPTURE(rows, cols, density, weight->format());
        const WeightPtr sparse = KeepZeros(kept, weight);
        const at::Tensor expected = at::where(kept, weight->Dense(), at::zeros({}));
        CHECK(at::equal(sparse->Dense(), expected));
        CHECK(at::equal(sparse->Kept(), kept));
        int64_t bytes = 0;
        const WeightPtr loaded = SavedAndLoaded(*sparse, &bytes);
        CHECK(at::equal(loaded->Dense(), expected));
        CHECK(loaded->format() == sparse->format());
        CHECK(bytes == sparse->size().bytes);
        // A weight that is sparse already can be pruned further, and keeps its elements.
        const at::Tensor fewer = kept.logical_and(RandomMask(rows, cols, 0.5));
        CHECK(at::equal(KeepZeros(fewer, sparse)->Dense(), at::where(fewer, expected, at::zeros({}))));
      }
    }
  }
}

TEST_CASE("sparse multiplication agrees with the dense product, whatever the batch and the threads") {
  at::manual_seed(2);
  const int threads = Threads();
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{5, 7}, {40, 72}, {67, 1100}}) {
    for (const double density : {0.02, 0.5}) {
      const at::Tensor kept = RandomMask(rows, cols, density), x = at::randn({37, cols});
      for (const WeightPtr& weight : Formats(rows, cols)) {
        CAPTURE(rows, cols, density, weight->format());
        const WeightPtr sparse = KeepZeros(kept, weight);
        const at::Tensor expected = at::matmul(x.to(at::kDouble), sparse->Dense().to(at::kDouble).t());
        const at::Tensor all = sparse->Matmul(x);
        // fp32 sums of up to 1100 products of values up to 15: far less than this.
        CHECK(at::allclose(all.to(at::kDouble), expected, 1e-5, 1e-3));
        for (const int64_t n : {1, 3, 8, 9}) {
          SetThreads(n % 2 == 0 ? 2 : 1);
          CHECK(at::equal(sparse->Matmul(x.narrow(0, 4, n)), all.narrow(0, 4, n)));
        }
        SetThreads(threads);
      }
    }
  }
}

TEST_CASE("the vector form of expanding gives the same bits as the plain one") {
  if (!kernels::HasExpand()) return;
  at::manual_seed(3);
  const int64_t rows = 40, cols = 100;
  const at::Tensor kept = RandomMask(rows, cols, 0.4);
  const int64_t stored = kept.sum().item<int64_t>();
  const at::Tensor scales = (at::rand({rows, 4}) + 0.1).to(at::kHalf);
  const at::Tensor zeros = at::randint(0, 256, {rows * 4 / 2}, at::kByte);
  for (const auto& [type, elements] : {std::pair{SparseType::kF32, at::randn({stored})},
                                       {SparseType::kF16, at::randn({stored}).to(at::kHalf)},
                                       {SparseType::kBF16, at::randn({stored}).to(at::kBFloat16)},
                                       {SparseType::kInt8, at::randint(0, 256, {stored}, at::kByte)},
                                       {SparseType::kInt4, at::randint(0, 16, {stored}, at::kByte)}}) {
    CAPTURE(static_cast<int>(type));
    SparseParts parts{kept, elements, {type, 32, scales, type == SparseType::kInt4 ? zeros : at::Tensor()}};
    const SparsePanels panels(parts);
    for (const int64_t panel : {0, 1}) {
      std::vector<float> plain(static_cast<size_t>(cols * 32)), vector(plain);
      const int64_t first = panels.FirstElement(panel);
      const int64_t end = panels.ExpandPlain(panel, 0, cols, first, plain.data());
      CHECK(kernels::ExpandSparse(panels, panel, 0, cols, cols, first, vector.data()) == end);
      CHECK(plain == vector);
    }
  }
}

// Bytes by the formulas: fp16 has v = 2.
TEST_CASE("the smallest form is taken and its bytes are those of the formulas") {
  at::manual_seed(4);
  const int64_t m = 64, n = 96;
  const at::Tensor values = at::randn({m, n}).to(at::kHalf);
  const auto half = MakeSparseWeight(TwoOfFour(m, n), values);
  CHECK(half->format() == "sparse 2:4 fp16");
  CHECK(half->size().bytes == m * n + m * n / 8);
  CHECK(half->size().parameters == m * n / 2);
  CHECK(half->size().code_bits == m * n);

  at::Tensor some = at::zeros({m * n}, at::kBool);
  some.narrow(0, 0, 2000).fill_(true);
  const at::Tensor many = some.index_select(0, at::randperm(m * n)).view({m, n});
  const auto bitmap = MakeSparseWeight(many, values);
  CHECK(bitmap->format() == "sparse bitmap fp16");
  CHECK(bitmap->size().bytes == m * n / 8 + 2 * 2000);
  CHECK_FALSE(bitmap->coded());

  some.narrow(0, 100, 1900).fill_(false);
  const at::Tensor few = some.index_select(0, at::randperm(m * n)).view({m, n});
  const auto rows = MakeSparseWeight(few, values);
  CHECK(rows->format() == "sparse rows fp16");
  CHECK(rows->size().bytes == 4 * 100 + 4 * (m + 1));
  CHECK(rows->size().code_bits == 8 * (2 * 100 + 4 * (m + 1)));

  const auto codes = KeepZeros(many, MakeCodedWeight(Codes(4, 32, true, m, n), Activation::kF32));
  CHECK(codes->format() == "sparse bitmap int4 g32 asym");
  CHECK(codes->size().bytes == m * n / 8 + 1000 + 2 * m * n / 32 + m * n / 64);
  CHECK(codes->size().parameters == m * n / 32);
  CHECK(codes->coded());
}

TEST_CASE("damaged sparse weights are refused") {
  at::manual_seed(5);
  const at::Tensor values = at::randn({8, 16}).to(at::kHalf);
  const auto broken = [&](const WeightPtr& weight, const std::string& name, const at::Tensor& tensor) {
    std::map<std::string, at::Tensor> tensors;
    Json json = weight->Save(
        [&](const std::string& suffix, const at::Tensor& stored) { tensors[suffix] = stored.clone(); });
    json["rows"] = 8;
    json["cols"] = 16;
    REQUIRE(tensors.count(name) == 1);
    tensors[name] = tensor;
    CHECK_THROWS_AS(LoadWeight(
                        json, [&](const std::string& suffix) { return tensors.at(suffix); }, "here"),
                    Error);
  };
  const auto bitmap = MakeSparseWeight(RandomMask(8, 16, 0.5), values);
  broken(bitmap, ".bitmap", at::full({16}, 255, at::kByte));  // more bits than elements
  broken(bitmap, ".bitmap", at::zeros({15}, at::kByte));
  broken(bitmap, ".elements", at::zeros({3}, at::kHalf));
  const at::Tensor elements = at::full({bitmap->size().parameters}, NAN).to(at::kHalf);
  broken(bitmap, ".elements", elements);
  const auto pairs = MakeSparseWeight(TwoOfFour(8, 16), values);
  broken(pairs, ".places", at::zeros({16}, at::kByte));  // the same column twice
  at::Tensor one = at::zeros({8, 16}, at::kBool);
  one[3][7] = true;
  const auto rows = MakeSparseWeight(one, values);
  REQUIRE(rows->format() == "sparse bitmap fp16");  // 18 bytes against 40
}

TEST_CASE("a format without elements keeps zeros that it has, and is refused otherwise") {
  class Opaque : public Weight {
   public:
    explicit Opaque(at::Tensor values) : values_(std::move(values)) {}
    int64_t rows() const override { return values_.size(0); }
    int64_t cols() const override { return values_.size(1); }
    std::string format() const override { return "opaque"; }
    WeightSize size() const override { return {}; }
    at::Tensor Dense() const override { return values_.clone(); }
    Json Save(const TensorSink&) const override { return {}; }

   protected:
    void MatmulCpu(const at::Tensor& x, at::Tensor& y) const override { y.copy_(at::matmul(x, values_.t())); }

   private:
    at::Tensor values_;
  };
  const at::Tensor kept = at::eye(4).to(at::kBool);
  const auto diagonal = std::make_shared<Opaque>(at::eye(4)),
             full = std::make_shared<Opaque>(at::ones({4, 4}));
  CHECK(KeepZeros(kept, diagonal) == diagonal);
  CHECK_THROWS_AS(KeepZeros(kept, full), Error);
}

}  // namespace tnb
