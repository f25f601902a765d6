// Training: AdamW steps on one fixed batch of random tokens, the same for every method, so that step times
// and memory can be compared. Formats that store codes cannot be trained yet and say so.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "harness/load.h"
#include "harness/measure.h"
#include "harness/memory.h"
#include "harness/phase.h"
#include "models/engine/training.h"

namespace tnb {
namespace {

Trainer MakeTrainer(const Model& model) {
  try {
    return Trainer(model);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kUnsupported) throw NotMeasured(error.what());
    throw;
  }
}

struct Part {
  const char* name;
  double (*milliseconds)(const TrainingStepTimes&);
};

const Part kParts[] = {
    {"forward_ms", [](const TrainingStepTimes& step) { return 1e3 * step.forward_seconds; }},
    {"backward_ms", [](const TrainingStepTimes& step) { return 1e3 * step.backward_seconds; }},
    {"optimizer_ms", [](const TrainingStepTimes& step) { return 1e3 * step.optimizer_seconds; }},
    {"step_ms",
     [](const TrainingStepTimes& step) {
       return 1e3 * (step.forward_seconds + step.backward_seconds + step.optimizer_seconds);
     }},
};

}  // namespace

void RunTraining(const Json& spec, Emitter& emit) {
  const Json settings = Require<Json>(spec, "settings", "spec");
  const auto batch = Require<int64_t>(settings, "batch", "spec");
  const auto steps = Require<int64_t>(settings, "steps", "spec");
  if (DeviceOf(spec).is_cuda()) throw NotMeasured("training runs on the processor only");
  CheckArtefact(spec);
  const Model model = LoadArtefactOf(spec);
  const int64_t length =
      std::min(Require<int64_t>(settings, "length", "spec"), model.config.context_length - 1);
  Trainer trainer = MakeTrainer(model);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(Require<uint64_t>(settings, "seed", "spec"));
  const at::Tensor tokens =
      at::randint(model.config.vocabulary_size, {batch, length + 1}, generator, at::kLong);
  std::vector<TrainingStepTimes> times;
  for (int64_t step = 0; step <= steps; ++step) {
    const TrainingStepTimes taken = trainer.Step(tokens);
    if (!std::isfinite(taken.loss)) {
      throw Error(ErrorKind::kData,
                  {"the loss is not a number", "", "", "training step " + std::to_string(step), ""});
    }
    if (step > 0) times.push_back(taken);  // the first one warms up
    emit.Progress("", step + 1, steps + 1, "steps");
  }
  for (const Part& part : kParts) {
    std::vector<Sample> samples;
    for (const TrainingStepTimes& step : times) {
      samples.push_back({.seconds = part.milliseconds(step) / 1e3, .value = part.milliseconds(step)});
    }
    EmitSamples(emit, part.name, "", "ms", samples);
  }
  std::vector<Sample> rates;
  for (const TrainingStepTimes& step : times) {
    const double seconds = kParts[3].milliseconds(step) / 1e3;
    rates.push_back({.seconds = seconds, .value = static_cast<double>(batch * length) / seconds});
  }
  EmitSamples(emit, "training_tokens", "", "tokens/s", rates);
  emit.Metric("trained_parameters", static_cast<double>(trainer.parameters()), "parameters");
  emit.Metric("gradient_bytes", static_cast<double>(trainer.gradient_bytes()), "bytes");
  emit.Metric("optimizer_bytes", static_cast<double>(trainer.optimizer_bytes()), "bytes");
  EmitBytes(emit, "peak_resident", PeakResidentBytes());
  EmitSettledMemory(emit);
}

}  // namespace tnb
