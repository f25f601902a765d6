// Whether what a method was trained or calibrated on holds items of the tasks it is measured on.
#pragma once

#include <string>

#include "base/json.h"
#include "datasets/overlap.h"
#include "harness/phase.h"
#include "tasks/task.h"

namespace tnb {

class TrainedOverlap {
 public:
  // Reads the texts that the spec names ("calibration"); without any there is nothing to report.
  explicit TrainedOverlap(const Json& spec);

  // Metric "trained_overlap" of the task: the fraction of its documents of 13 words and more of which some 13
  // in a row stand in a text as well. Says which is the first one, and when no document is long enough.
  void Report(const Task& task, Emitter& emit) const;

 private:
  std::string names_;
  WordRuns runs_;
};

}  // namespace tnb
