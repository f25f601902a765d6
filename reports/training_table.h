// What training cost and brought, method beside method: one row a stage that trained (heal), from the curve
// in its record. Losses are compared only where text, sequence length, and the mixture of divergence and
// cross entropy are the same: other rows go to a table of their own.
//
// Final loss: the mean over the last tenth of the steps, and over ten at least where there are as many.
// Seconds and tokens to a loss: until the mean over as many steps is no larger. The loss is
// ReportOptions::loss, or else the largest of the final ones in the table, which every row reaches. For the
// files of reports/ only.
#pragma once

#include <vector>

#include "reports/report.h"
#include "reports/run_data.h"

namespace tnb {

// None when no run trained.
std::vector<Table> TrainingTables(const Store& store, const std::vector<const RunData*>& runs,
                                  const ReportOptions& options);

}  // namespace tnb
