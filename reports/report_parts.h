// The parts of the report: which columns, which cells, and one table of them. For the files of reports/ only.
#pragma once

#include <string>
#include <vector>

#include "reports/report.h"
#include "reports/run_data.h"

namespace tnb {

// The columns that at least one run has, in the order of the report. `only`: of these tasks; empty: all but
// those that stand in the table as part of a group.
std::vector<ColumnSpec> ChooseColumns(const std::vector<const RunData*>& runs,
                                      const std::vector<std::string>& only);
// With its unit and the short name of its protocol: "arc acc [%, P1]".
std::string Title(const ColumnSpec& column, const std::string& protocol);
// The run's number, relative to the base's where there is one.
Cell MakeCell(const RunData& run, const RunData* base, const ColumnSpec& column);
// How much smaller the stored bytes are than the dense model at 32 or 16 bit.
Cell ReductionCell(const RunData& run, const std::string& against);
// "n=500", or "n=3 to 5" where the rows differ (repetitions of timings; tasks never differ within a table).
std::string Observations(const std::vector<const RunData*>& runs, const ColumnSpec& column);
// A column in which nothing was measured and nothing went wrong only repeats what the notes say.
bool IsIdle(const std::vector<const RunData*>& runs, const ColumnSpec& column);

// A run of a table with the run that its numbers are relative to (none: nothing is).
struct ReportRow {
  const RunData* run = nullptr;
  const RunData* base = nullptr;
};

// The run of this canonical method; empty: the first there is of fp32, fp16, bf16.
const RunData* ChooseBase(const std::vector<const RunData*>& runs, const std::string& wanted);
Table MakeTable(const Store& store, const std::vector<ReportRow>& rows, const ReportOptions& options);
// Marks in every column of a task the cell that is better than all others by the paired test, Holm over the
// table. `places[c]` is the column of specs[c].
void MarkBest(const Store& store, const std::vector<ReportRow>& rows, const std::vector<ColumnSpec>& specs,
              const std::vector<size_t>& places, const ReportOptions& options, Table& table);

}  // namespace tnb
