// Training of a model's blocks one after the other, each by itself, until it puts out what the uncompressed
// model's block does: no backward pass through the whole model, and masters and moments of one block at a
// time.
//
// What goes into a block is what the blocks before it, trained and stored, make of the text (as in GPTQ,
// arXiv 2210.17323); what should come out of it is what the uncompressed model's own blocks make of it, so
// that a block also undoes what those before it left (OmniQuant, arXiv 2308.13137, section 3; the asymmetric
// reconstruction of AdaRound, arXiv 2004.10568, in the blocks of BRECQ, arXiv 2102.05426). The loss of a
// token is |h - t|² / |t|² (loss.h). Embedding, final norm and head stay as they are.
//
// Both models' hidden states of all tokens are in memory: 8 bytes times tokens times hidden size.
#pragma once

#include <functional>
#include <vector>

#include "models/engine/statistics.h"
#include "models/training/train.h"

namespace tnb {

struct TrainedBlock {
  int64_t block = 0;
  // Mean of |h - t|² / |t|² over all tokens that count, before and after its training; after as it is stored.
  double error_before = 0, error_after = 0;
  int64_t parameters = 0;  // trained scalars
  std::vector<CurvePoint> curve;
};

struct BlocksPlan {
  // Steps, batches and checkpoint of every block's training: all see the same batches. The checkpoint of
  // block b is the plan's with "-block-b" behind its name, and stays when the block is finished: a training
  // that was killed goes on with it to the same bits.
  TrainingPlan plan{};
  // The `index`th of `count` blocks that train begins.
  std::function<void(int64_t index, int64_t count)> on_block{};
};

// Trains and stores into `model` every block in which something trains. `options`: block and loss are set
// here. Error{kUsage} when nothing trains, or when the models differ in width or number of blocks;
// Error{kData} naming the block when a training diverges or what a block puts out is not finite.
std::vector<TrainedBlock> TrainBlocks(Model& model, const ModelParts& original, const TrainerOptions& options,
                                      const BlocksPlan& blocks);

}  // namespace tnb
