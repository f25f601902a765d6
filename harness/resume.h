// A quality phase goes on where earlier ones stopped: items of the same artefact, task, protocol and data are
// taken over from whatever phase measured them, finished, failed or killed, and its worker computes the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "records/store.h"

namespace tnb {

// Items of one task that a phase was given from an earlier run.
struct TakenItems {
  std::string task;
  int64_t items = 0, total = 0;
  int64_t run_id = 0;
};

// Copies into the phase every item row that fits its settings, newest first.
std::vector<TakenItems> TakeItems(Store& store, int64_t phase_id, const Json& settings);

// What a phase has, as its worker wants it: {"task": [{"doc","prompt_sha256","scores"}, ...]}.
Json DoneItems(const Store& store, int64_t phase_id, const Json& settings);

}  // namespace tnb
