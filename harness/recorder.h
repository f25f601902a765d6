// Recorder turns a worker's messages into rows of the store as they come. Messages carry the fields of
// records/rows.h; a malformed one is Error{kData}. Items are stored in batches (a transaction each), so that
// a killed driver loses seconds of work at most.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "records/store.h"

namespace tnb {

class Recorder {
 public:
  // `label` begins the progress lines: "mpo+int8 quality".
  Recorder(Store& store, int64_t run_id, int64_t phase_id, const std::string& label);
  void Take(const Json& message);
  // Stores what is still held back and ends the progress line.
  void Finish();

 private:
  void ShowProgress(const Json& message);
  void AddMetric(const Json& message);
  void FlushItems();

  Store& store_;
  int64_t run_id_, phase_id_;
  std::string label_, title_;
  std::unique_ptr<Progress> progress_;
  std::vector<ItemRow> items_;
  std::chrono::steady_clock::time_point flushed_;
};

}  // namespace tnb
