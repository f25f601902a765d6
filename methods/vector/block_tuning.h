// Tuning of one block after its linears were quantized (AQLM, arXiv 2401.06118, section 3.4): what their
// weights let train, codebooks and scales, follows what the block put out before, for the inputs that the
// compressed blocks before it give. Mean squared error, Adam with betas 0.9 and 0.95 and AMSGrad as in the
// release; norms are left as they are.
#pragma once

#include <vector>

#include "models/engine/statistics.h"

namespace tnb {

struct TuningOptions {
  int64_t epochs = 1;
  double learning_rate = 1e-4;
};

struct TuningReport {
  double start = 0, end = 0;  // mean squared error over the mean square of the targets
  int64_t epochs = 0;
  bool kept = false;  // false: the error did not become smaller, and the weights are as they were
};

// Replaces weights of `slots`, which are some of the block's. Deterministic for a number of threads.
TuningReport TuneBlock(const ChangedBlock& block, const std::vector<LinearSlot*>& slots,
                       const TuningOptions& options);

}  // namespace tnb
