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
// why, in words. After a table with methods that trained stands one that compares their trainings
// (training_table.h).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "records/store.h"
#include "reports/metric_shape.h"
#include "reports/render.h"
#include "reports/table.h"

namespace tnb {

enum class ReportPivot {
  kMethod,  // a table a model, a row a method
  kModel,   // a table a method, a row a model
  kTask,    // a table a model, a row a number, a column a method
};
// "method" "model" "task"; Error{kUsage} names them for anything else.
ReportPivot ReportPivotFrom(const std::string& name);

struct ReportOptions {
  // Without ids, only the newest run of each cell is shown, whatever newest_only says.
  RunFilter filter{};
  // Canonical text of the base row's method; empty: the first there is of fp32, fp16, bf16.
  std::string base_method{};
  // Markdown, terminal and LaTeX tables are split to fit; 0: never.
  int width = 0;
  ReportPivot pivot = ReportPivot::kMethod;
  std::vector<std::string> tasks{};  // columns of these only; empty: all
  // Short name of a canonical method, explained in a note; empty: the canonical text.
  std::function<std::string(const std::string& method)> label{};
  // Columns that say the same in every row go to the notes (tables for people; RenderReport decides).
  bool move_constants = false;
  // Bold where the best is surely the best; reads the items.
  bool mark_best = false;
  double alpha = 0.05;
  MetricShapes shapes{};
  // That the training table asks seconds and tokens for; none: one that all rows reach (training_table.h).
  std::optional<double> loss{};
};

// The tables in full width. Error{kUsage} when no run matches the filter.
std::vector<Table> BuildReport(const Store& store, const ReportOptions& options);
std::string RenderReport(const Store& store, const ReportOptions& options, ReportFormat format);

}  // namespace tnb
