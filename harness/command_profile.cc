#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "harness/command.h"
#include "harness/driver.h"
#include "harness/metric_shapes.h"
#include "harness/plan.h"
#include "harness/profile_plan.h"
#include "harness/profile_proxies.h"
#include "methods/recipe.h"
#include "reports/numbers.h"
#include "reports/profile_loss.h"
#include "reports/render.h"

namespace tnb {
namespace {

const char kMethods[] = "svd:keep=0.8,svd:keep=0.5,svd:keep=0.2";

struct ProfileOptions {
  RunOptions run;
  PlaceRequest places;
  std::string data, out, format = "text";
  double budget = 0.6;
  bool keep_artefacts = false, no_proxies = false, dry_run = false;
};

struct Point {
  std::string method, text;  // as given, and with the place's selector
  ProfilePlace place;
};

// The options of tnbench run without those that a profile sets itself.
std::vector<std::string> Remaining(const ProfileOptions& options, std::string* methods) {
  *methods = kMethods;
  std::vector<std::string> arguments;
  const std::vector<std::string> given = options.run.given();
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] == "--method") {
      *methods = given.at(++i);
    } else if (given[i] == "--phases" || given[i] == "--no-base" || given[i] == "--weights") {
      throw Error(ErrorKind::kUsage, {"a profile measures the loss against the dense model", "",
                                      given[i] + " was given", "", "leave it out"});
    } else {
      arguments.push_back(given[i]);
    }
  }
  return arguments;
}

// The model with the base method alone, which is all that is known before the places are.
Plan BasePlan(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--method", "fp32", "--phases", "compress"});
  RunRequest request = ParseRunArguments(arguments, "the command line");
  if (request.models.size() != 1) {
    throw Error(ErrorKind::kUsage, {"a profile is of one model", "one name",
                                    std::to_string(request.models.size()), "--model", ""});
  }
  request.methods = request.base;
  return ExpandCells(std::move(request));
}

std::vector<Point> PlanPoints(const ModelConfig& config, const std::string& methods,
                              const ProfileOptions& options) {
  std::vector<Point> points;
  for (const std::string& method : SplitMethodList(methods)) {
    for (const ProfilePlace& place : PlanPlaces(config, method, options.places)) {
      points.push_back({method, MethodAt(method, place.selector), place});
    }
  }
  return points;
}

Plan PlanCells(std::vector<std::string> arguments, const std::vector<Point>& points,
               const std::string& task) {
  std::string methods;
  for (const Point& point : points) methods += (methods.empty() ? "" : ",") + point.text;
  arguments.insert(arguments.end(),
                   {"--method", methods, "--phases", task.empty() ? "compress,drift" : "compress,quality"});
  return ExpandCells(ParseRunArguments(arguments, "the command line"));
}

// The task or group that the loss is measured on, as its metrics are recorded.
std::string TaskOf(const Plan& plan) {
  const std::vector<std::string>& names = plan.request.tasks;
  if (names.size() != 1) {
    throw Error(ErrorKind::kUsage, {"a profile measures one task or group", "",
                                    std::to_string(names.size()) + " tasks", "--tasks", ""});
  }
  const TaskSelection selection = SelectTasks(names);
  return selection.groups.empty() ? LoadTaskSpec(selection.tasks.at(0)).name : selection.groups[0].name;
}

// Runs the cells; artefacts that were not there before go as soon as they are measured.
DriverResult Run(const Plan& plan, Store& store, const ProfileOptions& options) {
  std::set<std::string> own;
  int64_t done = 0;
  const auto begin = [&](const PlannedCell& cell) {
    std::cerr << "profile: cell " << ++done << " of " << plan.cells.size() << ", " << cell.label << "\n";
    const std::filesystem::path path = ArtefactPath(plan, cell);
    if (cell.method != plan.base && !std::filesystem::exists(path)) own.insert(path.string());
    return true;
  };
  const auto ended = [&](const PlannedCell& cell) {
    const std::string path = ArtefactPath(plan, cell).string();
    std::error_code ignored;
    if (!options.keep_artefacts && own.count(path) != 0) std::filesystem::remove(path, ignored);
  };
  return RunPlan(plan, store, {.may_begin = begin, .ended = ended});
}

// What is left of the place's linears, and the mean of their weight errors.
void AddLayers(const Store& store, ProfilePoint& point, const std::vector<std::string>& linears) {
  std::map<std::string, LayerRow> last;
  for (const PhaseRow& phase : store.Phases(point.run_id)) {
    if (phase.name != "compress" || phase.status != PhaseStatus::kOk) continue;
    for (const LayerRow& row : store.Layers(phase.data_id)) {
      const auto [place, fresh] = last.emplace(row.name, row);
      if (!fresh && row.stage_position >= place->second.stage_position) place->second = row;
    }
  }
  double errors = 0;
  size_t known = 0;
  bool codes = false;
  for (const std::string& name : linears) {
    const auto found = last.find(name);
    if (found == last.end()) continue;
    point.parameters += found->second.parameters;
    point.dense_parameters += found->second.rows * found->second.cols;
    codes = codes || found->second.codes_bits > 0;
    if (!found->second.relative_error) continue;
    errors += *found->second.relative_error;
    ++known;
  }
  // Codes are no parameters: of what a quantizer leaves there is no share to keep.
  if (codes) point.parameters = point.dense_parameters = 0;
  if (known > 0 && known == linears.size())
    point.proxies["weight error"] = errors / static_cast<double>(known);
}

LayerProfile ReadProfile(const Store& store, const Plan& plan, const DriverResult& result,
                         const std::vector<Point>& points, const std::string& task) {
  LayerProfile profile{.model = plan.cells.at(0).subject->name};
  std::map<std::string, int64_t> runs;  // by canonical method
  for (size_t i = 0; i < result.runs.size(); ++i) runs[plan.cells[i].method] = result.runs[i];
  const auto base = runs.find(plan.base);
  std::set<std::string> sources;
  for (const Point& point : points) {
    ProfilePoint row{.method = point.method,
                     .place = point.place.name,
                     .block = point.place.block,
                     .kind = point.place.kind};
    const auto run = runs.find(ParseRecipe(point.text).text);
    if (run == runs.end() || base == runs.end()) {
      row.failure = "not begun";
      profile.points.push_back(row);
      continue;
    }
    row.run_id = run->second;
    const ProfileLoss loss = task.empty() ? DriftLoss(store, row.run_id)
                                          : TaskLoss(store, base->second, row.run_id, task, ShapeOfMetric);
    row.loss = loss.loss;
    row.se = loss.se;
    row.failure = loss.failure;
    profile.measure = loss.measure;
    if (loss.loss) sources.insert(loss.source);
    if (loss.loss) profile.unit = loss.unit;
    AddLayers(store, row, point.place.linears);
    profile.points.push_back(row);
  }
  profile.notes.push_back("± one standard error" + std::string(task.empty() ? ", tokens taken as independent"
                                                                            : ", paired item by item"));
  profile.notes.insert(profile.notes.end(), sources.begin(), sources.end());
  return profile;
}

void AddProxies(const Plan& plan, const std::vector<Point>& points, const ProfileOptions& options,
                LayerProfile& profile) {
  const Subject& subject = *plan.cells.at(0).subject;
  std::vector<CalibrationText> texts;
  if (!options.data.empty()) texts.push_back(FindCalibrationText(options.data, plan.request.data_dir));
  for (const Point& point : points) {
    for (const CalibrationText& text : CalibrationTexts(point.text, plan.request.data_dir)) {
      const auto same = [&](const CalibrationText& known) { return known.name == text.name; };
      if (std::none_of(texts.begin(), texts.end(), same)) texts.push_back(text);
    }
  }
  ProfileProxies proxies(subject.config, {.name = subject.name, .path = subject.path, .hash = subject.hash},
                         texts, options.data, plan.request.artefacts);
  for (size_t i = 0; i < points.size(); ++i) {
    std::cerr << "profile: proxies of " << points[i].text << ", " << i + 1 << " of " << points.size() << "\n";
    for (const auto& [name, value] : proxies.Of(points[i].place.linears, points[i].text)) {
      profile.points[i].proxies[name] = value;
    }
  }
  if (options.data.empty()) profile.notes.push_back("output errors need a text: --data FILE");
}

void WriteKeep(const ModelConfig& config, const std::string& methods, const ProfileOptions& options,
               const LayerProfile& profile) {
  const std::string method = SplitMethodList(methods).front();
  const auto keep = KeepOfProfile(profile, SelectLinears(config, method, options.places), options.budget);
  WriteFileAtomically(options.out, Json(keep).dump(2) + "\n");
  std::cerr << "profile: " << options.out << " says how much of each linear to keep, "
            << FormatFixed(100 * options.budget, 1) << " % in all\n";
}

int Profile(const ProfileOptions& options) {
  const ReportFormat format = ReportFormatFrom(options.run.json() ? "json" : options.format);
  std::string methods;
  const std::vector<std::string> arguments = Remaining(options, &methods);
  const bool on_task = std::count(arguments.begin(), arguments.end(), "--tasks") != 0;
  const Plan base = BasePlan(arguments);
  const ModelConfig& config = base.cells.at(0).subject->config;
  const std::vector<Point> points = PlanPoints(config, methods, options);
  const std::string task = on_task ? TaskOf(base) : "";
  const Plan plan = PlanCells(arguments, points, task);
  if (options.dry_run) {
    for (const PlannedCell& cell : plan.cells) std::cout << cell.label << "\n";
    return 0;
  }
  Store store = Store::Open(options.run.db());
  const DriverResult result = Run(plan, store, options);
  LayerProfile profile = ReadProfile(store, plan, result, points, task);
  if (!options.no_proxies && !result.interrupted) AddProxies(plan, points, options, profile);
  std::vector<Table> tables = {HeatMap(profile), PointTable(profile)};
  if (!options.no_proxies) tables.push_back(ProxyTable(profile));
  std::cout << RenderTables(tables, format, TerminalWidth());
  if (result.interrupted) return 130;
  if (!options.out.empty()) WriteKeep(config, methods, options, profile);
  return result.failed ? 1 : 0;
}

}  // namespace

std::function<int()> DeclareProfile(OptionList& command) {
  auto options = std::make_shared<ProfileOptions>();
  options->run = DeclareRunOptions(command);
  command.Add("--by", options->places.by, "what is compressed alone: a layer, a kind of layers, or a block")
      .OneOf({"layer", "kind", "block"})
      .ShowDefault();
  command.Add("--layers", options->places.layers,
              "selector of the layers that are profiled (default: what each method compresses by default)");
  command.Add(
      "--blocks", options->places.blocks,
      "a list, all, or auto: the first, at 1/6 and 1/2 of the depth, and the last (default: auto; by kind: "
      "all)");
  command.Add("--data", options->data, "text on which the output error, a proxy, is measured");
  command.Flag("--no-proxies", options->no_proxies, "only the losses");
  command.Add("--out", options->out, "also write how much of each layer to keep, as JSON");
  command.Add("--budget", options->budget, "with --out: how much to keep in all")
      .Between(0.0, 1.0)
      .ShowDefault();
  command.Flag("--keep-artefacts", options->keep_artefacts,
               "do not remove each compressed model when it is measured");
  command.Flag("--dry-run", options->dry_run, "print the cells and end");
  command.Add("--format", options->format, "text, md, csv, json, latex or html").ShowDefault();
  return [options] { return Profile(*options); };
}

}  // namespace tnb
