// Many cells as data. A sweep is a list of blocks, each the options of `tnbench run` by name:
//
//   {"sweep": "bits", "about": "...", "cells": [
//      {"method": ["int8", "int4:group=32"], "model": "smollm2-135m", "tasks": ["boolq"], "limit": 100},
//      {"method": "svd:keep=0.6", "phases": "compress,quality", "no-base": true}]}
//
// Lists are joined by commas, true is a flag. A nightly suite has the same blocks.
#pragma once

#include <string>
#include <vector>

#include "harness/driver.h"

namespace tnb {

// The arguments of tnbench run that a block stands for. Error{kData} for values that are none.
std::vector<std::string> RunArguments(const Json& block, const std::string& where);
// The blocks of `cells`, each followed by `extra` arguments, which win. Error{kData}, Error{kUsage}.
std::vector<RunRequest> SweepRequests(const Json& cells, const std::vector<std::string>& extra,
                                      const std::string& where);

// One plan a model and block, the models in the order in which they are first named: all cells of a model
// are measured one after the other, while its file is in the system's cache. Checks everything before
// anything runs.
std::vector<Plan> PlanSweep(const std::vector<RunRequest>& requests);

// Runs the plans; after `max_hours` (0: no limit) no new cell begins. Runs of finished cells are reused as
// by RunPlan. Cells that were not begun are counted.
struct SweepResult {
  DriverResult driver;
  std::vector<PlannedCell> remaining;
};
SweepResult RunSweep(const std::vector<Plan>& plans, Store& store, double max_hours);

}  // namespace tnb
