// Reporting on a large record must not take longer than looking at it; tests/benchmarks measures how long.
#include <ctime>

#include "reports/report.h"
#include "tests/reports/large_record.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

TEST_CASE("a report on 500 runs and 100,000 items takes less than two seconds") {
  const testing::TemporaryFolder folder;
  Store store = Store::Open(folder / "r.db");
  testing::WriteLargeRecord(store);
  for (const bool mark_best : {false, true}) {
    ReportOptions options;
    options.mark_best = mark_best;
    const std::clock_t start = std::clock();  // of the processor: the machine may be busy otherwise
    CHECK(BuildReport(store, options).size() == 10);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    INFO((mark_best ? "with" : "without") << " tests between methods: " << seconds << " s");
    CHECK(seconds < 2);
  }
}

}  // namespace
}  // namespace tnb
