// Reports and comparisons on a record of 500 runs and 100,000 items (tests/reports/large_record.h); a report
// has to come within 2 s.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "reports/compare.h"
#include "reports/report.h"
#include "tests/reports/large_record.h"

namespace tnb {
namespace {

// Written once; the file is removed at the end.
class Record {
 public:
  Record()
      : folder_(std::filesystem::temp_directory_path() / ("tnbench-record-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    Store store = Store::Open(folder_ / "r.db");
    testing::WriteLargeRecord(store);
  }
  ~Record() { std::filesystem::remove_all(folder_); }
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;
  std::filesystem::path file() const { return folder_ / "r.db"; }

 private:
  std::filesystem::path folder_;
};

const Record& TheRecord() {
  static const Record record;
  return record;
}

// From the closed file to text, as the command does it.
void Report(benchmark::State& state, ReportFormat format, ReportPivot pivot) {
  TheRecord();
  for (auto unused : state) {
    const Store store = Store::OpenReadOnly(TheRecord().file());
    ReportOptions options;
    options.pivot = pivot;
    options.mark_best = format == ReportFormat::kLatex;  // tests between the methods, on the items
    benchmark::DoNotOptimize(RenderReport(store, options, format));
  }
}
BENCHMARK_CAPTURE(Report, markdown, ReportFormat::kMarkdown, ReportPivot::kMethod)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Report, json, ReportFormat::kJson, ReportPivot::kMethod)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Report, latex, ReportFormat::kLatex, ReportPivot::kMethod)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Report, by_model, ReportFormat::kMarkdown, ReportPivot::kModel)
    ->Unit(benchmark::kMillisecond);

// One method against the base, on all ten models.
void Compare(benchmark::State& state) {
  TheRecord();
  for (auto unused : state) {
    const Store store = Store::OpenReadOnly(TheRecord().file());
    const auto side = [&](const std::string& method) {
      return ComparedSide{.label = method,
                          .store = &store,
                          .runs = store.Runs({.method = method, .newest_only = true}),
                          .one_method = true};
    };
    benchmark::DoNotOptimize(CompareSides(side("fp32"), side("method-7"), {}));
  }
}
BENCHMARK(Compare)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tnb

BENCHMARK_MAIN();
