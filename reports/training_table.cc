#include "reports/training_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "reports/heal_notes.h"
#include "reports/numbers.h"

namespace tnb {
namespace {

constexpr size_t kLeastPoints = 10;

using Numbers = std::vector<double>;

// One training: a row.
struct Training {
  const RunData* run = nullptr;
  int64_t stage = 0;
  Json detail;
  Numbers step, loss, tokens, seconds;

  std::optional<double> Number(const char* key) const {
    const auto found = detail.find(key);
    if (found == detail.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
  }
  Numbers List(const char* key) const { return CurveValues(detail, key); }

  // Of a quantity that every point has as the mean of a step: the curve is thinned by runs of steps.
  double Sum(const char* key) const {
    const Numbers values = List(key);
    double sum = 0;
    for (size_t i = 0; i < std::min(values.size(), step.size()); ++i)
      sum += values[i] * (step[i] - (i == 0 ? 0 : step[i - 1]));
    return sum;
  }

  // Points of a mean: losses of single batches differ more than a training gains in a few steps.
  size_t window() const { return std::max(loss.size() / 10, std::min(loss.size(), kLeastPoints)); }
  // The mean of the points that end with this one.
  double Smoothed(size_t point) const {
    double sum = 0;
    for (size_t i = point + 1 - window(); i <= point; ++i) sum += loss[i];
    return sum / static_cast<double>(window());
  }
  double Final() const { return Smoothed(loss.size() - 1); }
  // The first point at which the smoothed loss is no larger.
  std::optional<size_t> Reaches(double wanted) const {
    for (size_t i = window() - 1; i < loss.size(); ++i) {
      if (Smoothed(i) <= wanted) return i;
    }
    return std::nullopt;
  }
};

std::optional<Training> TrainingOf(const RunData& run, const StageRow& stage) {
  const auto curve = stage.detail.find("curve");
  if (curve == stage.detail.end() || !curve->is_object()) return std::nullopt;
  Training training{.run = &run, .stage = stage.position, .detail = stage.detail};
  training.step = training.List("step");
  training.loss = training.List("loss");
  training.tokens = training.List("tokens");
  training.seconds = training.List("seconds");
  const size_t points = training.loss.size();
  for (const Numbers* list : {&training.step, &training.tokens, &training.seconds}) {
    if (points == 0 || list->size() != points) return std::nullopt;
  }
  return training;
}

// What must be equal for losses to be comparable.
std::string ComparableOf(const Training& training) {
  return training.detail.value("text", Json()).dump() + training.detail.value("objective", Json()).dump();
}

std::string Caption(const Training& first) {
  const Json text = first.detail.value("text", Json::object());
  const Json objective = first.detail.value("objective", Json::object());
  std::string caption = "Training on " + text.value("name", std::string("a text without a name"));
  for (const auto& [key, value] : objective.items()) caption += fmt::format(", {} {}", key, value.dump());
  return caption + ", machine " + first.run->view.machine.name;
}

// A column of the table: what it shows of a training.
struct Shown {
  std::string title, key, unit;
  std::function<std::optional<double>(const Training&)> value;
};

std::vector<Shown> Columns(double wanted) {
  const auto number = [](const char* key) { return [key](const Training& t) { return t.Number(key); }; };
  const auto sum = [](const char* key) {
    return [key](const Training& t) -> std::optional<double> { return t.Sum(key); };
  };
  const auto at = [wanted](const Numbers Training::*list) {
    return [wanted, list](const Training& t) -> std::optional<double> {
      const std::optional<size_t> point = t.Reaches(wanted);
      if (!point) return std::nullopt;
      return (t.*list)[*point];
    };
  };
  const std::string loss = "loss " + FormatNumber(wanted);
  return {
      {"trained", "trained_parameters", "parameters", number("trained_parameters")},
      {"gradients + optimizer", "gradient_and_optimizer_bytes", "bytes",
       [](const Training& t) -> std::optional<double> {
         const auto gradients = t.Number("gradient_bytes"), moments = t.Number("optimizer_bytes");
         if (!gradients || !moments) return std::nullopt;
         return *gradients + *moments;
       }},
      {"tokens", "tokens", "tokens", [](const Training& t) { return t.tokens.back(); }},
      {"tokens/s", "tokens_per_second", "tokens/s",
       [](const Training& t) -> std::optional<double> {
         if (!(t.seconds.back() > 0)) return std::nullopt;
         return t.tokens.back() / t.seconds.back();
       }},
      {"data [s]", "data_seconds", "s", sum("data_seconds")},
      {"forward [s]", "forward_seconds", "s", sum("forward_seconds")},
      {"backward [s]", "backward_seconds", "s", sum("backward_seconds")},
      {"optimizer [s]", "optimizer_seconds", "s", sum("optimizer_seconds")},
      {"peak resident", "peak_bytes", "bytes",
       [](const Training& t) -> std::optional<double> {
         const Numbers peaks = t.List("peak_bytes");
         if (peaks.empty() || !(peaks.back() > 0)) return std::nullopt;
         return peaks.back();
       }},
      {"final loss", "final_loss", "", [](const Training& t) { return t.Final(); }},
      {"s to " + loss, "seconds_to_loss", "s", at(&Training::seconds)},
      {"tokens to " + loss, "tokens_to_loss", "tokens", at(&Training::tokens)},
  };
}

std::string Shorten(double value, const std::string& unit) {
  if (unit == "bytes") return FormatBytes(value);
  if (unit == "parameters" || unit == "tokens") return FormatCount(value);
  return FormatNumber(value);
}

Table TableOf(const std::vector<const Training*>& trainings, const ReportOptions& options) {
  double wanted = 0;
  for (const Training* training : trainings) wanted = std::max(wanted, training->Final());
  if (options.loss) wanted = *options.loss;
  const bool by_model = options.pivot == ReportPivot::kModel;
  const std::string subject = by_model ? "model" : "method";
  Table table{.caption = Caption(*trainings.front())};
  table.columns = {{subject, Alignment::kLeft, subject, kIdentity},
                   {"run", Alignment::kRight, "run", kIdentity},
                   {"stage", Alignment::kRight, "stage", kIdentity}};
  for (const Training* training : trainings) {
    const RunView& view = training->run->view;
    const std::string& method = view.method.text;
    table.rows.push_back({by_model
                              ? Cell{.text = view.model.name}
                              : Cell{.text = options.label ? options.label(method) : method, .full = method},
                          {.text = std::to_string(view.run.id), .value = view.run.id},
                          {.text = std::to_string(training->stage), .value = training->stage}});
  }
  for (const Shown& shown : Columns(wanted)) {
    table.columns.push_back({shown.title, Alignment::kRight, "heal." + shown.key, kSpeedAndTraining});
    for (size_t r = 0; r < trainings.size(); ++r) {
      const std::optional<double> value = shown.value(*trainings[r]);
      const std::string absence = shown.key.ends_with("_to_loss") ? "not reached" : "not measured";
      table.rows[r].push_back({.text = value ? Shorten(*value, shown.unit) : absence, .value = value});
    }
  }
  table.notes = {
      fmt::format("final loss: mean over the last tenth of the steps, {} at least; s and tokens to loss {}: "
                  "until the mean over as many steps is no larger; it is {}",
                  kLeastPoints, FormatNumber(wanted),
                  options.loss ? "what --loss says" : "the largest final loss of the rows"),
      "seconds: sums over all steps; forward includes the uncompressed model's where kd > 0; peak resident: "
      "of the process, loading included"};
  return table;
}

}  // namespace

std::vector<Table> TrainingTables(const Store& store, const std::vector<const RunData*>& runs,
                                  const ReportOptions& options) {
  std::vector<Training> trainings;
  for (const RunData* run : runs) {
    const auto compress = run->phases.find("compress");
    if (compress == run->phases.end() || compress->second.status != PhaseStatus::kOk) continue;
    for (const StageRow& stage : store.Stages(compress->second.data_id)) {
      if (auto training = TrainingOf(*run, stage)) trainings.push_back(std::move(*training));
    }
  }
  std::vector<std::pair<std::string, std::vector<const Training*>>> groups;
  for (const Training& training : trainings) {
    const std::string key = ComparableOf(training);
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == key; });
    if (group == groups.end()) group = groups.emplace(groups.end(), key, std::vector<const Training*>());
    group->second.push_back(&training);
  }
  std::vector<Table> tables;
  for (const auto& [key, members] : groups) tables.push_back(TableOf(members, options));
  return tables;
}

}  // namespace tnb
