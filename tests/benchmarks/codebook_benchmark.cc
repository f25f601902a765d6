// Codebook weights at the shapes of SmolLM2-135M: by tables of partial products, and expanded piece by piece.
// Microseconds of a multiplication, and what share of the read bandwidth the stored bytes are that it gets
// through. The cost model of codebook_tables.cc is made of these numbers.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "models/engine/codebook_tables.h"
#include "models/engine/parallel.h"
#include "tests/models/engine/random_codebooks.h"

namespace tnb {
namespace {

constexpr int64_t kBeyondCaches = int64_t{192} << 20;

enum Kind { kAdditive, kPieces4, kPieces2, kRotated, kTree };
const char* const kKinds[] = {"aqlm 2x8 g8", "pq 16x512 of 4", "pq 32x128 of 2", "lopq 16x256 of 4",
                              "qet 16x128 tree 3 + 8x16"};

Codebooks Make(Kind kind, int64_t rows, int64_t cols) {
  if (kind == kAdditive) return testing::RandomAdditive(rows, cols);
  if (kind == kRotated) return testing::RandomClusters(rows, cols, 64, 16, 256);
  Codebooks books{.rows = rows, .cols = cols, .width = 64};
  if (kind == kTree) {
    books.stages = {testing::RandomStage(books, 16, 128, 3, 10), testing::RandomStage(books, 8, 16, 0, 10)};
  } else {
    books.stages = {
        testing::RandomStage(books, kind == kPieces4 ? 16 : 32, kind == kPieces4 ? 512 : 128, 0, 16)};
  }
  return books;
}

// Bytes a second of one row times a large fp32 matrix, as `tnbench bench` measures the machine.
double ReadBandwidth() {
  static const double rate = [] {
    const WeightPtr weight = MakeDenseWeight(at::ones({kBeyondCaches / 4096, 1024}));
    const at::Tensor x = at::randn({1, 1024});
    double least = INFINITY;
    for (int i = 0; i < 10; ++i) {
      const auto start = std::chrono::steady_clock::now();
      weight->Matmul(x);
      least =
          std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return static_cast<double>(kBeyondCaches) / least;
  }();
  return rate;
}

void Multiply(benchmark::State& state) {
  const auto kind = static_cast<Kind>(state.range(0));
  const int64_t rows = state.range(1), cols = state.range(2), n = state.range(3);
  const bool tables = state.range(4) != 0;
  const Codebooks first = Make(kind, rows, cols);
  if (tables && !CodebookTables::Serve(first)) return state.SkipWithError("no tables for this format");
  const int64_t bytes = SizeOf(first).bytes;
  // Several matrices in turn, so that few tokens' codes come from memory as in decoding.
  const int64_t copies = n <= 8 ? std::max<int64_t>(1, (int64_t{64} << 20) / bytes) : 1;
  std::vector<std::unique_ptr<Codebooks>> books;
  std::vector<std::unique_ptr<CodebookTables>> table;
  std::vector<std::unique_ptr<CodebookReader>> readers;
  for (int64_t i = 0; i < copies; ++i) {
    books.push_back(std::make_unique<Codebooks>(first));
    for (CodebookStage& stage : books.back()->stages) stage.codes = stage.codes.clone();
    if (tables) {
      table.push_back(std::make_unique<CodebookTables>(*books.back()));
    } else {
      readers.push_back(std::make_unique<CodebookReader>(*books.back()));
    }
  }
  const at::Tensor x = at::randn({n, cols});
  at::Tensor y = at::empty({n, rows});
  const double bandwidth = ReadBandwidth();
  size_t next = 0;
  for (auto _ : state) {
    const size_t i = next++ % books.size();
    if (tables) {
      table[i]->Matmul(x.const_data_ptr<float>(), cols, n, y.mutable_data_ptr<float>(), rows);
    } else {
      ReaderMatmul(*readers[i], rows, cols, x.const_data_ptr<float>(), cols, n, y.mutable_data_ptr<float>(),
                   rows);
    }
    benchmark::ClobberMemory();
  }
  state.counters["read_share"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(bytes) / bandwidth,
                         benchmark::Counter::kIsRate);
  state.SetLabel(std::string(kKinds[kind]) + (tables ? " tables" : " expanded") +
                 (tables ? (table[0]->Pay(n) ? " (taken)" : "") : ""));
}

void Shapes(benchmark::internal::Benchmark* benchmark) {
  for (int kind = kAdditive; kind <= kTree; ++kind) {
    for (const int64_t n : {1, 4, 8, 64}) {
      for (const int64_t tables : {1, 0}) {
        if (kind == kTree && tables == 1) continue;
        benchmark->Args({kind, 1536, 576, n, tables});
        if (n == 1) benchmark->Args({kind, 192, 576, n, tables});
        if (n == 1) benchmark->Args({kind, 576, 1536, n, tables});
      }
    }
  }
}

BENCHMARK(Multiply)->Apply(Shapes)->UseRealTime()->Unit(benchmark::kMicrosecond)->MinTime(0.1);

}  // namespace
}  // namespace tnb

BENCHMARK_MAIN();
