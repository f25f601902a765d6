#include "harness/linear_times.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <tuple>

#include "base/stopwatch.h"

namespace tnb {
namespace {

constexpr size_t kStructuresAKind = 3;
constexpr double kBudgetSeconds = 20;  // beyond, one repetition has to do

// Contracted and rebuilt arithmetic, shape and storage.
using Structure = std::tuple<int64_t, int64_t, int64_t, int64_t, std::string>;

Structure StructureOf(const Linear& linear) {
  return {linear.CostOf(1, Execution::kContracted).multiply_adds,
          linear.CostOf(1, Execution::kRebuilt).multiply_adds, linear.out_features(), linear.in_features(),
          linear.Describe()};
}

struct Timed {
  std::string benchmark, variant;
  const Linear* linear;
  at::Tensor x;
  Execution execution;
  Json rows = Json::array();

  double Run() const {
    const auto start = Clock::now();
    const at::Tensor y = linear->Forward(x, execution);
    return SecondsSince(start);
  }
};

}  // namespace

Json LinearCostJson(const Linear& linear) {
  if (!linear.factorized()) return nullptr;
  return {{"contracted", linear.CostOf(1, Execution::kContracted).multiply_adds},
          {"rebuilt", linear.CostOf(1, Execution::kRebuilt).multiply_adds},
          {"dense", linear.out_features() * linear.in_features()}};
}

std::vector<const LinearSlot*> LinearsToTime(const Model& model) {
  std::map<LinearKind, std::map<Structure, const LinearSlot*>> kinds;
  for (const LinearSlot* slot : model.Slots()) {
    if (slot->linear && slot->linear->factorized())
      kinds[slot->kind].emplace(StructureOf(*slot->linear), slot);
  }
  std::vector<const LinearSlot*> chosen;
  for (const auto& [kind, structures] : kinds) {
    std::set<size_t> places;
    for (size_t i = 0; i < kStructuresAKind; ++i) {
      places.insert((structures.size() - 1) * i / (kStructuresAKind - 1));
    }
    for (const size_t place : places) {
      chosen.push_back(std::next(structures.begin(), static_cast<std::ptrdiff_t>(place))->second);
    }
  }
  return chosen;
}

void TimeLinears(const Model& model, int64_t tokens, int repetitions, int64_t seed, Emitter& emit) {
  const c10::InferenceMode mode;
  auto random = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed));
  std::vector<Timed> timings;
  for (const LinearSlot* slot : LinearsToTime(model)) {
    for (const int64_t count : std::set<int64_t>{1, tokens}) {
      const at::Tensor x = at::randn({count, slot->linear->in_features()}, random, at::kFloat);
      for (const Execution execution : {Execution::kContracted, Execution::kRebuilt}) {
        timings.push_back({.benchmark = "linear " + slot->name,
                           .variant = ToString(execution) + " " + std::to_string(count),
                           .linear = slot->linear.get(),
                           .x = x,
                           .execution = execution});
      }
    }
  }
  const auto total = static_cast<int64_t>(timings.size()) * (1 + repetitions);
  int64_t done = 0;
  const auto start = Clock::now();
  for (int repetition = -1; repetition < repetitions; ++repetition) {
    const double taken = SecondsSince(start);
    if (repetition > 0 && taken > kBudgetSeconds) break;
    for (Timed& timed : timings) {
      const double seconds = timed.Run();
      emit.Progress("linears", ++done, total, "repetitions");
      if (repetition < 0) continue;
      timed.rows.push_back({{"benchmark", timed.benchmark},
                            {"variant", timed.variant},
                            {"repetition", repetition},
                            {"seconds", seconds},
                            {"value", seconds},
                            {"unit", "s"}});
    }
  }
  for (const Timed& timed : timings) emit.Emit({{"type", "samples"}, {"rows", timed.rows}});
}

}  // namespace tnb
