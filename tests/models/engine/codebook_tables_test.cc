// Tables of partial products against the matrix that a codebook weight stands for, over odd sizes.
#include "models/engine/codebook_tables.h"

#include <ATen/ATen.h>

#include "models/engine/parallel.h"
#include "tests/models/engine/random_codebooks.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

at::Tensor Multiply(const Codebooks& books, const at::Tensor& x) {
  at::Tensor y = at::full({x.size(0), books.rows}, NAN);
  CodebookTables(books).Matmul(x.const_data_ptr<float>(), x.stride(0), x.size(0), y.mutable_data_ptr<float>(),
                               y.stride(0));
  return y;
}

struct Size {
  int64_t rows, cols, width, subspaces, words;
};

// All numbers of bits from 0 to 10 but few, entries of 1 to 24 columns, rows that end within a byte, and
// matrices of which all rows are too near to the end to be read where they lie.
const Size kSizes[] = {{1, 1, 1, 1, 1},      {1, 8, 8, 1, 256},      {3, 2, 2, 2, 3},
                       {33, 48, 16, 4, 2},   {70, 24, 24, 1, 5},     {31, 90, 6, 2, 17},
                       {100, 64, 64, 64, 8}, {77, 128, 64, 16, 100}, {129, 192, 64, 8, 300},
                       {64, 40, 8, 1, 1000}, {50, 60, 12, 4, 128}};

}  // namespace

TEST_CASE("tables multiply as the expanded matrix does") {
  at::manual_seed(1);
  for (const Size& size : kSizes) {
    CAPTURE(size.rows, size.cols, size.width, size.subspaces, size.words);
    Codebooks books{.rows = size.rows, .cols = size.cols, .width = size.width};
    books.stages = {testing::RandomStage(books, size.subspaces, size.words, 0, 16)};
    const at::Tensor dense = Expand(books).to(at::kDouble), x = at::randn({13, size.cols});
    for (const int64_t n : {1, 2, 5, 8, 9, 13}) {
      const at::Tensor part = x.narrow(0, 0, n);
      // fp32 sums of up to 192 products of unit normals.
      CHECK(at::allclose(Multiply(books, part).to(at::kDouble), at::matmul(part.to(at::kDouble), dense.t()),
                         1e-5, 1e-4));
    }
  }
}

TEST_CASE("tables of several stages, with scales, rotations and clusters") {
  at::manual_seed(2);
  Codebooks uneven{.rows = 45, .cols = 144, .width = 48};  // stages with other numbers of positions
  uneven.stages = {testing::RandomStage(uneven, 6, 40, 0, 16), testing::RandomStage(uneven, 2, 256, 0, 16),
                   testing::RandomStage(uneven, 1, 1, 0, 16)};
  for (const Codebooks& books :
       {testing::RandomAdditive(67, 1080), testing::RandomClusters(70, 240, 48, 6, 33),
        testing::RandomClusters(9, 64, 32, 4, 256), uneven}) {
    REQUIRE(CodebookTables::Serve(books));
    CAPTURE(books.rows, books.cols);
    const at::Tensor x = at::randn({11, books.cols});
    const at::Tensor expected = at::matmul(x.to(at::kDouble), Expand(books).to(at::kDouble).t());
    // Rotations are rounded sums of their own.
    CHECK(at::allclose(Multiply(books, x).to(at::kDouble), expected, 1e-5, 5e-4));
  }
}

TEST_CASE("what tables give depends neither on the batch nor on the threads") {
  at::manual_seed(3);
  const int threads = Threads();
  for (const Codebooks& books :
       {testing::RandomAdditive(300, 1080), testing::RandomClusters(300, 1152, 64, 16, 200)}) {
    const at::Tensor x = at::randn({11, books.cols});
    SetThreads(1);
    const at::Tensor all = Multiply(books, x);
    for (const int64_t n : {1, 3, 8}) {
      SetThreads(n == 3 ? 2 : 1);
      CHECK(at::equal(Multiply(books, x.narrow(0, 2, n)), all.narrow(0, 2, n)));
    }
    SetThreads(threads);
  }
}

TEST_CASE("tables are taken where they pay") {
  at::manual_seed(4);
  const Codebooks additive = testing::RandomAdditive(1536, 576);
  CHECK(CodebookTables(additive).Pay(1));
  CHECK(CodebookTables(additive).Pay(8));
  // Tables larger than the matrix.
  Codebooks large{.rows = 64, .cols = 64, .width = 8};
  large.stages = {testing::RandomStage(large, 1, 65536, 0, 16)};
  CHECK_FALSE(CodebookTables(large).Pay(1));
  // Trees order what would have to be in the table, and entries of few bits are expanded.
  Codebooks tree{.rows = 4, .cols = 32, .width = 32};
  tree.stages = {testing::RandomStage(tree, 4, 9, 1, 16)};
  CHECK_FALSE(CodebookTables::Serve(tree));
  tree.stages = {testing::RandomStage(tree, 4, 9, 0, 10)};
  CHECK_FALSE(CodebookTables::Serve(tree));
}

}  // namespace tnb
