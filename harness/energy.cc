#include "harness/energy.h"

#include <chrono>
#include <fstream>

namespace tnb {
namespace {

std::optional<uint64_t> ReadNumber(const std::filesystem::path& file) {
  std::ifstream input(file);
  uint64_t value = 0;
  if (input >> value) return value;
  return std::nullopt;
}

}  // namespace

EnergyMeter::EnergyMeter(const std::filesystem::path& folder) {
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    std::string name;
    std::getline(std::ifstream(entry.path() / "name"), name);
    // "package-0"; its parts (core, dram) and the whole board (psys) would count twice.
    if (name.rfind("package", 0) != 0) continue;
    const auto range = ReadNumber(entry.path() / "max_energy_range_uj");
    const auto now = ReadNumber(entry.path() / "energy_uj");
    if (!range || !now) {
      why_ = (entry.path() / "energy_uj").string() + " cannot be read (on many systems only by root)";
      packages_.clear();
      return;
    }
    packages_.push_back({entry.path() / "energy_uj", *range, *now});
  }
  if (packages_.empty()) {
    why_ = "no counter in " + folder.string();
    return;
  }
  thread_ = std::thread([this] {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_.wait_for(lock, std::chrono::seconds(30), [this] { return stopping_; })) Update();
  });
}

EnergyMeter::~EnergyMeter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

std::optional<double> EnergyMeter::Joules() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (packages_.empty()) return std::nullopt;
  Update();
  if (lost_) return std::nullopt;
  return microjoules_ / 1e6;
}

void EnergyMeter::Update() {
  for (Package& package : packages_) {
    const auto now = ReadNumber(package.counter);
    if (!now) {
      lost_ = true;
      why_ = package.counter.string() + " cannot be read any more";
      continue;
    }
    microjoules_ +=
        static_cast<double>(*now >= package.last ? *now - package.last : package.range - package.last + *now);
    package.last = *now;
  }
}

}  // namespace tnb
