// Energy of the processor packages by the counters that Linux shows (RAPL, of Intel and AMD): joules of the
// whole machine, whoever computes, so that they mean something on a machine that does nothing else.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tnb {

// Counts from its construction on. A thread looks at the counters every half minute, because they begin anew
// when they are full (at 262 kJ on many machines: 11 minutes at 400 W).
class EnergyMeter {
 public:
  explicit EnergyMeter(const std::filesystem::path& folder = "/sys/class/powercap");
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter&) = delete;
  EnergyMeter& operator=(const EnergyMeter&) = delete;

  // Of all packages together; std::nullopt when there is no counter, or one cannot be read.
  std::optional<double> Joules();
  // Why there are none.
  const std::string& why() const { return why_; }

 private:
  struct Package {
    std::filesystem::path counter;
    uint64_t range = 0, last = 0;  // microjoules; the counter goes from 0 to range
  };
  void Update();

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false, lost_ = false;
  std::vector<Package> packages_;
  double microjoules_ = 0;
  std::string why_;
  std::thread thread_;
};

}  // namespace tnb
