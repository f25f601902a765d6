// What a reader must know of methods that trained. For the files of reports/ only.
#pragma once

#include <string>
#include <vector>

#include "reports/report.h"
#include "reports/run_data.h"

namespace tnb {

// One of the lists of a stage's curve ("loss", "tokens"); empty when it has none.
std::vector<double> CurveValues(const Json& stage_detail, const char* name);

// "loss 3.21 -> 2.05 ▇▄▂▁▁ in 112 steps, 57,344 tokens, 5 min" of a stage's detail; empty when it did not
// train. The line has a character an equal number of steps, high to low between its largest and least means.
// Where blocks were trained one by one, "relative squared error of the outputs 0.21 -> 0.08 ▁▂▅▇ in 30
// blocks,
// ...": means over the blocks, and a character a block (or an equal number of blocks) of what is left.
std::string CurveText(const Json& stage_detail);

// A run that trained, with what its stages recorded.
struct HealedRun {
  const RunData* run = nullptr;
  std::string name;            // as the table shows it
  std::vector<Json> stages;    // details
  bool is_control = false;     // the uncompressed model was trained
  bool needs_control = false;  // a stage read texts for more than the uncompressed model's answers to them
  int64_t control = 0;         // the run that trained the uncompressed model on the same texts; 0: none
};
std::vector<HealedRun> HealedRuns(const Store& store, const std::vector<const RunData*>& runs,
                                  const ReportOptions& options);

// One note a stage that trained: its curve, and whether the uncompressed model was trained on the same tokens
// too (a control): without, what the text alone brings is credited to the method.
std::vector<std::string> HealNotes(const std::vector<HealedRun>& healed);

// The loss of all runs over the tokens that they were trained on, controls as dashed lines, also those that
// are no row of the table; and of blocks that were trained one by one the errors before and after.
std::vector<LinePlot> HealPlots(const Store& store, const std::vector<HealedRun>& healed);

}  // namespace tnb
