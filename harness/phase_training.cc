// Training: AdamW steps on fixed random tokens, the same for every method, so that step times and memory can
// be compared, in fp32 and with linears in bf16. Formats with codes train their scales, where they have any;
// a model with adapters trains these alone, as it was trained before.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/stopwatch.h"
#include "harness/load.h"
#include "harness/measure.h"
#include "harness/memory.h"
#include "harness/phase.h"
#include "models/training/trainer.h"

namespace tnb {
namespace {

struct StepTimes {
  double data = 0, forward = 0, backward = 0, optimizer = 0;  // seconds
  double Step() const { return data + forward + backward + optimizer; }
};

struct TrainingPart {
  const char* name;
  double (*seconds)(const StepTimes&);
};

const TrainingPart kParts[] = {
    {"data_ms", [](const StepTimes& step) { return step.data; }},
    {"forward_ms", [](const StepTimes& step) { return step.forward; }},
    {"backward_ms", [](const StepTimes& step) { return step.backward; }},
    {"optimizer_ms", [](const StepTimes& step) { return step.optimizer; }},
    {"step_ms", [](const StepTimes& step) { return step.Step(); }},
};

Trainer MakeTrainer(const Model& model, bool bf16) {
  TrainerOptions options{.last_rate = 1, .bf16 = bf16};
  const std::vector<const LinearSlot*> slots = model.Slots();
  if (std::any_of(slots.begin(), slots.end(), [](const auto* slot) { return slot->linear->adapted(); })) {
    options.norms = false;
    options.trains = [](const LinearSlot& slot, int64_t index) { return slot.linear->adapter(index); };
  }
  try {
    return Trainer(model, options);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kUsage) throw NotMeasured(error.what());  // nothing trains
    throw;
  }
}

StepTimes TimeStep(Trainer& trainer, const PackedDocuments& data, int64_t batch) {
  StepTimes times;
  const auto start = Clock::now();
  const TrainingBatch tokens = data.Batch(trainer.step(), batch);
  times.data = SecondsSince(start);
  const StepReport report = trainer.Step({tokens});
  times.forward = report.forward_seconds;
  times.backward = report.backward_seconds;
  times.optimizer = report.optimizer_seconds;
  return times;
}

void EmitTimes(Emitter& emit, const std::string& variant, const std::vector<StepTimes>& times,
               int64_t tokens) {
  for (const TrainingPart& part : kParts) {
    std::vector<Sample> samples;
    for (const StepTimes& step : times) {
      samples.push_back({.seconds = part.seconds(step), .value = 1e3 * part.seconds(step)});
    }
    EmitSamples(emit, part.name, variant, "ms", samples);
  }
  std::vector<Sample> rates;
  for (const StepTimes& step : times) {
    rates.push_back({.seconds = step.Step(), .value = static_cast<double>(tokens) / step.Step()});
  }
  EmitSamples(emit, "training_tokens", variant, "tokens/s", rates);
}

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
  auto generator = at::make_generator<at::CPUGeneratorImpl>(Require<uint64_t>(settings, "seed", "spec"));
  const at::Tensor random =
      at::randint(model.config.vocabulary_size, {batch * length + 1}, generator, at::kInt);
  const TrainingDocument document = {
      TokenIds(random.const_data_ptr<int32_t>(), random.const_data_ptr<int32_t>() + random.numel()), {}};
  const PackedDocuments data({document}, length, 0);
  int64_t done = 0;
  for (const bool bf16 : {false, true}) {
    Trainer trainer = MakeTrainer(model, bf16);
    std::vector<StepTimes> times;
    for (int64_t step = 0; step <= steps; ++step) {
      const StepTimes taken = TimeStep(trainer, data, batch);
      if (step > 0) times.push_back(taken);  // the first one warms up
      emit.Progress("", ++done, 2 * (steps + 1), "steps");
    }
    EmitTimes(emit, bf16 ? "bf16" : "", times, batch * length);
    if (bf16) continue;
    const auto bytes = [&](const char* name, int64_t value) {
      emit.Metric(name, static_cast<double>(value), "bytes");
    };
    emit.Metric("trained_parameters", static_cast<double>(trainer.parameters()), "parameters");
    bytes("gradient_bytes", trainer.gradient_bytes());
    bytes("optimizer_bytes", trainer.optimizer_bytes());
    // What each of several data-parallel workers puts into the sum of all gradients, once a step.
    bytes("all_reduce_bytes", trainer.gradient_bytes());
    EmitBytes(emit, "peak_resident", PeakResidentBytes());
    EmitSettledMemory(emit);
  }
}

}  // namespace tnb
