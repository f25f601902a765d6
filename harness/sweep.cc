#include "harness/sweep.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "harness/command.h"

namespace tnb {
namespace {

std::string ValueText(const Json& value, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  if (value.is_array()) {
    std::string text;
    for (const Json& element : value) {
      if (element.is_array()) break;
      text += (text.empty() ? "" : ",") + ValueText(element, where);
    }
    if (!text.empty()) return text;
  }
  throw Error(ErrorKind::kData, {"this is no value of an option", "a text, a number, true or a list of texts",
                                 value.dump().substr(0, 60), where, ""});
}

}  // namespace

std::vector<std::string> RunArguments(const Json& block, const std::string& where) {
  if (!block.is_object()) {
    throw Error(ErrorKind::kData, {"a block of cells is not an object", "{\"method\": ...}",
                                   block.dump().substr(0, 60), where, ""});
  }
  std::vector<std::string> arguments;
  for (const auto& [key, value] : block.items()) {
    if (value.is_boolean()) {
      if (value.get<bool>()) arguments.push_back("--" + key);
      continue;
    }
    arguments.push_back("--" + key);
    arguments.push_back(ValueText(value, where + ", " + key));
  }
  return arguments;
}

std::vector<RunRequest> SweepRequests(const Json& cells, const std::vector<std::string>& extra,
                                      const std::string& where) {
  if (!cells.is_array() || cells.empty()) {
    throw Error(ErrorKind::kData,
                {"there are no cells", "a list of blocks in 'cells'", cells.dump().substr(0, 60), where, ""});
  }
  std::vector<RunRequest> requests;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string block = where + ", block " + std::to_string(i + 1);
    std::vector<std::string> arguments = RunArguments(cells[i], block);
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    requests.push_back(ParseRunArguments(arguments, block));
  }
  return requests;
}

std::vector<Plan> PlanSweep(const std::vector<RunRequest>& requests) {
  std::vector<std::string> models;
  for (const RunRequest& request : requests) {
    for (const std::string& model : request.models) {
      if (std::count(models.begin(), models.end(), model) == 0) models.push_back(model);
    }
  }
  std::vector<Plan> plans;
  for (const std::string& model : models) {
    for (const RunRequest& request : requests) {
      if (std::count(request.models.begin(), request.models.end(), model) == 0) continue;
      RunRequest one = request;
      one.models = {model};
      plans.push_back(ExpandCells(std::move(one)));
    }
  }
  return plans;
}

SweepResult RunSweep(const std::vector<Plan>& plans, Store& store, double max_hours) {
  const auto start = std::chrono::steady_clock::now();
  const auto in_time = [&] {
    const std::chrono::duration<double, std::ratio<3600>> taken = std::chrono::steady_clock::now() - start;
    return max_hours == 0 || taken.count() < max_hours;
  };
  SweepResult result;
  for (const Plan& plan : plans) {
    DriverResult part;
    if (!result.driver.interrupted && in_time()) {
      part = RunPlan(plan, store, {.may_begin = [&](const PlannedCell&) { return in_time(); }});
    }
    for (const int64_t run : part.runs) {
      // Blocks may ask for the same cell.
      if (std::count(result.driver.runs.begin(), result.driver.runs.end(), run) == 0) {
        result.driver.runs.push_back(run);
      }
    }
    result.driver.failed = result.driver.failed || part.failed;
    result.driver.interrupted = result.driver.interrupted || part.interrupted;
    for (size_t i = part.runs.size(); i < plan.cells.size(); ++i) result.remaining.push_back(plan.cells[i]);
  }
  return result;
}

}  // namespace tnb
