// Decompositions: a 4096 x 4096 matrix to a two-core MPO of bond 200 by randomized subspace iteration, and
// what the whole singular value decomposition takes (LibTorch's), with their errors; the matrices of
// LLaMA-2-7B at 60 % of their parameters.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "methods/factorize/chain.h"
#include "methods/factorize/randomized.h"

namespace tnb {
namespace {

constexpr int64_t kSize = 4096, kBond = 200;

at::Tensor Matrix() {
  at::manual_seed(1);
  return at::randn({kSize, kSize});
}

void Mpo(benchmark::State& state) {
  const at::Tensor w = Matrix();
  const ChainForm form({{64, 64}, {64, 64}}, {});
  double loss = 0;
  for (auto _ : state) loss = form.Cut(w, {.rank = kBond}).loss;
  state.counters["relative_error"] = std::sqrt(loss / SquaredNorm(w));
}

void WholeSvd(benchmark::State& state) {
  const at::Tensor w = Matrix();
  double rest = 0;
  for (auto _ : state) {
    const at::Tensor values = std::get<1>(at::linalg_svd(w, false));
    rest = SquaredNorm(values.narrow(0, kBond, kSize - kBond));
  }
  state.counters["relative_error"] = std::sqrt(rest / SquaredNorm(w));
}

void ThreeCores(benchmark::State& state) {
  const at::Tensor w = Matrix();
  const ChainForm form({{16, 16, 16}, {16, 16, 16}}, {});
  for (auto _ : state) benchmark::DoNotOptimize(form.Cut(w, {.rank = 80}).loss);
}

// The matrices of LLaMA-2-7B at 60 % of their parameters: 30 % of the values of the cut are kept.
void KeepSixty(benchmark::State& state, int64_t rows, int64_t cols) {
  at::manual_seed(1);
  const at::Tensor w = at::randn({rows, cols});
  const ChainForm form(ChooseLegs("auto", 2, rows, cols), {});
  double loss = 0;
  for (auto _ : state) loss = form.Cut(w, {.keep = 0.6}).loss;
  state.counters["relative_error"] = std::sqrt(loss / SquaredNorm(w));
}

BENCHMARK(Mpo)->Unit(benchmark::kSecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(ThreeCores)->Unit(benchmark::kSecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(KeepSixty, 4096x4096, 4096, 4096)
    ->Unit(benchmark::kSecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(KeepSixty, 11008x4096, 11008, 4096)
    ->Unit(benchmark::kSecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Iterations(1);
BENCHMARK(WholeSvd)->Unit(benchmark::kSecond)->UseRealTime()->MeasureProcessCPUTime()->Iterations(1);

}  // namespace
}  // namespace tnb

BENCHMARK_MAIN();
