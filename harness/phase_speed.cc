// Speed: a fresh process loads the artefact and times prefill (logits of the last token only) and decoding
// (one token at a time after a short prompt). Token ids are random with a fixed seed: speed does not depend
// on them. The file has been read once for its hash, so loading is from the system's file cache.
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <random>

#include "base/error.h"
#include "harness/linear_times.h"
#include "harness/load.h"
#include "harness/measure.h"
#include "harness/memory.h"
#include "harness/phase.h"
#include "models/engine/decoder.h"

namespace tnb {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kVariantRepetitions =
    2;  // of contracted and rebuilt, which are shown beside the automatic choice
constexpr int kLinearRepetitions = 3;      // of single linears
constexpr double kSlowDecodeSeconds = 10;  // beyond, rebuilt decoding is timed over fewer tokens
constexpr int64_t kShortDecode = 4;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Waits for the device and keeps the computation from being left out.
void Use(const at::Tensor& logits) { logits.argmax(-1).item<int64_t>(); }

class Workload {
 public:
  Workload(const Model& model, at::Device device, int64_t seed)
      : decoder_(model, device),
        cache_(model.config, std::min<int64_t>(model.config.context_length, 1024), device) {
    std::mt19937_64 random(static_cast<uint64_t>(seed));
    std::uniform_int_distribution<TokenId> any(0, static_cast<TokenId>(model.config.vocabulary_size - 1));
    tokens_.resize(static_cast<size_t>(cache_.capacity()));
    for (TokenId& token : tokens_) token = any(random);
  }

  bool Fits(int64_t tokens) const { return tokens <= cache_.capacity(); }

  double Prefill(int64_t count, Execution execution) {
    decoder_.set_execution(execution);
    const auto start = Clock::now();
    Use(Feed(0, count));
    const double seconds = SecondsSince(start);
    Clear();
    return seconds;
  }

  // The prompt is not part of the time, and always computed in the automatic way.
  double Decode(int64_t prompt, int64_t count, Execution execution) {
    decoder_.set_execution(Execution::kAutomatic);
    Use(Feed(0, prompt));
    decoder_.set_execution(execution);
    const auto start = Clock::now();
    for (int64_t i = 0; i < count; ++i) Use(Feed(prompt + i, 1));
    const double seconds = SecondsSince(start);
    Clear();
    return seconds;
  }

 private:
  // Logits of the last of `count` tokens from position `begin` on.
  at::Tensor Feed(int64_t begin, int64_t count) {
    const std::vector<CacheSpan> own = cache_.Allocate(count);
    TokenRun run;
    run.tokens.assign(tokens_.begin() + begin, tokens_.begin() + begin + count);
    run.past = past_;
    run.own = own;
    const at::Tensor logits = decoder_.Logits(decoder_.Forward({run}, cache_, {count - 1}));
    for (const CacheSpan& span : own) {
      if (!past_.empty() && past_.back().begin + past_.back().count == span.begin) {
        past_.back().count += span.count;
      } else {
        past_.push_back(span);
      }
    }
    return logits;
  }

  void Clear() {
    cache_.Release(past_);
    past_.clear();
  }

  Decoder decoder_;
  KvCache cache_;
  TokenIds tokens_;
  std::vector<CacheSpan> past_;
};

struct Sizes {
  std::vector<int64_t> prefill;
  int64_t decode = 0, prompt = 0;
  int repetitions = 1;
};

Timing PrefillTiming(Workload& work, int64_t count, const std::string& variant, Execution execution,
                     int repetitions) {
  return {"prefill_" + std::to_string(count), variant, count, repetitions,
          [&work, count, execution] { return work.Prefill(count, execution); }};
}

Timing DecodeTiming(Workload& work, int64_t prompt, int64_t count, const std::string& variant,
                    Execution execution, int repetitions) {
  return {"decode_" + std::to_string(count), variant, count, repetitions,
          [&work, count, execution, prompt] { return work.Decode(prompt, count, execution); }};
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

void EmitBytes(Emitter& emit, const std::string& name, const std::optional<int64_t>& bytes) {
  if (bytes) emit.Metric(name, static_cast<double>(*bytes), "bytes");
}

}  // namespace

void RunSpeed(const Json& spec, Emitter& emit) {
  const Json settings = Require<Json>(spec, "settings", "spec");
  const Sizes sizes = {.prefill = Require<std::vector<int64_t>>(settings, "prefill", "spec"),
                       .decode = Require<int64_t>(settings, "decode", "spec"),
                       .prompt = Require<int64_t>(settings, "decode_prompt", "spec"),
                       .repetitions = Require<int>(settings, "repetitions", "spec")};
  CheckArtefact(spec);
  TrimAllocator();
  EmitBytes(emit, "resident_empty", ResidentBytes());
  std::vector<Sample> loads;
  const auto load = [&] {
    const auto start = Clock::now();
    auto model = std::make_unique<Model>(LoadArtefactOf(spec));
    const double seconds = SecondsSince(start);
    loads.push_back({.seconds = seconds, .value = seconds});
    return model;
  };
  std::unique_ptr<Model> model = load();
  TrimAllocator();
  EmitBytes(emit, "resident_settled", ResidentBytes());
  EmitBytes(emit, "proportional_settled", ProportionalBytes());
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
  for (int i = 1; i < sizes.repetitions; ++i) {
    model.reset();
    model = load();
  }
  EmitSamples(emit, "load_seconds", "", "s", loads);
}

}  // namespace tnb
