#include "harness/bench.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/stopwatch.h"
#include "harness/measure.h"
#include "models/engine/codebook.h"
#include "models/engine/panel_kernels.h"
#include "models/engine/parallel.h"
#include "models/engine/weight.h"

namespace tnb {
namespace {

// Larger than the last-level caches of today's processors.
constexpr int64_t kBeyondCaches = int64_t{256} << 20;
constexpr int64_t kFewTokens = 8;
const char kCodebooks[] = "codebook 2x8 g8";
// The best of at least so many, and of so much time: another program that interferes does not go on for as
// long.
constexpr int kTries = 5;
constexpr double kTrySeconds = 0.1;

template <typename Body>
double Seconds(const Body& body) {
  const auto start = Clock::now();
  body();
  return SecondsSince(start);
}

template <typename Body>
double Fastest(int64_t& tries, const Body& body) {
  double best = Seconds(body), total = best;
  int64_t done = 1;
  for (; done < kTries || total < kTrySeconds; ++done) {
    const double seconds = Seconds(body);
    best = std::min(best, seconds);
    total += seconds;
  }
  tries = std::min(tries, done);
  return best;
}

// AQLM's form: two codebooks of 256 entries of 8 columns, or of fewer where 8 do not divide them. Codes are
// not drawn: drawing those of many copies would take longer than timing them.
WeightPtr RandomCodebooks(int64_t rows, int64_t cols) {
  Codebooks books{.rows = rows, .cols = cols, .width = 8};
  while (cols % books.width != 0) --books.width;
  books.scales = at::full({rows}, 0.01, at::kHalf);
  for (int i = 0; i < 2; ++i) {
    CodebookStage stage;
    stage.words = 256;
    stage.values = at::randn({1, 1, 256, books.width}).to(at::kHalf);
    stage.codes = at::arange(books.vectors(), at::kLong).mul_(97 + 2 * i).bitwise_and_(255).to(at::kByte);
    books.stages.push_back(std::move(stage));
  }
  return MakeCodebookWeight(std::move(books));
}

WeightPtr RandomWeight(const std::string& format, int64_t rows, int64_t cols) {
  if (format == kCodebooks) return RandomCodebooks(rows, cols);
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

// The better of a plain sum of integers and of one row times a matrix.
double ReadRate(int64_t& tries) {
  AlignedBuffer memory(static_cast<size_t>(kBeyondCaches));
  auto* words = memory.as<uint64_t>();
  const int64_t count = kBeyondCaches / 8;
  std::fill_n(words, count, 1);
  std::atomic<uint64_t> wrong{0};
  const double sum_seconds = Fastest(tries, [&] {
    std::atomic<uint64_t> total{0};
    ParallelFor(count, 1 << 16, [&](int64_t begin, int64_t end) {
      uint64_t sum = 0;
      for (int64_t i = begin; i < end; ++i) sum += words[i];
      total += sum;
    });
    if (total != static_cast<uint64_t>(count)) ++wrong;
  });
  if (wrong != 0) throw Error(ErrorKind::kInternal, "the memory that was read is not what was written");
  constexpr int64_t kCols = 1024, kRows = kBeyondCaches / 4 / kCols;
  const WeightPtr weight = MakeDenseWeight(at::ones({kRows, kCols}));
  const at::Tensor x = at::randn({1, kCols});
  const double row_seconds = Fastest(tries, [&] { weight->Matmul(x); });
  return static_cast<double>(kBeyondCaches) / std::min(sum_seconds, row_seconds);
}

// The best rate of our own kernel at some shapes of linears, and of LibTorch's.
double MultiplyRate(const std::string& format, int64_t& tries) {
  double best = 0;
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1536, 576}, {1024, 1024}, {4096, 512}}) {
    constexpr int64_t kTokens = 480;
    const WeightPtr weight = RandomWeight(format, rows, cols);
    const at::Tensor x = at::randn({kTokens, cols});
    const double seconds = Fastest(tries, [&] { weight->Matmul(x); });
    best = std::max(best, 2.0 * static_cast<double>(rows * cols * kTokens) / seconds);
  }
  if (format == "int8") return best;
  const at::ScalarType dtype = format == "fp32" ? at::kFloat : at::kBFloat16;
  const at::Tensor a = at::randn({1024, 1024}).to(dtype), b = at::randn({1024, 1024}).to(dtype);
  at::Tensor c = at::mm(a, b);
  return std::max(best, 2.0 * 1024 * 1024 * 1024 / Fastest(tries, [&] { at::mm_out(c, a, b); }));
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
  MachineLimits limits{.threads = threads, .tries = std::numeric_limits<int64_t>::max()};
  limits.read_bytes = ReadRate(limits.tries);
  limits.f32 = MultiplyRate("fp32", limits.tries);
  if (kernels::HasBF16Dot()) limits.bf16 = MultiplyRate("bf16", limits.tries);
  limits.int8 = MultiplyRate("int8", limits.tries);
  return limits;
}

const std::vector<std::string>& KernelFormats() {
  static const std::vector<std::string> formats = {"fp32",     "bf16",     "fp16",    "int8",
                                                   "int8 g32", "int4 g32", kCodebooks};
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
                        if (weight.panels() == nullptr) {
                          weight.Matmul(x.narrow(0, 0, count));
                          continue;
                        }
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
