// Numbers from stored outputs, without the model: what a run's items say under changed answer filters,
// normalization or metrics. The new run stands beside the old one and shares its other phases.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "records/store.h"

namespace tnb {

struct RescoreRequest {
  int64_t run = 0;
  std::vector<std::string> task_files;  // definitions instead of the present ones of the same names
  std::filesystem::path data_dir;
  std::string command;  // the command line, for the record
};

// The new run. All tasks of the run are scored again; each must ask the same as before: Error{kUsage} naming
// what differs when the prompts or anything that the model's outputs depend on does, Error{kData} for other
// data.
int64_t Rescore(const RescoreRequest& request, Store& store);

}  // namespace tnb
