#include "base/error.h"
#include "harness/phase.h"

namespace tnb {

const std::vector<PhaseEntry>& Phases() {
  static const std::vector<PhaseEntry> phases = {
      {"compress", "applies the method and writes the artefact", true, RunCompress},
      {"quality", "scores the artefact on tasks", false, RunQuality},
      {"drift", "distances of the predictions from the base method's", false, RunDrift},
      {"speed", "load, prefill and decode times, resident memory", true, RunSpeed},
      {"training", "forward, backward and optimizer times of training steps", true, RunTraining},
  };
  return phases;
}

const PhaseEntry& FindPhase(const std::string& name) {
  std::string known;
  for (const PhaseEntry& phase : Phases()) {
    if (phase.name == name) return phase;
    known += (known.empty() ? "" : ", ") + std::string(phase.name);
  }
  throw Error(ErrorKind::kUsage, {"unknown phase", known, "'" + name + "'", "--phases", ""});
}

}  // namespace tnb
