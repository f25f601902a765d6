// Decompositions: a 4096 x 4096 matrix to a two-core MPO of bond 200 by randomized subspace iteration, and
// what the whole singular value decomposition takes (LibTorch's), with the error of both over the least
// possible one.
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

BENCHMARK(Mpo)->Unit(benchmark::kSecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(ThreeCores)->Unit(benchmark::kSecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(WholeSvd)->Unit(benchmark::kSecond)->UseRealTime()->MeasureProcessCPUTime()->Iterations(1);

}  // namespace
}  // namespace tnb

BENCHMARK_MAIN();
