#include "harness/measure.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/progress.h"
#include "harness/memory.h"
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

std::vector<std::vector<double>> TimeInterleaved(const std::vector<Timing>& timings,
                                                 const std::function<void()>& progress) {
  std::string program = "tnbench", interleave = "--benchmark_enable_random_interleaving=true";
  char* arguments[] = {program.data(), interleave.data(), nullptr};
  int count = 2;
  benchmark::Initialize(&count, arguments);
  benchmark::ClearRegisteredBenchmarks();
  const auto id = [](size_t i) { return "timing" + std::to_string(i); };
  std::vector<double> warm_ups;
  std::vector<int> repetitions;
  for (size_t i = 0; i < timings.size(); ++i) {
    const Timing& timing = timings[i];
    // Fills caches, touches memory, lets the kernels choose.
    warm_ups.push_back(timing.warm_up > 0 ? timing.warm_up : timing.run());
    repetitions.push_back(timing.repetitions);
    if (timing.budget > 0) {
      const double most = std::min<double>(timing.budget / warm_ups[i], timing.repetitions);
      repetitions[i] = static_cast<int>(most);
    }
    for (int left_out = repetitions[i]; left_out < timing.repetitions; ++left_out) progress();
    progress();
    if (repetitions[i] == 0) continue;
    benchmark::RegisterBenchmark(id(i).c_str(),
                                 [&, i](benchmark::State& state) {
                                   for ([[maybe_unused]] auto iteration : state) {
                                     state.SetIterationTime(timings[i].run());
                                   }
                                   progress();
                                 })
        ->UseManualTime()
        ->Iterations(1)
        ->Repetitions(repetitions[i])
        ->Unit(benchmark::kSecond);
  }
  Keeper keeper;
  const auto some = [](int count) { return count > 0; };
  // With none registered it would complain.
  if (std::any_of(repetitions.begin(), repetitions.end(), some)) benchmark::RunSpecifiedBenchmarks(&keeper);
  benchmark::ClearRegisteredBenchmarks();
  std::vector<std::vector<double>> all;
  for (size_t i = 0; i < timings.size(); ++i) {
    all.push_back(repetitions[i] == 0 ? std::vector<double>{warm_ups[i]} : keeper.Of(id(i)));
    if (all[i].size() != static_cast<size_t>(std::max(1, repetitions[i]))) {
      throw Error(ErrorKind::kInternal, {"repetitions are missing", std::to_string(repetitions[i]),
                                         std::to_string(all[i].size()), timings[i].name, ""});
    }
  }
  return all;
}

void RunTimings(const std::vector<Timing>& timings, Emitter& emit) {
  int64_t done = 0, total = 0;
  for (const Timing& timing : timings) total += 1 + timing.repetitions;
  const auto all = TimeInterleaved(timings, [&] { emit.Progress("", ++done, total, "repetitions"); });
  for (size_t i = 0; i < timings.size(); ++i) {
    std::vector<Sample> samples;
    for (const double second : all[i]) {
      samples.push_back({.seconds = second, .value = static_cast<double>(timings[i].tokens) / second});
    }
    const Timing& timing = timings[i];
    if (samples.size() < static_cast<size_t>(timing.repetitions)) {
      emit.Log("warning", timing.name + (timing.variant.empty() ? "" : " ") + timing.variant + ": " +
                              std::to_string(samples.size()) + " of " + std::to_string(timing.repetitions) +
                              " repetitions, because one takes " + FormatDuration(samples[0].seconds));
    }
    EmitSamples(emit, timing.name, timing.variant, "tokens/s", samples);
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

void EmitBytes(Emitter& emit, const std::string& name, const std::optional<int64_t>& bytes) {
  if (bytes) emit.Metric(name, static_cast<double>(*bytes), "bytes");
}

void EmitSettledMemory(Emitter& emit) {
  TrimAllocator();
  EmitBytes(emit, "resident_settled", ResidentBytes());
  EmitBytes(emit, "proportional_settled", ProportionalBytes());
}

}  // namespace tnb
