#include "harness/resume.h"

#include <map>

#include "base/error.h"

namespace tnb {
namespace {

// Settings of a phase without its lists of tasks and of groups of them.
Json Surroundings(Json settings) {
  settings.erase("tasks");
  settings.erase("groups");
  return settings;
}

// Whether two entries of the list of tasks, whatever their numbers of items, ask for the same.
bool SameTask(Json a, Json b) {
  a.erase("items");
  b.erase("items");
  return a == b;
}

}  // namespace

void TakeItems(Store& store, int64_t phase_id, const Json& settings) {
  std::map<std::string, int64_t> missing;
  for (const Json& task : settings.at("tasks")) missing[task.at("task")] = task.at("items");
  for (const PhaseRow& earlier : store.EndedPhases("quality", settings.at("artefact"))) {
    if (Surroundings(earlier.settings) != Surroundings(settings)) continue;
    for (const Json& task : settings.at("tasks")) {
      const std::string name = task.at("task");
      for (const Json& its : earlier.settings.at("tasks")) {
        if (missing[name] == 0 || !SameTask(task, its)) continue;
        missing[name] -= store.CopyItems(earlier.id, phase_id, name, task.at("items"));
      }
    }
  }
}

Json DoneItems(const Store& store, int64_t phase_id, const Json& settings) {
  Json done = Json::object();
  for (const Json& task : settings.at("tasks")) {
    const std::string name = task.at("task");
    for (const ItemRow& item : store.Items(phase_id, name)) {
      done[name].push_back(
          {{"doc", item.doc_index}, {"prompt_sha256", item.prompt_sha256}, {"scores", item.scores}});
    }
  }
  return done;
}

}  // namespace tnb
