#include "reports/heal_notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/progress.h"
#include "reports/numbers.h"

namespace tnb {
namespace {

std::string Sparkline(const std::vector<double>& values) {
  static const char* const kLevels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr size_t kWidth = 24;
  std::vector<double> means;
  const size_t count = std::min(kWidth, values.size());
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * values.size() / count, end = (i + 1) * values.size() / count;
    double sum = 0;
    for (size_t j = begin; j < end; ++j) sum += values[j];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  const auto [least, most] = std::minmax_element(means.begin(), means.end());
  std::string line;
  for (const double mean : means) {
    const double place = *most > *least ? (mean - *least) / (*most - *least) : 0;
    line += kLevels[static_cast<size_t>(place * 7.999)];
  }
  return line;
}

// A run of the control on the same texts: the same model, and equal hashes of what it read.
std::optional<int64_t> FindControl(const Store& store, const RunData& run, const std::string& control) {
  const std::vector<RunView> found = store.Runs({.model = run.view.model.name, .method = control});
  const auto texts = [](const PhaseRow& phase) { return phase.settings.value("calibration", Json()); };
  for (auto view = found.rbegin(); view != found.rend(); ++view) {
    if (view->model.hash != run.view.model.hash) continue;
    for (const PhaseRow& phase : store.Phases(view->run.id)) {
      if (phase.name == "compress" && phase.status == PhaseStatus::kOk &&
          texts(phase) == texts(run.phases.at("compress"))) {
        return view->run.id;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::string CurveText(const Json& stage_detail) {
  if (!stage_detail.is_object() || !stage_detail.contains("curve")) return "";
  const Json& curve = stage_detail.at("curve");
  const auto list = [&](const char* name) { return curve.value(name, std::vector<double>()); };
  const std::vector<double> losses = list("loss"), steps = list("step"), tokens = list("tokens"),
                            seconds = list("seconds");
  if (losses.empty() || steps.empty() || tokens.empty() || seconds.empty()) return "";
  return fmt::format("loss {} -> {} {} in {} steps, {} tokens, {}", FormatNumber(losses.front()),
                     FormatNumber(losses.back()), Sparkline(losses), FormatCount(steps.back()),
                     FormatCount(tokens.back()), FormatDuration(seconds.back()));
}

std::vector<std::string> HealNotes(const Store& store, const std::vector<const RunData*>& runs,
                                   const ReportOptions& options) {
  std::vector<std::string> notes;
  for (const RunData* run : runs) {
    const auto compress = run->phases.find("compress");
    if (compress == run->phases.end()) continue;
    for (const StageRow& stage : store.Stages(compress->second.data_id)) {
      const std::string curve = CurveText(stage.detail);
      if (curve.empty()) continue;
      const std::string& method = run->view.method.text;
      const auto control = stage.detail.value("control", std::string());
      std::string judged = "the uncompressed model was trained: a control";
      if (!control.empty()) {
        const std::optional<int64_t> found = FindControl(store, *run, control);
        judged = found ? fmt::format("control: run {}", *found)
                       : std::string("no control: what the text alone brings is not known");
      }
      notes.push_back(
          fmt::format("TRAINED: {}: {}; {}", options.label ? options.label(method) : method, curve, judged));
    }
  }
  return notes;
}

}  // namespace tnb
