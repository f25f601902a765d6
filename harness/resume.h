// A quality phase goes on where earlier ones stopped: items of the same artefact, task, protocol and data are
// taken over from whatever phase measured them, finished, failed or killed, and its worker computes the rest.
#pragma once

#include <cstdint>

#include "base/json.h"
#include "records/store.h"

namespace tnb {

// Copies into the phase every item row that fits its settings, from the newest phases first.
void TakeItems(Store& store, int64_t phase_id, const Json& settings);

// What a phase has, as its worker wants it: {"task": [{"doc","prompt_sha256","scores"}, ...]}.
Json DoneItems(const Store& store, int64_t phase_id, const Json& settings);

}  // namespace tnb
