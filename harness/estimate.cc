#include "harness/estimate.h"

#include <algorithm>
#include <map>

#include "base/progress.h"
#include "harness/facts.h"
#include "harness/phase.h"
#include "harness/plan.h"
#include "reports/statistics.h"

namespace tnb {
namespace {

constexpr size_t kNewest = 5;

// Items of a quality phase; 0 when its settings do not say.
double ItemsOf(const Json& settings) {
  double items = 0;
  for (const Json& task : settings.value("tasks", Json::array())) {
    if (task.is_object()) items += task.value("items", 0.0);
  }
  return items;
}

double ItemsOf(const Plan& plan) {
  double items = 0;
  for (const auto& task : plan.tasks) items += static_cast<double>(task->size());
  return items;
}

// Seconds (of quality: seconds an item) of finished phases on this machine, newest first.
struct History {
  std::map<std::pair<std::string, std::string>, std::vector<double>> by_method;  // (phase, method)
  std::map<std::string, std::vector<double>> by_phase;
};

History ReadHistory(const Store& store, const std::string& model_hash, const std::string& machine_hash) {
  History history;
  const std::vector<RunView> runs = store.Runs();
  for (auto view = runs.rbegin(); view != runs.rend(); ++view) {
    if (view->model.hash != model_hash || view->machine.hash != machine_hash) continue;
    for (const PhaseRow& phase : store.Phases(view->run.id)) {
      if (phase.status != PhaseStatus::kOk || phase.data_id != phase.id || !phase.seconds) continue;
      double seconds = *phase.seconds;
      if (phase.name == "quality") {
        const double items = ItemsOf(phase.settings);
        if (items == 0) continue;
        seconds /= items;
      }
      history.by_method[{phase.name, view->method.text}].push_back(seconds);
      history.by_phase[phase.name].push_back(seconds);
    }
  }
  return history;
}

std::string Runs(size_t count, const std::string& of) {
  return std::to_string(count) + (count == 1 ? " run of " : " runs of ") + of;
}

PhaseEstimate EstimatePhase(const History& history, const Plan& plan, const std::string& phase,
                            const std::string& method) {
  PhaseEstimate estimate{.phase = phase, .basis = "no earlier run"};
  std::vector<double> seconds;
  if (const auto same = history.by_method.find({phase, method}); same != history.by_method.end()) {
    seconds = same->second;
    seconds.resize(std::min(seconds.size(), kNewest));
    estimate.basis = Runs(seconds.size(), "this method");
  } else if (const auto other = history.by_phase.find(phase); other != history.by_phase.end()) {
    seconds = other->second;
    seconds.resize(std::min(seconds.size(), 2 * kNewest));
    estimate.basis = Runs(seconds.size(), "other methods");
  }
  if (seconds.empty()) return estimate;
  estimate.seconds = Median(seconds) * (phase == "quality" ? ItemsOf(plan) : 1);
  return estimate;
}

// The newest finished run of the cell on this machine.
std::optional<int64_t> FinishedRun(const std::vector<RunView>& runs, const Plan& plan,
                                   const PlannedCell& cell, const std::string& machine_hash) {
  const Json settings = CellSettings(plan.request);
  const bool all = plan.request.phases.size() == Phases().size();
  for (auto view = runs.rbegin(); view != runs.rend(); ++view) {
    const bool good = view->run.status == RunStatus::kOk || (!all && view->run.status == RunStatus::kPartial);
    if (good && view->model.hash == cell.subject->hash && view->method.text == cell.method &&
        view->machine.hash == machine_hash && view->cell.settings == settings) {
      return view->run.id;
    }
  }
  return std::nullopt;
}

struct Total {
  double seconds = 0;
  int64_t cells = 0, finished = 0, unknown = 0;  // unknown: phases
};

Total Sum(const std::vector<CellEstimate>& cells) {
  Total total;
  for (const CellEstimate& cell : cells) {
    ++total.cells;
    if (cell.run) ++total.finished;
    for (const PhaseEstimate& phase : cell.phases) {
      total.seconds += phase.seconds.value_or(0);
      if (!phase.seconds) ++total.unknown;
    }
  }
  return total;
}

}  // namespace

std::vector<CellEstimate> EstimatePlan(const Plan& plan, const Store* store) {
  const std::string machine_hash = HashOf(ThisMachine().facts);
  std::map<std::string, History> histories;  // by model
  const std::vector<RunView> runs = store != nullptr ? store->Runs() : std::vector<RunView>();
  std::vector<CellEstimate> estimates;
  for (const PlannedCell& cell : plan.cells) {
    const std::string& hash = cell.subject->hash;
    if (store != nullptr && histories.count(hash) == 0)
      histories[hash] = ReadHistory(*store, hash, machine_hash);
    CellEstimate estimate{.model = cell.subject->name, .method = cell.label};
    if (!plan.request.force) estimate.run = FinishedRun(runs, plan, cell, machine_hash);
    if (!estimate.run) {
      for (const PhaseEntry& phase : Phases()) {
        const auto& asked = plan.request.phases;
        const bool runs_it =
            std::string(phase.name) == "compress" || std::count(asked.begin(), asked.end(), phase.name) != 0;
        if (runs_it) estimate.phases.push_back(EstimatePhase(histories[hash], plan, phase.name, cell.method));
      }
    }
    estimates.push_back(std::move(estimate));
  }
  return estimates;
}

std::string EstimateText(const std::vector<CellEstimate>& cells) {
  std::string text;
  for (const CellEstimate& cell : cells) {
    text += cell.model + " " + cell.method + ":";
    if (cell.run) text += " finished already (run " + std::to_string(*cell.run) + ")";
    for (const PhaseEstimate& phase : cell.phases) {
      text += (&phase == &cell.phases.front() ? " " : ", ") + phase.phase + " ";
      text +=
          phase.seconds ? "about " + FormatDuration(*phase.seconds) + " (" + phase.basis + ")" : phase.basis;
    }
    text += "\n";
  }
  const Total total = Sum(cells);
  text += std::to_string(total.cells) + " cells, " + std::to_string(total.finished) + " finished already; ";
  text += "the rest takes about " + FormatDuration(total.seconds);
  if (total.unknown != 0) {
    text += " and " + std::to_string(total.unknown) + " phases of which no earlier run tells";
  }
  return text + "\n";
}

Json EstimateJson(const std::vector<CellEstimate>& cells) {
  Json list = Json::array();
  for (const CellEstimate& cell : cells) {
    Json phases = Json::array();
    for (const PhaseEstimate& phase : cell.phases) {
      phases.push_back({{"phase", phase.phase},
                        {"seconds", phase.seconds ? Json(*phase.seconds) : Json(nullptr)},
                        {"basis", phase.basis}});
    }
    list.push_back({{"model", cell.model},
                    {"method", cell.method},
                    {"run", cell.run ? Json(*cell.run) : Json(nullptr)},
                    {"phases", phases}});
  }
  const Total total = Sum(cells);
  return {{"cells", list}, {"seconds", total.seconds}, {"unknown_phases", total.unknown}};
}

}  // namespace tnb
