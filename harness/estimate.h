// How long the cells of a plan will take, from what earlier runs on this machine took. A guess: it does not
// know whether the program became faster since.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/cell.h"
#include "records/store.h"

namespace tnb {

struct PhaseEstimate {
  std::string phase;
  std::optional<double> seconds;  // none: no earlier run tells
  std::string basis;              // "3 runs of this method", "12 runs of other methods", "no earlier run"
};

struct CellEstimate {
  std::string model, method;   // as the user wrote the method
  std::optional<int64_t> run;  // the cell is finished already
  std::vector<PhaseEstimate> phases;
};

// Medians of the newest finished phases on this machine: of the same model and method, else of the same
// model. Quality is counted an item. `store` null: there is no database yet.
std::vector<CellEstimate> EstimatePlan(const Plan& plan, const Store* store);

// For people: one line a cell, and the total.
std::string EstimateText(const std::vector<CellEstimate>& cells);
Json EstimateJson(const std::vector<CellEstimate>& cells);

}  // namespace tnb
