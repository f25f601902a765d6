// Codebook weights: packing, the tree, and the weight against the sum it stands for.
#include "models/engine/codebook.h"

#include <ATen/ATen.h>

#include <map>

#include "base/error.h"
#include "models/engine/parallel.h"
#include "tests/models/engine/random_codebooks.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using testing::RandomStage;

// Everything at once, with LibTorch's operators and the definition in the header.
at::Tensor Reference(const Codebooks& books) {
  const int64_t n = books.vectors(), width = books.width, clusters = books.cluster_count();
  const at::Tensor cluster = books.clusters.defined()
                                 ? UnpackIntegers(books.clusters, BitsFor(clusters), n).to(at::kLong)
                                 : at::zeros({n}, at::kLong);
  at::Tensor sum = at::zeros({n, width});
  for (const CodebookStage& stage : books.stages) {
    const int64_t size = width / stage.subspaces;
    at::Tensor values = stage.values;
    if (stage.value_bits < 16) {
      values = UnpackIntegers(values, stage.value_bits, clusters * stage.words * width).to(at::kFloat) *
                   stage.step +
               stage.minimum;
    }
    values = values.to(at::kFloat).view({clusters, stage.subspaces, stage.words, size});
    const at::Tensor codes = UnpackIntegers(stage.codes, stage.code_bits(), n * stage.subspaces)
                                 .to(at::kLong)
                                 .view({n, stage.subspaces});
    std::vector<at::Tensor> pieces;
    for (int64_t m = 0; m < stage.subspaces; ++m) {
      pieces.push_back(values.select(1, m).index({cluster, codes.select(1, m)}));
    }
    at::Tensor part = at::cat(pieces, 1).contiguous();
    if (stage.layers > 0) {
      const at::Tensor maps = UnpackBits(stage.maps, 1, n * stage.layers * width / 2);
      std::vector<float> scratch(static_cast<size_t>(width));
      for (int64_t i = 0; i < n; ++i) {
        Untangle(part.mutable_data_ptr<float>() + i * width, width, stage.layers,
                 maps.const_data_ptr<uint8_t>() + i * stage.layers * width / 2, scratch.data());
      }
    }
    sum = sum + part;
  }
  if (books.rotations.defined()) {
    const at::Tensor rotation = books.rotations.to(at::kFloat).index_select(0, cluster);  // [n, width, width]
    sum = at::bmm(rotation, sum.unsqueeze(2)).squeeze(2);
  }
  sum = sum.view({books.rows, books.cols});
  return books.scales.defined() ? sum * books.scales.to(at::kFloat).unsqueeze(1) : sum;
}

std::vector<Codebooks> Kinds(int64_t rows) {
  std::vector<Codebooks> kinds;
  Codebooks plain{.rows = rows, .cols = 48, .width = 16};
  plain.stages = {RandomStage(plain, 4, 200, 0, 16)};
  kinds.push_back(plain);
  Codebooks tree{.rows = rows, .cols = 48, .width = 24};
  tree.stages = {RandomStage(tree, 3, 17, 3, 10), RandomStage(tree, 3, 5, 0, 10)};
  kinds.push_back(tree);
  Codebooks wide{.rows = rows, .cols = 128, .width = 64};  // trees of whole bytes
  wide.stages = {RandomStage(wide, 16, 100, 3, 10), RandomStage(wide, 8, 5, 1, 10)};
  kinds.push_back(wide);
  kinds.push_back(testing::RandomAdditive(rows, 48));
  kinds.push_back(testing::RandomClusters(rows, 1200, 48, 6, 33));
  Codebooks constant{.rows = rows, .cols = 12, .width = 12};
  constant.stages = {RandomStage(constant, 1, 1, 0, 16)};
  kinds.push_back(constant);
  return kinds;
}

}  // namespace

TEST_CASE("codes are packed end to end, the first in the lowest bits") {
  const at::Tensor codes = at::tensor({5, 2, 7, 1}, at::kInt);
  // 101 010 111 001 read from the lowest bit: 0b11010101, 0b0011 -> 1*512 + 7*64 + 2*8 + 5 = 981.
  const at::Tensor packed = PackBits(codes, 3);
  CHECK(at::equal(packed, at::tensor({981 & 255, 981 >> 8}, at::kByte)));
  CHECK(at::equal(UnpackIntegers(packed, 3, 4), codes));
  CHECK(at::equal(UnpackBits(packed, 3, 4), codes.to(at::kByte)));
  CHECK(at::equal(PackBits(codes.to(at::kByte), 3), packed));
  at::manual_seed(1);
  for (const int64_t bits : {1, 7, 8, 10, 13, 16}) {
    const at::Tensor random = at::randint(0, int64_t{1} << bits, {101}, at::kInt);
    CHECK(PackBits(random, bits).numel() == (101 * bits + 7) / 8);
    CHECK(at::equal(UnpackIntegers(PackBits(random, bits), bits, 101), random));
    // A code at a time, also where four bytes would reach behind the end.
    const at::Tensor packed_all = PackBits(random, bits);
    for (int64_t i = 0; i < 101; ++i) {
      CHECK(BitsAt(packed_all.const_data_ptr<uint8_t>(), packed_all.numel(), i * bits, bits) ==
            static_cast<uint32_t>(random[i].item<int32_t>()));
    }
  }
  CHECK(PackBits(at::zeros({9}, at::kInt), 0).numel() == 0);
  CHECK(at::equal(UnpackIntegers(at::zeros({0}, at::kByte), 0, 9), at::zeros({9}, at::kInt)));
  CHECK_THROWS_AS(PackBits(at::tensor({8}, at::kInt), 3), c10::Error);
  CHECK_THROWS_AS(PackBits(at::tensor({-1}, at::kInt), 3), c10::Error);
  CHECK_THROWS_AS(UnpackBits(packed, 3, 6), c10::Error);
  CHECK(BitsFor(1) == 0);
  CHECK(BitsFor(2) == 1);
  CHECK(BitsFor(256) == 8);
  CHECK(BitsFor(257) == 9);
}

// By hand: pairs (3,1) (4,1) (5,9) (2,6) -> small 1 1 5 2, large 3 4 9 6, map 0 0 1 1; then (1,1) (5,2) ->
// small 1 2, large 1 5, map 0 0, and (3,4) (9,6) -> small 3 6, large 4 9, map 1 0.
TEST_CASE("a tree orders pairs, layer by layer") {
  float x[] = {3, 1, 4, 1, 5, 9, 2, 6}, scratch[8];
  uint8_t maps[8];
  Entangle(x, 8, 2, maps, scratch);
  CHECK(std::vector<float>(x, x + 8) == std::vector<float>{1, 2, 1, 5, 3, 6, 4, 9});
  CHECK(std::vector<uint8_t>(maps, maps + 8) == std::vector<uint8_t>{0, 0, 1, 1, 0, 0, 1, 0});
  Untangle(x, 8, 2, maps, scratch);
  CHECK(std::vector<float>(x, x + 8) == std::vector<float>{3, 1, 4, 1, 5, 9, 2, 6});
}

TEST_CASE("codebook weights are what they stand for, saved and loaded as well") {
  at::manual_seed(2);
  for (const int64_t rows : {1, 33, 70}) {
    for (const Codebooks& books : Kinds(rows)) {
      const WeightPtr weight = MakeCodebookWeight(books);
      CAPTURE(weight->format());
      const at::Tensor dense = weight->Dense();
      // Rotations are sums of 48 products in fp32.
      CHECK(at::allclose(dense, Reference(books), 1e-5, 1e-5));
      const at::Tensor index = at::tensor({rows - 1, int64_t{0}}, at::kLong);
      CHECK(at::equal(weight->Rows(index), dense.index_select(0, index)));

      std::map<std::string, at::Tensor> tensors;
      int64_t bytes = 0;
      Json json = weight->Save([&](const std::string& suffix, const at::Tensor& tensor) {
        tensors[suffix] = tensor.clone();
        bytes += static_cast<int64_t>(tensor.nbytes());
      });
      json["rows"] = weight->rows();
      json["cols"] = weight->cols();
      CHECK(bytes == weight->size().bytes);
      const WeightPtr loaded = LoadWeight(
          json, [&](const std::string& suffix) { return tensors.at(suffix); }, "here");
      CHECK(at::equal(loaded->Dense(), dense));
      CHECK(loaded->format() == weight->format());
      CHECK(loaded->size().code_bits == weight->size().code_bits);
    }
  }
}

TEST_CASE("codebook weights multiply alike, whatever the batch and the threads") {
  at::manual_seed(3);
  const int threads = Threads();
  for (const Codebooks& books : Kinds(70)) {
    const WeightPtr weight = MakeCodebookWeight(books);
    CAPTURE(weight->format());
    const at::Tensor x = at::randn({20, weight->cols()}), dense = weight->Dense();
    const at::Tensor expected = at::matmul(x.to(at::kDouble), dense.to(at::kDouble).t());
    // fp32 sums of up to 1200 products of values of about 1, as fp32 sums of them or of tables.
    CHECK(at::allclose(weight->Matmul(x).to(at::kDouble), expected, 1e-5, 1e-3));
    at::Tensor all = at::empty({20, 70});
    const CodebookReader reader(books);
    const auto multiply = [&](int64_t first, int64_t n, at::Tensor& y) {
      ReaderMatmul(reader, 70, weight->cols(), x.const_data_ptr<float>() + first * weight->cols(),
                   weight->cols(), n, y.mutable_data_ptr<float>(), 70);
    };
    multiply(0, 20, all);
    for (const int64_t n : {1, 8, 9}) {
      SetThreads(n == 8 ? 2 : 1);
      CHECK(at::allclose(weight->Matmul(x.narrow(0, 2, n)).to(at::kDouble), expected.narrow(0, 2, n), 1e-5,
                         1e-3));
      at::Tensor y = at::empty({n, 70});
      multiply(2, n, y);
      CHECK(at::equal(y, all.narrow(0, 2, n)));
    }
    SetThreads(threads);
  }
}

// The formulas of the header, by hand.
TEST_CASE("bytes of codebook weights are those of the formulas") {
  at::manual_seed(4);
  const int64_t rows = 64;
  const std::vector<Codebooks> kinds = Kinds(rows);
  const WeightSize pq = SizeOf(kinds[0]);  // 192 vectors of 16, 4 subspaces of 200 entries
  CHECK(pq.bytes == 192 * 4 * 8 / 8 + 2 * 200 * 16);
  CHECK(pq.parameters == 200 * 16);
  CHECK(pq.code_bits == 192 * 4 * 8);
  const WeightSize qet = SizeOf(kinds[1]);  // 128 vectors of 24
  CHECK(qet.bytes ==
        128 * 3 * 5 / 8 + 128 * 24 * 3 / 16 + 17 * 24 * 10 / 8 + 8 + 128 * 3 * 3 / 8 + 5 * 24 * 10 / 8 + 8);
  const WeightSize aqlm = SizeOf(kinds[3]);  // 384 vectors of 8, 2 x 8 bits
  CHECK(aqlm.bytes == 384 * 2 * 8 / 8 + 2 * 2 * 256 * 8 + 2 * rows);
  CHECK(aqlm.parameters == 2 * 256 * 8 + rows);
}

TEST_CASE("damaged codebook weights are refused") {
  at::manual_seed(5);
  const auto refused = [](const WeightPtr& weight,
                          const std::function<void(Json&, std::map<std::string, at::Tensor>&)>& damage) {
    std::map<std::string, at::Tensor> tensors;
    Json json = weight->Save(
        [&](const std::string& suffix, const at::Tensor& tensor) { tensors[suffix] = tensor.clone(); });
    json["rows"] = weight->rows();
    json["cols"] = weight->cols();
    damage(json, tensors);
    try {
      LoadWeight(
          json, [&](const std::string& suffix) { return tensors.at(suffix); }, "here");
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kData;
    }
    return false;
  };
  const WeightPtr weight = MakeCodebookWeight(Kinds(8)[0]);
  using Tensors = std::map<std::string, at::Tensor>;
  CHECK(refused(weight, [](Json&, Tensors& t) { t[".stage0.codes"].fill_(255); }));  // 200 entries
  CHECK(refused(weight, [](Json&, Tensors& t) { t[".stage0.codes"] = at::zeros({5}, at::kByte); }));
  CHECK(refused(weight, [](Json&, Tensors& t) { t[".stage0.values"].fill_(NAN); }));
  CHECK(refused(weight, [](Json& json, Tensors&) { json["width"] = 7; }));
  CHECK(refused(weight, [](Json& json, Tensors&) { json["stages"][0]["subspaces"] = 5; }));
  CHECK(refused(weight, [](Json& json, Tensors&) { json["stages"][0]["words"] = 100000; }));
  CHECK(refused(weight, [](Json& json, Tensors&) { json["stages"] = Json::array(); }));
}

}  // namespace tnb
