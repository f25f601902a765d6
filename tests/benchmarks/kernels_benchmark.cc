// Matrix multiplication of every storage format at the shapes of SmolLM2-135M: GB/s of stored weights (one
// row) and Gflop/s (many rows).
#include <benchmark/benchmark.h>

#include <random>

#include "models/engine/panel.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

enum Format { kF32, kBF16, kBF16AsF32, kF16, kInt8, kInt8AsF32, kInt4, kInt4AsF32, kInt3, kInt2, kNf4 };
const char* const kNames[] = {"fp32",         "bf16",          "bf16/act=fp32", "fp16",
                              "int8",         "int8/act=fp32", "int4g32",       "int4g32/act=fp32",
                              "int3g64/asym", "int2g64/asym",  "nf4g64"};

PanelMatrix Make(Format format, int64_t rows, int64_t cols) {
  std::mt19937 random(1);
  const auto count = static_cast<size_t>(rows * cols);
  if (format == kF32) {
    std::vector<float> w(count);
    for (auto& value : w) value = static_cast<float>(random() % 1000) / 1000.0F - 0.5F;
    return PackF32(w.data(), rows, cols);
  }
  if (format <= kF16) {
    std::vector<uint16_t> w(count);
    for (auto& value : w) value = FloatToBF16(static_cast<float>(random() % 1000) / 1000.0F - 0.5F);
    return format == kF16 ? PackF16(w.data(), rows, cols) : PackBF16(w.data(), rows, cols);
  }
  CodeSpec spec;
  spec.bits = format <= kInt8AsF32 ? 8 : format == kInt3 ? 3 : format == kInt2 ? 2 : 4;
  spec.group = spec.bits == 8 ? 0 : format >= kInt3 ? 64 : 32;
  spec.zero_point = 1 << (spec.bits - 1);
  spec.levels = format == kNf4;
  if (format == kNf4) spec.scales = ScaleType::kF32;
  if (format == kInt3 || format == kInt2) spec.zeros = ZeroType::kInteger;
  std::vector<uint8_t> codes(count);
  for (auto& code : codes) code = static_cast<uint8_t>(random() % (1U << spec.bits));
  const auto scale_count = static_cast<size_t>(rows * spec.Groups(cols));
  const std::vector<uint16_t> scales(scale_count, FloatToHalf(0.01F));
  const std::vector<float> wide_scales(scale_count, 0.01F), levels(16, 0.5F);
  const std::vector<uint8_t> zeros(scale_count, 1);
  CodeArrays arrays;
  arrays.codes = codes.data();
  arrays.scales = format == kNf4 ? static_cast<const void*>(wide_scales.data()) : scales.data();
  arrays.zeros = zeros.data();
  arrays.levels = levels.data();
  return PackCodes(spec, arrays, rows, cols);
}

Activation ActivationOf(Format format) {
  if (format == kBF16) return Activation::kBF16;
  if (format == kInt8 || format == kInt4 || format == kInt3 || format == kInt2) return Activation::kInt8;
  return Activation::kF32;
}

void Multiply(benchmark::State& state) {
  const auto format = static_cast<Format>(state.range(0));
  const int64_t rows = state.range(1), cols = state.range(2), n = state.range(3);
  SetThreads(static_cast<int>(state.range(4)));
  // Several matrices in turn, so that one row's weights come from memory as in decoding.
  const int64_t copies = n == 1 ? std::max<int64_t>(1, (256 << 20) / (rows * cols * 4)) : 1;
  std::vector<PanelMatrix> matrices;
  for (int64_t i = 0; i < copies; ++i) matrices.push_back(Make(format, rows, cols));
  std::vector<float> x(static_cast<size_t>(n * cols), 0.5F);
  std::vector<float> y(static_cast<size_t>(n * rows));
  size_t next = 0;
  for (auto _ : state) {
    const PanelMatrix& w = matrices[next++ % matrices.size()];
    PanelMatmul(w, ActivationOf(format), x.data(), cols, n, y.data(), rows);
    benchmark::ClobberMemory();
  }
  const auto iterations = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(
      iterations * static_cast<double>(matrices[0].data.size() + matrices[0].scales.size()) / 1e9,
      benchmark::Counter::kIsRate);
  state.counters["Gflop/s"] = benchmark::Counter(iterations * 2e-9 * static_cast<double>(rows * cols * n),
                                                 benchmark::Counter::kIsRate);
  state.SetLabel(kNames[format]);
}

void Shapes(benchmark::internal::Benchmark* benchmark) {
  for (int format = kF32; format <= kNf4; ++format) {
    benchmark->Args({format, 1536, 576, 1, 2});
    benchmark->Args({format, 49152, 576, 1, 2});
    benchmark->Args({format, 1536, 576, 512, 2});
    benchmark->Args({format, 576, 1536, 512, 2});
  }
}

BENCHMARK(Multiply)->Apply(Shapes)->UseRealTime();

}  // namespace
}  // namespace tnb

BENCHMARK_MAIN();
