#include "harness/bench_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/error.h"
#include "harness/measure.h"
#include "harness/weight_supply.h"
#include "harness/workload.h"
#include "models/engine/parallel.h"

namespace tnb {
namespace {

constexpr uint64_t kSeed = 1;

// What one pass over the model has to do at least.
struct Work {
  double bytes = 0;                // stored, read once
  double per_token = 0, head = 0;  // multiply-adds of a token, and of its logits
  std::string format{};            // of most weights
};

Work WorkOf(const Model& model) {
  Work work{.bytes = static_cast<double>(model.size().bytes)};
  for (const LinearSlot* slot : model.Slots()) {
    const auto cost = static_cast<double>(slot->linear->CostOf(1, Execution::kAutomatic).multiply_adds);
    if (slot->linear.get() == &model.HeadLinear()) {
      work.head = cost;
    } else if (slot->kind == LinearKind::kEmbedding) {
      work.bytes -= static_cast<double>(slot->linear->size().bytes);  // only some rows are looked up
    } else {
      work.per_token += cost;
    }
  }
  work.format = model.blocks.at(0).gate.linear->weight(0)->format();
  return work;
}

template <typename Visit>
void ForEachTest(const SweepRequest& request, const Visit& visit) {
  for (const int64_t depth : request.depths) {
    for (size_t i = 0; i < request.limits.size(); ++i) {
      for (const bool decoding : {false, true}) {
        for (const int64_t count : decoding ? request.decode : request.prefill) {
          if (depth + count > request.config.context_length) continue;
          visit(SweepTest{.decoding = decoding, .tokens = count, .depth = depth, .limits = i});
        }
      }
    }
  }
}

}  // namespace

std::string SweepTest::Name() const { return (decoding ? "decode_" : "prefill_") + std::to_string(tokens); }

std::string SweepTest::Title() const {
  return (decoding ? "tg" : "pp") + std::to_string(tokens) +
         (depth > 0 ? " @ d" + std::to_string(depth) : "");
}

int64_t SweepCapacity(const SweepRequest& request) {
  int64_t capacity = 0;
  ForEachTest(request,
              [&](const SweepTest& test) { capacity = std::max(capacity, test.depth + test.tokens); });
  if (capacity == 0) {
    throw Error(ErrorKind::kUsage,
                {"no test fits into the model's context",
                 std::to_string(request.config.context_length) + " tokens", "more", "-p, -n, -d", ""});
  }
  return capacity;
}

std::vector<SweepTest> MeasureSweep(const SweepRequest& request) {
  const int64_t capacity = SweepCapacity(request);
  std::vector<std::unique_ptr<Model>> models;
  std::vector<std::unique_ptr<Workload>> workloads;
  std::vector<SweepTest> tests;
  std::vector<Timing> timings;
  for (const std::string& method : request.methods) {
    Recipe recipe = ParseRecipe(method);
    ModelSource source;
    source.random_weights = true;
    const WeightSupply supply(request.config, source, kSeed, recipe);
    models.push_back(std::make_unique<Model>(CompressInMemory(supply, recipe)));
    workloads.push_back(
        std::make_unique<Workload>(*models.back(), at::kCPU, static_cast<int64_t>(kSeed), capacity));
    const Work work = WorkOf(*models.back());
    Workload& workload = *workloads.back();
    ForEachTest(request, [&](SweepTest test) {
      test.method = method;
      test.canonical = recipe.text;
      const MachineLimits& limits = request.limits[test.limits];
      const double passes = test.decoding ? static_cast<double>(test.tokens) : 1;
      const double operations = 2 * (work.per_token * static_cast<double>(test.tokens) + work.head * passes);
      test.least = limits.Least(work.bytes * passes, operations, work.format);
      timings.push_back({.name = test.Title(),
                         .tokens = test.tokens,
                         .repetitions = request.repetitions,
                         .run = [&workload, test, threads = limits.threads] {
                           SetThreads(threads);
                           return test.decoding
                                      ? workload.Decode(test.depth, test.tokens, Execution::kAutomatic)
                                      : workload.Prefill(test.depth, test.tokens, Execution::kAutomatic);
                         }});
      tests.push_back(std::move(test));
    });
  }
  if (request.twice) {
    const std::vector<Timing> once = timings;
    timings.insert(timings.end(), once.begin(), once.end());
  }
  const auto seconds = TimeInterleaved(timings, [] {});
  for (size_t i = 0; i < tests.size(); ++i) {
    tests[i].seconds = seconds[i];
    if (request.twice) tests[i].again = seconds[tests.size() + i];
  }
  return tests;
}

std::vector<std::pair<int64_t, int64_t>> LinearShapes(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  const std::set<std::pair<int64_t, int64_t>> shapes = {{config.head_count * config.head_size, hidden},
                                                        {config.kv_head_count * config.head_size, hidden},
                                                        {hidden, config.head_count * config.head_size},
                                                        {wide, hidden},
                                                        {hidden, wide},
                                                        {config.vocabulary_size, hidden}};
  return {shapes.begin(), shapes.end()};
}

}  // namespace tnb
