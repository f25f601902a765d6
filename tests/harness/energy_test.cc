// Energy counters as files of a folder that the test writes.
#include "harness/energy.h"

#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

void WriteCounter(const std::filesystem::path& folder, const std::string& name,
                  const std::string& microjoules) {
  std::filesystem::create_directories(folder);
  testing::WriteText(folder / "name", name + "\n");
  testing::WriteText(folder / "max_energy_range_uj", "262143328850\n");
  if (!microjoules.empty()) testing::WriteText(folder / "energy_uj", microjoules + "\n");
}

TEST_CASE("energy is the sum of the packages, and goes on when a counter begins anew") {
  const testing::TemporaryFolder folder;
  WriteCounter(folder / "intel-rapl:0", "package-0", "1000000");
  WriteCounter(folder / "intel-rapl:1", "package-1", "262143000000");
  WriteCounter(folder / "intel-rapl:0:0", "core", "5000000");
  WriteCounter(folder / "intel-rapl:2", "psys", "7000000");
  EnergyMeter meter(folder.path());
  CHECK(meter.Joules() == 0.0);
  WriteCounter(folder / "intel-rapl:0", "package-0", "3500000");
  CHECK(meter.Joules().value_or(-1) == Approx(2.5));
  WriteCounter(folder / "intel-rapl:0:0", "core", "9000000");  // part of package-0
  WriteCounter(folder / "intel-rapl:2", "psys", "90000000");
  WriteCounter(folder / "intel-rapl:1", "package-1", "671150");  // 328,850 to the end, and on
  CHECK(meter.Joules().value_or(-1) == Approx(3.5));
  std::filesystem::remove(folder / "intel-rapl:1" / "energy_uj");
  CHECK_FALSE(meter.Joules());
  CHECK_THAT(meter.why(), Contains("cannot be read any more"));
}

TEST_CASE("no energy is not a number, and says why") {
  const testing::TemporaryFolder folder;
  EnergyMeter none(folder.path());
  CHECK_FALSE(none.Joules());
  CHECK_THAT(none.why(), Contains("no counter in"));
  EnergyMeter absent(folder / "nothing");
  CHECK_FALSE(absent.Joules());
  WriteCounter(folder / "intel-rapl:0", "package-0", "");
  EnergyMeter closed(folder.path());
  CHECK_FALSE(closed.Joules());
  CHECK_THAT(closed.why(), Contains("only by root"));
}

}  // namespace
}  // namespace tnb
