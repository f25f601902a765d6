// Speed: a fresh process loads the artefact and times prefill (logits of the last token only) and decoding
// (one token at a time after a short prompt). Token ids are random with a fixed seed: speed does not depend
// on them. The file has been read once for its hash, so loading is from the system's file cache.
#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/stopwatch.h"
#include "harness/linear_times.h"
#include "harness/load.h"
#include "harness/measure.h"
#include "harness/memory.h"
#include "harness/phase.h"
#include "harness/workload.h"

namespace tnb {
namespace {

constexpr int kVariantRepetitions =
    2;  // of contracted and rebuilt, which are shown beside the automatic choice
constexpr int kLinearRepetitions = 3;      // of single linears
constexpr double kSlowDecodeSeconds = 10;  // beyond, rebuilt decoding is timed over fewer tokens
constexpr int64_t kShortDecode = 4;
// For the repetitions of one timing, so that a model with billions of parameters takes minutes and not hours.
constexpr double kBudget = 60, kVariantBudget = 20;

struct Sizes {
  std::vector<int64_t> prefill;
  int64_t decode = 0, prompt = 0;
  int repetitions = 1;
};

Timing PrefillTiming(Workload& work, int64_t count, const std::string& variant, Execution execution,
                     int repetitions) {
  return {.name = "prefill_" + std::to_string(count),
          .variant = variant,
          .tokens = count,
          .repetitions = repetitions,
          .run = [&work, count, execution] { return work.Prefill(0, count, execution); },
          .budget = variant.empty() ? kBudget : kVariantBudget};
}

Timing DecodeTiming(Workload& work, int64_t prompt, int64_t count, const std::string& variant,
                    Execution execution, int repetitions) {
  return {.name = "decode_" + std::to_string(count),
          .variant = variant,
          .tokens = count,
          .repetitions = repetitions,
          .run = [&work, count, execution, prompt] { return work.Decode(prompt, count, execution); },
          .budget = variant.empty() ? kBudget : kVariantBudget};
}

// What the artefact does when left alone.
std::vector<Timing> PlanTimings(Workload& work, const Sizes& sizes, Emitter& emit) {
  std::vector<Timing> timings;
  for (const int64_t count : sizes.prefill) {
    if (!work.Fits(count)) {
      emit.Log("warning",
               "prefill_" + std::to_string(count) + " was left out: the model's context is shorter");
      continue;
    }
    timings.push_back(PrefillTiming(work, count, "", Execution::kAutomatic, sizes.repetitions));
  }
  if (work.Fits(sizes.prompt + sizes.decode)) {
    timings.push_back(
        DecodeTiming(work, sizes.prompt, sizes.decode, "", Execution::kAutomatic, sizes.repetitions));
  } else {
    emit.Log("warning", "decode was left out: the model's context is too short");
  }
  return timings;
}

// Both ways of computing factorized linears, at the shortest prefill: contracting can cost many times the
// arithmetic of the dense matrix.
std::vector<Timing> PlanVariants(Workload& work, const Sizes& sizes) {
  std::vector<Timing> timings;
  const auto shortest = std::min_element(sizes.prefill.begin(), sizes.prefill.end());
  const int repetitions = std::min(sizes.repetitions, kVariantRepetitions);
  for (const Execution execution : {Execution::kContracted, Execution::kRebuilt}) {
    const std::string variant = execution == Execution::kContracted ? "contracted" : "rebuilt";
    if (shortest != sizes.prefill.end() && work.Fits(*shortest)) {
      timings.push_back(PrefillTiming(work, *shortest, variant, execution, repetitions));
    }
    if (!work.Fits(sizes.prompt + sizes.decode)) continue;
    const double one = work.Decode(sizes.prompt, 1, execution);
    if (one * kShortDecode > kVariantBudget) {
      timings.push_back(DecodeTiming(work, sizes.prompt, 1, variant, execution, 1));
      timings.back().warm_up = one;
      continue;
    }
    const bool slow = one * static_cast<double>(sizes.decode) > kSlowDecodeSeconds;
    timings.push_back(DecodeTiming(work, sizes.prompt, slow ? kShortDecode : sizes.decode, variant, execution,
                                   slow ? 1 : repetitions));
  }
  return timings;
}

void TimeLinearsOf(const Model& model, const Json& spec, const Sizes& sizes, Emitter& emit) {
  const auto shortest = std::min_element(sizes.prefill.begin(), sizes.prefill.end());
  TimeLinears(model, shortest == sizes.prefill.end() ? 1 : *shortest, kLinearRepetitions,
              Require<int64_t>(spec.at("settings"), "seed", "spec"), emit);
}

// Of the factorized linears, the share that the automatic choice contracts (the others it rebuilds).
void EmitChoice(const Model& model, int64_t tokens, const std::string& metric, Emitter& emit) {
  int64_t factorized = 0, contracted = 0;
  for (const LinearSlot* slot : model.Slots()) {
    if (!slot->linear->factorized()) continue;
    ++factorized;
    const auto cost = [&](Execution execution) {
      return slot->linear->CostOf(tokens, execution).multiply_adds;
    };
    contracted += cost(Execution::kAutomatic) == cost(Execution::kContracted) ? 1 : 0;
  }
  if (factorized == 0) return;
  emit.Emit({{"type", "metric"},
             {"name", "contracted_share"},
             {"variant", metric},
             {"value", static_cast<double>(contracted) / static_cast<double>(factorized)},
             {"unit", "fraction"},
             {"n", factorized}});
}

}  // namespace

void RunSpeed(const Json& spec, Emitter& emit) {
  const Json settings = Require<Json>(spec, "settings", "spec");
  const Sizes sizes = {.prefill = Require<std::vector<int64_t>>(settings, "prefill", "spec"),
                       .decode = Require<int64_t>(settings, "decode", "spec"),
                       .prompt = Require<int64_t>(settings, "decode_prompt", "spec"),
                       .repetitions = Require<int>(settings, "repetitions", "spec")};
  CheckArtefact(spec);
  std::vector<Sample> loads;
  const auto load = [&] {
    const auto start = Clock::now();
    auto model = std::make_unique<Model>(LoadArtefactOf(spec));
    const double seconds = SecondsSince(start);
    loads.push_back({.seconds = seconds, .value = seconds});
    return model;
  };
  std::unique_ptr<Model> model = load();
  EmitSettledMemory(emit);
  if (model->kernel() == Kernel::kSimulated) {
    throw NotMeasured(
        "the format is simulated: it has an accuracy, but no kernel whose time would mean anything");
  }
  const std::string kernel = ToString(model->kernel());
  {
    Workload work(*model, DeviceOf(spec), Require<int64_t>(settings, "seed", "spec"));
    RunTimings(PlanTimings(work, sizes, emit), emit);
    // Before the variants, whose intermediate results can be larger than the model.
    EmitBytes(emit, "resident_peak", PeakResidentBytes());
    if (model->factorized()) {
      RunTimings(PlanVariants(work, sizes), emit);
      if (DeviceOf(spec).is_cpu()) TimeLinearsOf(*model, spec, sizes, emit);
    }
  }
  for (const int64_t count : sizes.prefill)
    EmitChoice(*model, count, "prefill_" + std::to_string(count), emit);
  EmitChoice(*model, 1, "decode_" + std::to_string(sizes.decode), emit);
  emit.Log("info", "kernels: " + kernel);
  // Only now, because two models in memory would spoil the peak.
  for (int i = 1; i < sizes.repetitions && i * loads[0].seconds < kBudget; ++i) {
    model.reset();
    model = load();
  }
  EmitSamples(emit, "load_seconds", "", "s", loads);
}

}  // namespace tnb
