// heal: brief training of the compressed model, the third step of CompactifAI (arXiv 2401.14109). What a
// weight lets train (values, cores, scales; models/engine/weight.h) is trained on a plain text against the
// uncompressed model, whose logits are the better part of the loss.
//
// The default recipe is what brought SmolLM2-135M back from low rank in a few minutes: a mixture of 0.9
// Kullback-Leibler divergence to the uncompressed model and 0.1 cross entropy, AdamW (0.9, 0.95) at 3e-4 with
// 4 % warm-up and a cosine, 2 x 256 tokens a step, norms and the linears that are still dense included. A
// larger learning rate undoes a good start; without one (MPO of plain weights) more helps more.
//
// scope=block trains the blocks one after the other instead, each towards the uncompressed one's outputs
// (models/training/train_blocks.h).
//
// `lora=R` trains adapters of rank R alone (models/training/adapter.h): the stored weights, norms and biases
// stay to the bit, and the artefact holds the sum.
#pragma once

#include "methods/stage.h"

namespace tnb {

StageEntry HealEntry();

}  // namespace tnb
