// A phase is one part of a run that is measured in a process of its own, so that its peak memory and time are
// its own: compress, quality, drift, speed, training. Adding one is one file with a function and one line in
// phases.cc.
//
// The function gets its spec (JSON, made by the driver) and reports everything through an Emitter as it goes:
//   {"type":"layers","rows":[...]}     {"type":"stage",...}   {"type":"metric",...}   {"type":"item",...}
//   {"type":"samples","rows":[...]}    {"type":"artefact",...}   {"type":"log","level":..,"text":..}
// whose fields are those of the structs in records/rows.h (see harness/recorder.h). It throws Error when it
// fails and NotMeasured when there is nothing to measure.
//
// Fields of a spec: "model" {"name","path","hash","config","random"}, "method" (canonical text), "artefact"
// {"path","sha256"}, "data_dir", for quality "done" (harness/resume.h), for drift "base" (as
// "artefact"), "drift" {"text","data_dir","folder"} and "force", for compress and quality "calibration" (the
// texts that the method reads, list of {"name","path","sha256"}; absent without), and "settings": everything
// that can change the phase's numbers; these are also what is stored as PhaseRow::settings.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/json.h"

namespace tnb {

// Where a field of the spec is, in the errors of phases.
inline constexpr char kWorkerSpec[] = "the worker's spec";

// Writes messages as JSON lines to a file descriptor. Not thread-safe.
class Emitter {
 public:
  explicit Emitter(int descriptor) : descriptor_(descriptor) {}
  // Invalid UTF-8 in strings is replaced by U+FFFD.
  void Emit(const Json& message);
  // What the driver shows as a progress line; sent at most ten times a second, and always at the end.
  void Progress(const std::string& title, int64_t done, int64_t total, const std::string& unit);
  void Log(const std::string& level, const std::string& text);
  // A metric without uncertainty.
  void Metric(const std::string& name, double value, const std::string& unit);

 private:
  int descriptor_;
  std::string title_;
  std::chrono::steady_clock::time_point last_progress_{};
};

// JSON has no infinities: they travel as the strings "inf", "-inf" and "nan".
Json NumberToJson(double value);
double NumberFromJson(const Json& json, const std::string& where);

// There is nothing to measure, and why: a random model has no accuracy, a simulated kernel no time.
class NotMeasured : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct PhaseEntry {
  const char* name;
  const char* summary;
  bool timed;  // its numbers depend on the machine, so only phases of the same machine are reused
  void (*run)(const Json& spec, Emitter& emit);
};

// In the order in which they run; the first one is compress, and all others load its artefact.
const std::vector<PhaseEntry>& Phases();
// Error{kUsage} naming the known ones.
const PhaseEntry& FindPhase(const std::string& name);

void RunCompress(const Json& spec, Emitter& emit);
void RunQuality(const Json& spec, Emitter& emit);
void RunDrift(const Json& spec, Emitter& emit);
void RunSpeed(const Json& spec, Emitter& emit);
void RunTraining(const Json& spec, Emitter& emit);

}  // namespace tnb
