// What the compress phase does with stages beyond the streaming of single linears: letting them look at the
// model beforehand, and applying those that need the whole model in memory.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "harness/calibration.h"
#include "harness/phase.h"
#include "methods/recipe.h"

namespace tnb {

// Lets every stage of the range find out what it has to know. The model is read as often as the stages ask.
void PrepareStages(Recipe& recipe, StageRange range, const ModelParts& parts, CalibrationService& texts,
                   Emitter& emit);

class WholeModelWork {
 public:
  // `artefact`: trainings keep their checkpoints beside it, so that a killed compress phase goes on with
  // them.
  explicit WholeModelWork(std::filesystem::path artefact) : artefact_(std::move(artefact)) {}

  // What was done: by stages on linears to one of them, and by a stage on the whole model.
  struct Sink {
    std::function<void(const LinearSlot& slot, const std::vector<LayerOutcome>& outcomes)> linear;
    std::function<void(size_t stage, double seconds, const Json& detail)> stage;
  };
  // Applies the stages from `first` on, one that changes the whole model, then those on linears after it, and
  // so on. `original`: the uncompressed model; `texts`: of its source.
  void Apply(Recipe& recipe, size_t first, Model& model, const ModelParts& original,
             CalibrationService& texts, Emitter& emit, const Sink& sink);
  // Call when the artefact is complete.
  void RemoveCheckpoints() const;

 private:
  std::filesystem::path artefact_;
  std::vector<std::filesystem::path> checkpoints_;
};

}  // namespace tnb
