#include "harness/trained_overlap.h"

#include "base/files.h"
#include "harness/calibration.h"
#include "harness/training_text.h"

namespace tnb {
TrainedOverlap::TrainedOverlap(const Json& spec) {
  for (const CalibrationText& text : CalibrationTextsOf(spec)) {
    names_ += (names_.empty() ? "" : ", ") + text.name;
    runs_.Add(ReadFile(text.path));
  }
}

void TrainedOverlap::Report(const Task& task, Emitter& emit) const {
  if (names_.empty()) return;
  const std::string& name = task.spec().name;
  int64_t checked = 0, found = 0;
  std::string first;
  for (size_t i = 0; i < task.size(); ++i) {
    Overlap overlap;
    ForEachText(task.dataset().documents[i], [&](const std::string& text) {
      const Overlap of_text = runs_.Look(text);
      overlap.runs += of_text.runs;
      overlap.found += of_text.found;
    });
    checked += overlap.runs > 0 ? 1 : 0;
    if (overlap.found == 0) continue;
    if (found++ == 0) {
      first = task.Where(i) + ": " + std::to_string(overlap.found) + " of " + std::to_string(overlap.runs) +
              " runs";
    }
  }
  if (checked == 0) {
    emit.Log("info", name + ": its documents are shorter than 13 words, so that whether " + names_ +
                         " holds them was not checked");
    return;
  }
  emit.Emit({{"type", "metric"},
             {"name", "trained_overlap"},
             {"task", name},
             {"value", static_cast<double>(found) / static_cast<double>(checked)},
             {"unit", "fraction"},
             {"n", checked}});
  if (found == 0) return;
  emit.Log("warning", name + ": " + std::to_string(found) + " of " + std::to_string(checked) +
                          " documents share 13 words in a row with " + names_ + " (first " + first + ")");
}

}  // namespace tnb
