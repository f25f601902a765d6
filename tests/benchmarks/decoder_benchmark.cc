// Prefill and decoding of a decoder with the shape of SmolLM2-135M and random weights, in tokens/s: what a
// change of a kernel is worth in the end.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "models/engine/decoder.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

enum Format { kF32, kBF16, kInt8, kInt8G32, kInt4G32 };
const char* const kNames[] = {"fp32", "bf16", "int8", "int8g32", "int4g32"};

WeightPtr RandomWeight(Format format, int64_t rows, int64_t cols) {
  if (format == kF32) return MakeDenseWeight(at::randn({rows, cols}) * 0.04);
  if (format == kBF16)
    return MakeDenseWeight((at::randn({rows, cols}) * 0.04).to(at::kBFloat16), Activation::kBF16);
  CodedMatrix codes;
  codes.bits = format == kInt4G32 ? 4 : 8;
  codes.group = format == kInt8 ? 0 : 32;
  codes.codes = at::randint(1 << codes.bits, {rows, cols}, at::kByte);
  codes.scales =
      at::full({rows, codes.group == 0 ? 1 : (cols + 31) / 32}, 0.04 / (1 << (codes.bits - 1)), at::kHalf);
  return MakeCodedWeight(codes, Activation::kInt8);
}

const Model& SharedModel(Format format) {
  static Model model;
  static int made = -1;
  if (made == format) return model;
  ModelConfig config;
  config.vocabulary_size = 49152;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.block_count = 30;
  config.head_count = 9;
  config.kv_head_count = 3;
  config.head_size = 64;
  config.context_length = 2048;
  config.tied_head = true;
  at::manual_seed(1);
  model = BuildModel(
      config, [](const std::string&, int64_t size) { return at::ones({size}); },
      [&](const LinearSlot&, int64_t rows, int64_t cols) {
        return MakeDenseLinear(RandomWeight(format, rows, cols));
      });
  made = format;
  return model;
}

// Feeds `count` tokens in one piece after `depth` others, again and again.
void Feed(benchmark::State& state) {
  const auto format = static_cast<Format>(state.range(0));
  const int64_t count = state.range(1), depth = state.range(2);
  SetThreads(static_cast<int>(state.range(3)));
  const Model& model = SharedModel(format);
  const Decoder decoder(model);
  KvCache cache(model.config, depth + count);
  std::vector<CacheSpan> past;
  const auto feed = [&](int64_t tokens) {
    TokenRun run{TokenIds(static_cast<size_t>(tokens), 17), past, cache.Allocate(tokens)};
    const auto own = run.own;
    decoder.Logits(decoder.Forward({run}, cache, {tokens - 1}));
    return own;
  };
  if (depth > 0) past = feed(depth);
  for (auto _ : state) cache.Release(feed(count));
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * count), benchmark::Counter::kIsRate);
  state.SetLabel(kNames[format]);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  for (int format = kF32; format <= kInt4G32; ++format) {
    for (const int threads : {1, 2}) {
      benchmark->Args({format, 512, 0, threads});
      benchmark->Args({format, 1, 128, threads});
    }
  }
}

// One token after `depth` others whose slots in the cache lie `apart`: 4 as four beams leave them, 32 with no
// two in one panel of keys.
void FeedScattered(benchmark::State& state) {
  const int64_t depth = state.range(0), apart = state.range(1);
  const Model& model = SharedModel(kBF16);
  const Decoder decoder(model);
  KvCache cache(model.config, depth * apart + 1);
  cache.Allocate(depth * apart);
  std::vector<CacheSpan> past{{0, depth}};
  if (apart > 1) past.clear();
  for (int64_t i = 0; apart > 1 && i < depth; ++i) past.push_back({i * apart, 1});
  for (auto _ : state) {
    const std::vector<CacheSpan> own = cache.Allocate(1);
    const TokenRun run{TokenIds(1, 17), past, own};
    decoder.Logits(decoder.Forward({run}, cache, {0}));
    cache.Release(own);
  }
}

BENCHMARK(FeedScattered)->ArgsProduct({{128, 512}, {1, 4, 32}})->ArgNames({"depth", "apart"})->UseRealTime();
BENCHMARK(Feed)->Apply(Sizes)->ArgNames({"format", "tokens", "depth", "threads"})->UseRealTime();

}  // namespace
}  // namespace tnb

BENCHMARK_MAIN();
