#include "reports/heal_notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/progress.h"
#include "reports/numbers.h"

namespace tnb {
namespace {

using Values = std::vector<double>;

// Means of `most` equal parts, or the values themselves where there are fewer.
Values Means(const Values& values, size_t most) {
  Values means;
  const size_t count = std::min(most, values.size());
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * values.size() / count, end = (i + 1) * values.size() / count;
    double sum = 0;
    for (size_t j = begin; j < end; ++j) sum += values[j];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  return means;
}

double Mean(const Values& values) { return Means(values, 1).at(0); }

std::string Sparkline(const Values& values) {
  static const char* const kLevels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const Values means = Means(values, 24);
  const auto [least, most] = std::minmax_element(means.begin(), means.end());
  std::string line;
  for (const double mean : means) {
    const double place = *most > *least ? (mean - *least) / (*most - *least) : 0;
    line += kLevels[static_cast<size_t>(place * 7.999)];
  }
  return line;
}

// A number of every block that was trained by itself.
Values OfBlocks(const Json& detail, const char* name) {
  Values values;
  for (const Json& block : detail.value("blocks", Json::array())) values.push_back(block.at(name));
  return values;
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

std::vector<double> CurveValues(const Json& stage_detail, const char* name) {
  const Json curve = stage_detail.value("curve", Json::object());
  return curve.value(name, Values());
}

std::string CurveText(const Json& stage_detail) {
  if (!stage_detail.is_object()) return "";
  const Values before = OfBlocks(stage_detail, "error_before"), after = OfBlocks(stage_detail, "error_after");
  if (!before.empty()) {
    return fmt::format(
        "relative squared error of the outputs {} -> {} {} in {} blocks, {} steps and {} tokens each, {}",
        FormatNumber(Mean(before)), FormatNumber(Mean(after)), Sparkline(after), before.size(),
        FormatCount(stage_detail.at("steps")), FormatCount(stage_detail.at("tokens")),
        FormatDuration(stage_detail.at("seconds")));
  }
  const auto list = [&](const char* name) { return CurveValues(stage_detail, name); };
  const Values losses = list("loss"), steps = list("step"), tokens = list("tokens"),
               seconds = list("seconds"), hidden = list("hidden");
  if (losses.empty() || steps.empty() || tokens.empty() || seconds.empty()) return "";
  std::string text = fmt::format("loss {} -> {} {} in {} steps, {} tokens, {}", FormatNumber(losses.front()),
                                 FormatNumber(losses.back()), Sparkline(losses), FormatCount(steps.back()),
                                 FormatCount(tokens.back()), FormatDuration(seconds.back()));
  if (!hidden.empty() && hidden.front() > 0) {
    text +=
        fmt::format(", hidden states {} -> {}", FormatNumber(hidden.front()), FormatNumber(hidden.back()));
  }
  return text;
}

std::vector<HealedRun> HealedRuns(const Store& store, const std::vector<const RunData*>& runs,
                                  const ReportOptions& options) {
  std::vector<HealedRun> healed;
  for (const RunData* run : runs) {
    const auto compress = run->phases.find("compress");
    if (compress == run->phases.end()) continue;
    const std::string& method = run->view.method.text;
    HealedRun found{.run = run, .name = options.label ? options.label(method) : method};
    for (const StageRow& stage : store.Stages(compress->second.data_id)) {
      if (CurveText(stage.detail).empty()) continue;
      const auto control = stage.detail.value("control", std::string());
      found.is_control = control.empty();
      found.needs_control = found.needs_control || !stage.detail.contains("blocks");
      if (!control.empty()) found.control = FindControl(store, *run, control).value_or(0);
      found.stages.push_back(stage.detail);
    }
    if (!found.stages.empty()) healed.push_back(std::move(found));
  }
  return healed;
}

std::vector<std::string> HealNotes(const std::vector<HealedRun>& healed) {
  std::vector<std::string> notes;
  for (const HealedRun& run : healed) {
    std::string judged = "no control: what the text alone brings is not known";
    if (run.control != 0) judged = fmt::format("control: run {}", run.control);
    if (!run.needs_control)
      judged = "towards the uncompressed model's outputs alone: there is nothing to control";
    if (run.is_control) judged = "the uncompressed model was trained: a control";
    for (const Json& stage : run.stages)
      notes.push_back(fmt::format("TRAINED: {}: {}; {}", run.name, CurveText(stage), judged));
  }
  return notes;
}

namespace {

constexpr size_t kPoints = 60;  // of a stage's line

// One stage after the other, with a gap between.
PlotSeries LossLine(const std::string& name, const std::vector<Json>& stages) {
  PlotSeries line{.name = name};
  double before = 0;  // tokens of the stages before
  for (const Json& stage : stages) {
    const Values losses = Means(CurveValues(stage, "loss"), kPoints),
                 tokens = Means(CurveValues(stage, "tokens"), kPoints);
    if (losses.empty() || tokens.size() != losses.size()) continue;
    if (!line.x.empty()) {
      line.x.push_back(before);
      line.y.push_back(NAN);
    }
    for (size_t i = 0; i < losses.size(); ++i) {
      line.x.push_back(before + tokens[i]);
      line.y.push_back(losses[i]);
    }
    before += CurveValues(stage, "tokens").back();
  }
  return line;
}

// Round ticks: 57344 tokens are 57.3 thousand.
void ScaleTokens(LinePlot& plot) {
  double most = 0;
  for (const PlotSeries& series : plot.series) most = std::max(most, series.x.back());
  const auto [unit, name] = most >= 2e9   ? std::pair(1e9, "billions of ")
                            : most >= 2e6 ? std::pair(1e6, "millions of ")
                            : most >= 2e3 ? std::pair(1e3, "thousands of ")
                                          : std::pair(1.0, "");
  for (PlotSeries& series : plot.series)
    for (double& x : series.x) x /= unit;
  plot.x_label = std::string(name) + "tokens that were trained on";
}

}  // namespace

std::vector<LinePlot> HealPlots(const Store& store, const std::vector<HealedRun>& healed) {
  LinePlot loss{.title = "Loss while healing; a point is the mean of a 60th of the steps",
                .x_label = {},
                .y_label = "loss [nats per token]"};
  LinePlot blocks{.title = "Healing block by block: before (dashed) and after",
                  .x_label = "block",
                  .y_label = "relative squared error of the output"};
  const auto draw_loss = [&](const HealedRun& run, const std::string& name, bool dashed) {
    PlotSeries line = LossLine(name, run.stages);
    line.dashed = dashed;
    if (!line.x.empty()) loss.series.push_back(std::move(line));
  };
  const auto draw_blocks = [&](const HealedRun& run) {
    PlotSeries before{.dashed = true}, after{.name = run.name};
    for (const Json& stage : run.stages) {
      for (const auto& [series, key] :
           {std::pair{&before, "error_before"}, std::pair{&after, "error_after"}}) {
        const Values places = OfBlocks(stage, "block"), errors = OfBlocks(stage, key);
        series->x.insert(series->x.end(), places.begin(), places.end());
        series->y.insert(series->y.end(), errors.begin(), errors.end());
      }
    }
    if (after.x.empty()) return;
    blocks.series.push_back(std::move(after));
    blocks.series.push_back(std::move(before));
  };
  const std::string control_name = "control (uncompressed model): ";
  std::set<int64_t> drawn, controls;
  for (const HealedRun& run : healed) {
    drawn.insert(run.run->view.run.id);
    if (run.needs_control && run.control != 0) controls.insert(run.control);
    draw_loss(run, (run.is_control ? control_name : "") + run.name, run.is_control);
    // A control puts out what it should from the beginning.
    if (!run.is_control) draw_blocks(run);
  }
  for (const int64_t control : controls) {
    if (drawn.count(control) != 0) continue;
    const RunData data = LoadRun(store, store.Run(control));
    for (const HealedRun& run : HealedRuns(store, {&data}, {}))
      draw_loss(run, control_name + "run " + std::to_string(control), true);
  }
  std::vector<LinePlot> plots;
  if (!loss.series.empty()) {
    ScaleTokens(loss);
    plots.push_back(std::move(loss));
  }
  if (!blocks.series.empty()) plots.push_back(std::move(blocks));
  return plots;
}

}  // namespace tnb
