// A record as large as that of a paper: 500 runs of ten models with 100,000 items, and everything else that
// runs leave behind. Shared by the test and the benchmark of reports.
#pragma once

#include <string>
#include <vector>

#include "tests/records/sample.h"

namespace tnb::testing {

inline constexpr int kLargeRuns = 500, kLargeItems = 200;  // items a run, in four tasks

inline void WriteLargeRun(Store& store, int index, int64_t protocol) {
  const std::string model = "model-" + std::to_string(index / 50);
  const std::string method = index % 50 == 0 ? "fp32" : "method-" + std::to_string(index % 50);
  const int64_t run = BeginSampleRun(store, method, {{"seed", 1}}, model);
  const int64_t compress = store.BeginPhase({.run_id = run, .name = "compress"});
  for (const char* name : {"stored_bytes", "fp32_bytes", "fp16_bytes", "peak_resident"}) {
    store.AddMetric({.phase_id = compress, .name = name, .value = 1e8 + index, .unit = "bytes"});
  }
  std::vector<LayerRow> layers;
  for (int i = 0; i < 100; ++i) {
    layers.push_back({.phase_id = compress, .name = "blocks." + std::to_string(i), .relative_error = 0.01});
  }
  store.AddLayers(layers);
  store.FinishPhase(compress, {});
  const int64_t quality = store.BeginPhase({.run_id = run, .name = "quality"});
  for (int task = 0; task < 4; ++task) {
    const std::string name = "task-" + std::to_string(task);
    std::vector<ItemRow> items;
    int right = 0;
    for (int i = 0; i < kLargeItems / 4; ++i) {
      const bool good = (i * 7919 + index * 31 + task) % 100 < 60;
      right += good ? 1 : 0;
      items.push_back({.phase_id = quality,
                       .task = name,
                       .doc_index = i,
                       .prompt = std::string(1000, 'x'),
                       .loglikelihoods = {-1.5, -2.5},
                       .scores = {{"acc", good ? 1.0 : 0.0}, {"acc_norm", 0.0}}});
    }
    store.AddItems(items);
    for (const std::string metric : {"acc", "acc_norm"}) {
      store.AddMetric({.phase_id = quality,
                       .name = metric,
                       .task = name,
                       .filter = "none",
                       .value = right * 4.0 / kLargeItems,
                       .unit = "fraction",
                       .n = kLargeItems / 4,
                       .se = 0.07,
                       .main = metric == "acc",
                       .protocol_id = protocol});
    }
  }
  store.FinishPhase(quality, {});
  const int64_t speed = store.BeginPhase({.run_id = run, .name = "speed"});
  for (const std::string name : {"prefill_128", "prefill_512", "decode_64"}) {
    for (const std::string variant : {"", "contracted", "rebuilt"}) {
      store.AddMetric({.phase_id = speed,
                       .name = name,
                       .variant = variant,
                       .value = 10.0 + index,
                       .unit = "tokens/s",
                       .n = 5});
      std::vector<SampleRow> samples;
      for (int i = 0; i < 5; ++i) {
        samples.push_back({.phase_id = speed,
                           .benchmark = name,
                           .variant = variant,
                           .repetition = i,
                           .seconds = 0.5 + i,
                           .value = 10.0 + index + i,
                           .unit = "tokens/s"});
      }
      store.AddSamples(samples);
    }
  }
  store.FinishPhase(speed, {});
  store.FinishRun(run, RunStatus::kOk);
}

inline void WriteLargeRecord(Store& store) {
  store.Transaction([&] {
    const int64_t protocol = store.PutProtocol({.name = "four", .content = {{"shots", 0}}});
    for (int run = 0; run < kLargeRuns; ++run) WriteLargeRun(store, run, protocol);
  });
}

}  // namespace tnb::testing
