// reports/ is what is shown: tables, statistics, one run in full. It reads records/ and computes nothing that
// needs a model.
//
// `tnbench report`: one table per model, settings and machine, one row a method, the uncompressed base row
// first. A row holds parameters, stored bytes and how much smaller that is than the dense model in 32 and in
// 16 bit, peak resident bytes of inference, the main metric of every task with its standard error, tokens/s
// and training step time; each number also relative to the base row: percentage points for shares, a factor
// ("0.25x") for everything else.
//
// Numbers of different protocols (or of the same protocol over different numbers of items) never share a
// column: such a run goes to a table of its own, with a note that says what differs. What is missing says
// why, in words.
#pragma once

#include <string>
#include <vector>

#include "records/store.h"
#include "reports/table.h"

namespace tnb {

enum class ReportFormat { kMarkdown, kTerminal, kCsv, kJson };
// "md" "text" "csv" "json"; Error{kUsage} names them for anything else.
ReportFormat ReportFormatFrom(const std::string& name);

struct ReportOptions {
  // Without ids, only the newest run of each cell is shown, whatever newest_only says.
  RunFilter filter{};
  // Canonical text of the base row's method; empty: the first there is of fp32, fp16, bf16.
  std::string base_method{};
  // Markdown and terminal tables are split to fit; 0: never.
  int width = 0;
};

// The tables in full width. Error{kUsage} when no run matches the filter.
std::vector<Table> BuildReport(const Store& store, const ReportOptions& options);
// JSON is an array of tables; CSV tables are separated by an empty line, each after its caption and notes in
// lines that begin with "# ".
std::string RenderReport(const Store& store, const ReportOptions& options, ReportFormat format);

}  // namespace tnb
