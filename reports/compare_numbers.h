// The numbers of two runs side by side, with their tests, not yet judged. For the files of reports/ only.
#pragma once

#include <string>
#include <vector>

#include "reports/compare.h"
#include "reports/run_data.h"

namespace tnb {

std::vector<ComparedNumber> CompareNumbers(const Store& first_store, const RunView& first,
                                           const Store& second_store, const RunView& second,
                                           const CompareOptions& options);

// One main metric of two runs of one record, from the first to the second.
ComparedNumber CompareQuality(const Store& store, const RunData& first, const RunData& second,
                              const ColumnSpec& column, const CompareOptions& options);

}  // namespace tnb
