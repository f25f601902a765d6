// What `tnbench bench --noise-floor` found on a machine: how far two measurements of the same thing lie
// apart.
#pragma once

#include <string>

#include "records/store.h"

namespace tnb {

// The largest relative difference of two measurements of one test, of every test the newest pair: of prefill
// for prefill_*, of decoding for decode_*, whatever the model, method and number of threads. 0 where none was
// measured, and for other metrics. Both were measured in one process, so that it can only raise a noise
// floor.
double StoredNoise(const Store& store, const std::string& machine_hash, const std::string& metric);

}  // namespace tnb
