// What a reader must know of methods that trained. For the files of reports/ only.
#pragma once

#include <string>
#include <vector>

#include "reports/report.h"
#include "reports/run_data.h"

namespace tnb {

// "loss 3.21 -> 2.05 ▇▄▂▁▁ in 112 steps, 57,344 tokens, 5 min" of a stage's detail; empty when it did not
// train. The line has a character an equal number of steps, high to low between its largest and least means.
std::string CurveText(const Json& stage_detail);

// One note a run that trained: its curve, and whether the uncompressed model was trained on the same tokens
// too (a control): without, what the text alone brings is credited to the method.
std::vector<std::string> HealNotes(const Store& store, const std::vector<const RunData*>& runs,
                                   const ReportOptions& options);

}  // namespace tnb
