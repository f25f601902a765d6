// What the phases after compress begin with: the artefact, checked by hash against the one that the driver
// knows, so that all numbers of a run come from one file.
#pragma once

#include "base/json.h"
#include "models/engine/model.h"

namespace tnb {

// Error{kData} when the file is another one than the driver knows.
void CheckArtefact(const Json& spec);
// Without CheckArtefact.
Model LoadArtefactOf(const Json& spec);
// "cpu" | "cuda" from the settings.
at::Device DeviceOf(const Json& spec);

}  // namespace tnb
