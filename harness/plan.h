// Which settings identify a phase of a cell, and the spec that its worker gets. The settings hold everything
// that can change the phase's numbers besides model, method and machine; two phases with equal settings are
// the same measurement, so a finished one is reused instead of measured again.
//
// All phases after compress carry the artefact's hash: a run never mixes numbers of different artefacts.
#pragma once

#include <optional>
#include <string>

#include "harness/cell.h"
#include "records/rows.h"

namespace tnb {

// What identifies the cell besides model and method.
Json CellSettings(const RunRequest& request);
// `artefact`: SHA-256 of the artefact; unused for compress.
Json PhaseSettings(const Plan& plan, const PlannedCell& cell, const std::string& phase,
                   const std::string& artefact);
// `artefact`: for compress, the path to write (no hash yet).
Json WorkerSpec(const Plan& plan, const PlannedCell& cell, const Json& settings, const ArtefactRow& artefact);
// Why this phase has nothing to measure in this cell, when that is known before it starts.
std::optional<std::string> WhyNotMeasured(const PlannedCell& cell, const std::string& phase);
// Where the artefact of a cell lies: named by model and method, so that equal cells share it.
std::filesystem::path ArtefactPath(const Plan& plan, const PlannedCell& cell);

}  // namespace tnb
