#include "verify/kicked_ising.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numbers>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/stopwatch.h"
#include "verify/graph_peps.h"
#include "verify/ising_reference_json.h"

namespace tnb {

double IsingAngle(int m) { return m * std::numbers::pi / 32; }

IsingPoint RunKickedIsing(const Lattice& lattice, int steps, int m, int chi, std::optional<int> site) {
  const auto start = Clock::now();
  GraphPeps state(lattice, chi);
  for (int step = 0; step < steps; ++step) {
    state.RotateX(IsingAngle(m));
    state.CoupleZ(std::numbers::pi / 4);
  }
  IsingPoint point{.m = m, .chi = chi};
  point.value = site ? state.Z(*site) : state.MeanZ();
  point.largest_bond = state.LargestBond();
  point.largest_discarded = state.largest_discarded();
  point.seconds = SecondsSince(start);
  return point;
}

std::vector<std::vector<IsingPoint>> RunKickedIsing(const Lattice& lattice, int steps,
                                                    const std::vector<int>& chis, std::optional<int> site,
                                                    int threads, const std::function<void()>& done) {
  std::vector<std::vector<IsingPoint>> points(chis.size(), std::vector<IsingPoint>(kIsingAngles));
  const size_t count = chis.size() * kIsingAngles;
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (size_t i; (i = next++) < count;) {
        const size_t chi = i / kIsingAngles, m = i % kIsingAngles;
        points[chi][m] = RunKickedIsing(lattice, steps, static_cast<int>(m), chis[chi], site);
        const std::lock_guard lock(mutex);
        if (done) done();
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  if (failure) std::rethrow_exception(failure);
  return points;
}

std::optional<IsingReference> FindIsingReference(int sites, int steps, std::optional<int> site) {
  const Json file = ParseJson(kIsingReferenceJson, "ising_reference.json");
  for (const Json& entry : file.at("series")) {
    IsingReference reference;
    reference.observable = entry.at("observable");
    reference.sites = entry.at("sites");
    reference.steps = entry.at("steps");
    if (entry.contains("site")) reference.site = entry.at("site").get<int>();
    if (reference.sites != sites || reference.steps != steps || reference.site != site) continue;
    reference.values = entry.at("values").get<std::vector<double>>();
    reference.source = entry.at("source");
    reference.exact_chi = entry.value("exact_chi", 0);
    reference.tolerance = entry.value("tolerance", 0.0);
    if (reference.values.size() != kIsingAngles) {
      throw Error(ErrorKind::kInternal, "ising_reference.json: a series has not 17 values");
    }
    return reference;
  }
  return std::nullopt;
}

}  // namespace tnb
