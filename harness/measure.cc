#include "harness/measure.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "reports/statistics.h"

namespace tnb {
namespace {

// Keeps the seconds of every repetition by benchmark name; prints nothing.
class Keeper : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      if (run.error_occurred)
        throw Error(ErrorKind::kInternal, run.benchmark_name() + ": " + run.error_message);
      seconds_[run.run_name.function_name].push_back(run.real_accumulated_time /
                                                     static_cast<double>(run.iterations));
    }
  }
  const std::vector<double>& Of(const std::string& name) { return seconds_[name]; }

 private:
  std::map<std::string, std::vector<double>> seconds_;
};

// How many of the smallest (and largest) of n values lie outside of an interval that holds the median with at
// least 95 % probability: the largest k with 2 P(B < k) <= 0.05, B binomial (n, 1/2).
size_t OutsideMedianInterval(size_t n) {
  double term = 1;  // P(B = i)
  for (size_t i = 0; i < n; ++i) term /= 2;
  double below = 0;
  size_t k = 0;
  while (below + term <= 0.025) {
    below += term;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
    ++k;
  }
  return k == 0 ? 0 : k - 1;
}

}  // namespace

void RunTimings(const std::vector<Timing>& timings, Emitter& emit) {
  std::string program = "tnbench", interleave = "--benchmark_enable_random_interleaving=true";
  char* arguments[] = {program.data(), interleave.data(), nullptr};
  int count = 2;
  benchmark::Initialize(&count, arguments);
  benchmark::ClearRegisteredBenchmarks();
  int64_t done = 0, total = 0;
  for (const Timing& timing : timings) total += 1 + timing.repetitions;
  const auto progress = [&] { emit.Progress("", ++done, total, "repetitions"); };
  const auto id = [](size_t i) { return "timing" + std::to_string(i); };
  for (size_t i = 0; i < timings.size(); ++i) {
    timings[i].run();  // fills caches, touches memory, lets the kernels choose
    progress();
    benchmark::RegisterBenchmark(id(i).c_str(),
                                 [&, i](benchmark::State& state) {
                                   for ([[maybe_unused]] auto iteration : state) {
                                     state.SetIterationTime(timings[i].run());
                                   }
                                   progress();
                                 })
        ->UseManualTime()
        ->Iterations(1)
        ->Repetitions(timings[i].repetitions)
        ->Unit(benchmark::kSecond);
  }
  Keeper keeper;
  benchmark::RunSpecifiedBenchmarks(&keeper);
  benchmark::ClearRegisteredBenchmarks();
  for (size_t i = 0; i < timings.size(); ++i) {
    const std::vector<double>& seconds = keeper.Of(id(i));
    if (seconds.size() != static_cast<size_t>(timings[i].repetitions)) {
      throw Error(ErrorKind::kInternal, {"repetitions are missing", std::to_string(timings[i].repetitions),
                                         std::to_string(seconds.size()), timings[i].name, ""});
    }
    std::vector<Sample> samples;
    for (const double second : seconds) {
      samples.push_back({.seconds = second, .value = static_cast<double>(timings[i].tokens) / second});
    }
    EmitSamples(emit, timings[i].name, timings[i].variant, "tokens/s", samples);
  }
}

void EmitSamples(Emitter& emit, const std::string& name, const std::string& variant, const std::string& unit,
                 const std::vector<Sample>& samples) {
  Json rows = Json::array();
  std::vector<double> values;
  for (const Sample& sample : samples) {
    rows.push_back({{"benchmark", name},
                    {"variant", variant},
                    {"repetition", rows.size()},
                    {"seconds", sample.seconds},
                    {"value", sample.value},
                    {"unit", unit}});
    values.push_back(sample.value);
  }
  emit.Emit({{"type", "samples"}, {"rows", rows}});
  Json metric = {{"type", "metric"},        {"name", name}, {"variant", variant},
                 {"value", Median(values)}, {"unit", unit}, {"n", values.size()}};
  if (values.size() > 1) {
    std::sort(values.begin(), values.end());
    const size_t outside = OutsideMedianInterval(values.size());
    metric["lo"] = values[outside];
    metric["hi"] = values[values.size() - 1 - outside];
  }
  emit.Emit(metric);
}

}  // namespace tnb
