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
// `artefact`, `base`: SHA-256 of the cell's artefact (unused for compress) and of the base cell's (for
// drift).
Json PhaseSettings(const Plan& plan, const PlannedCell& cell, const std::string& phase,
                   const std::string& artefact, const std::string& base);
// `artefact`: for compress, the path to write (no hash yet).
Json WorkerSpec(const Plan& plan, const PlannedCell& cell, const std::string& phase, const Json& settings,
                const ArtefactRow& artefact, const ArtefactRow& base);
// Everything that can change the result of an item: the task's protocol but for the number of documents.
// Items depend on no later document (few-shot draws neither), so those of a larger limit are those of a
// smaller one.
std::string ItemProtocolHash(const Task& task, const Tokenizer& tokenizer, int64_t context_length,
                             const ChatTemplate* chat);
// Why this phase has nothing to measure in this cell, when that is known before it starts.
std::optional<std::string> WhyNotMeasured(const Plan& plan, const PlannedCell& cell,
                                          const std::string& phase);
// Where the artefact of a cell lies: named by model and method, so that equal cells share it.
std::filesystem::path ArtefactPath(const Plan& plan, const PlannedCell& cell);

}  // namespace tnb
