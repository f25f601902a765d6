// A whole training: step after step with a curve, checkpoints and an exact continuation.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "models/training/trainer.h"

namespace tnb {

// One step of the curve.
struct CurvePoint {
  int64_t step = 0;    // from 1
  int64_t tokens = 0;  // computed so far, padding included
  StepReport report{};
  double data_seconds = 0;  // making the batches of this step
  double seconds = 0;       // since the beginning; of a resumed training without the time between
  int64_t peak_bytes = 0;   // peak resident memory of the process, if the caller says so
};

// {"step": [...], "tokens": [...], "loss": [...] ...}: one list a quantity. Of more than `most` points every
// list holds means of equal runs of steps (tokens, seconds, step: their last), so that records stay small.
Json CurveToJson(const std::vector<CurvePoint>& curve, size_t most = 1000);

struct TrainingPlan {
  int64_t steps = 0;
  // The micro-batches of step `step` from 0; a function of the number alone.
  std::function<std::vector<TrainingBatch>(int64_t step)> batches;
  std::filesystem::path checkpoint{};  // where the state is kept meanwhile; empty: nowhere
  std::string key{};                // all that the training depends on; a checkpoint of another key is left
  double checkpoint_seconds = 300;  // between two
  std::function<void(CurvePoint& point)> on_step{};  // may fill peak_bytes; exceptions end the training
  bool keep_last = false;                            // the end of the training is kept as a checkpoint too
};

// Steps of `step_tokens` tokens: rounded, one at least.
int64_t StepsFor(int64_t tokens, int64_t step_tokens);

// Runs (or goes on with) a training to its end. When it diverges, the error names the checkpoint with the
// last finite state. A finished training leaves its last checkpoint to the caller to remove.
std::vector<CurvePoint> Train(Trainer& trainer, const TrainingPlan& plan);

}  // namespace tnb
