// Times of single factorized linears, contracted and rebuilt then multiplied, at one token and at the tokens
// of a prefill: what the break-even point of `tnbench show` is measured by.
//
// Linears of one kind (q, k, up ...) that share shape, storage and arithmetic are one structure and are timed
// once; of each kind up to three structures: the one of least arithmetic, the median and the one of most.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/phase.h"
#include "models/engine/model.h"

namespace tnb {

// What a linear of the record costs in multiply-adds: {"contracted", "rebuilt"} for one token (rebuilding
// included) and {"dense"}; null for one that is not factorized.
Json LinearCostJson(const Linear& linear);

// The linears that stand for the others, kind by kind.
std::vector<const LinearSlot*> LinearsToTime(const Model& model);

// Emits raw samples only: benchmark "linear NAME", variant "contracted 1", "rebuilt 128" ... (WAY TOKENS),
// seconds. Each is run once to warm up, then `repetitions` times in turns, of a large model fewer times.
void TimeLinears(const Model& model, int64_t tokens, int repetitions, int64_t seed, Emitter& emit);

}  // namespace tnb
