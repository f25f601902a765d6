#include "harness/bench.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "harness/measure.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"
#include "models/engine/weight.h"

namespace tnb {
namespace {

// Larger than the last-level caches of today's processors.
constexpr int64_t kBeyondCaches = int64_t{256} << 20;
constexpr int64_t kFewTokens = 8;
constexpr int kTries = 5;

template <typename Body>
double Seconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <typename Body>
double Fastest(const Body& body) {
  double best = Seconds(body);
  for (int i = 1; i < kTries; ++i) best = std::min(best, Seconds(body));
  return best;
}

double ReadRate() {
  AlignedBuffer memory(static_cast<size_t>(kBeyondCaches));
  auto* words = memory.as<uint64_t>();
  const int64_t count = kBeyondCaches / 8;
  std::fill_n(words, count, 1);
  std::atomic<uint64_t> total{0};
  const double seconds = Fastest([&] {
    ParallelFor(count, 1 << 16, [&](int64_t begin, int64_t end) {
      uint64_t sum = 0;
      for (int64_t i = begin; i < end; ++i) sum += words[i];
      total += sum;
    });
  });
  if (total != static_cast<uint64_t>(kTries * count)) {
    throw Error(ErrorKind::kInternal, "the memory that was read is not what was written");
  }
  return static_cast<double>(kBeyondCaches) / seconds;
}

WeightPtr RandomWeight(const std::string& format, int64_t rows, int64_t cols) {
  const auto values = [&] { return at::randn({rows, cols}) / std::sqrt(static_cast<double>(cols)); };
  if (format == "fp32") return MakeDenseWeight(values());
  if (format == "fp16") return MakeDenseWeight(values().to(at::kHalf));
  if (format == "bf16") return MakeDenseWeight(values().to(at::kBFloat16), Activation::kBF16);
  CodedMatrix codes;
  codes.bits = format == "int4 g32" ? 4 : 8;
  codes.group = format == "int8" ? 0 : 32;
  codes.codes = at::randint(1 << codes.bits, {rows, cols}, at::kByte);
  codes.scales = at::full({rows, codes.group == 0 ? 1 : (cols + 31) / 32}, 0.01, at::kHalf);
  return MakeCodedWeight(codes, Activation::kInt8);
}

// The best rate of our own kernel, with all that it reads in the caches, and of LibTorch's.
double MultiplyRate(const std::string& format, int threads) {
  constexpr int64_t kRows = 32 * kPanelRows, kCols = 128, kTokens = 60, kTimes = 100;
  const WeightPtr weight = RandomWeight(format, kRows, kCols);
  const at::Tensor x = at::randn({kTokens, kCols});
  const double own = Fastest([&] {
    ParallelFor(threads, 0, [&](int64_t begin, int64_t end) {
      std::vector<float> y(static_cast<size_t>(kTokens * kRows));
      const PanelProduct product{weight->panels(), y.data(), kRows};
      for (int64_t i = begin * kTimes; i < end * kTimes; ++i) {
        PanelMatmul({&product, 1}, weight->activation(), x.const_data_ptr<float>(), kCols, kTokens);
      }
    });
  });
  const double rate = 2.0 * kRows * kCols * kTokens * kTimes * threads / own;
  if (format == "int8") return rate;
  const at::ScalarType dtype = format == "fp32" ? at::kFloat : at::kBFloat16;
  const at::Tensor a = at::randn({1024, 1024}).to(dtype), b = at::randn({1024, 1024}).to(dtype);
  at::Tensor c = at::mm(a, b);
  return std::max(rate, 2.0 * 1024 * 1024 * 1024 / Fastest([&] { at::mm_out(c, a, b); }));
}

}  // namespace

double MachineLimits::Operations(const std::string& format) const {
  if (format.rfind("int", 0) == 0 && format.find("act=fp32") == std::string::npos) return int8;
  return format == "bf16" && bf16 > 0 ? bf16 : f32;
}

double MachineLimits::Least(double bytes, double operations, const std::string& format) const {
  return std::max(bytes / read_bytes, operations / Operations(format));
}

MachineLimits MeasureLimits(int threads) {
  SetThreads(threads);
  MachineLimits limits{.threads = threads};
  limits.read_bytes = ReadRate();
  limits.f32 = MultiplyRate("fp32", threads);
  if (kernels::HasBF16Dot()) limits.bf16 = MultiplyRate("bf16", threads);
  limits.int8 = MultiplyRate("int8", threads);
  return limits;
}

const std::vector<std::string>& KernelFormats() {
  static const std::vector<std::string> formats = {"fp32", "bf16", "fp16", "int8", "int8 g32", "int4 g32"};
  return formats;
}

std::vector<KernelTime> MeasureKernels(const std::string& format, int64_t rows, int64_t cols,
                                       const std::vector<int64_t>& tokens,
                                       const std::vector<MachineLimits>& limits, int repetitions) {
  const int64_t most = *std::max_element(tokens.begin(), tokens.end());
  const bool few = *std::min_element(tokens.begin(), tokens.end()) <= kFewTokens;
  std::vector<WeightPtr> copies{RandomWeight(format, rows, cols)};
  const int64_t bytes = copies[0]->size().bytes;
  while (few && static_cast<int64_t>(copies.size()) * bytes < kBeyondCaches / 2) {
    copies.push_back(RandomWeight(format, rows, cols));
  }
  const at::Tensor x = at::randn({most, cols});
  at::Tensor y = at::empty({most, rows});
  std::vector<Timing> timings;
  std::vector<KernelTime> times;
  for (size_t i = 0; i < limits.size(); ++i) {
    for (const int64_t count : tokens) {
      const auto used = count <= kFewTokens ? static_cast<int64_t>(copies.size()) : 1;
      const int threads = limits[i].threads;
      timings.push_back(
          {.name = format, .tokens = count, .repetitions = repetitions, .run = [&, used, count, threads] {
             SetThreads(threads);
             return Seconds([&] {
                      for (int64_t c = 0; c < used; ++c) {
                        const Weight& weight = *copies[static_cast<size_t>(c)];
                        PanelMatmul(*weight.panels(), weight.activation(), x.const_data_ptr<float>(), cols,
                                    count, y.mutable_data_ptr<float>(), rows);
                      }
                    }) /
                    static_cast<double>(used);
           }});
      times.push_back({format, rows, cols, count, i, bytes, {}});
    }
  }
  const auto seconds = TimeInterleaved(timings, [] {});
  for (size_t i = 0; i < times.size(); ++i) times[i].seconds = seconds[i];
  return times;
}

}  // namespace tnb
