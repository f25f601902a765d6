#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "harness/command.h"
#include "methods/recipe.h"
#include "methods/stage.h"
#include "models/known.h"
#include "tasks/check.h"
#include "tasks/family.h"
#include "tasks/sources.h"
#include "tasks/task.h"

namespace tnb {
namespace {

struct ListOptions {
  std::string what, check, data_dir;
  bool json = false;
};

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string Pad(const std::string& text, size_t width) {
  return text.size() < width ? text + std::string(width - text.size(), ' ') : text;
}

std::string Text(const Json& json, const char* key) { return json.at(key).get<std::string>(); }

std::string Range(const ParameterDescription& parameter) {
  std::ostringstream range;
  switch (parameter.type) {
    case ParameterDescription::Type::kInteger:
    case ParameterDescription::Type::kReal:
      range << parameter.least << " to " << parameter.most;
      break;
    case ParameterDescription::Type::kChoice:
      range << Join(parameter.choices);
      break;
    case ParameterDescription::Type::kText:
      range << "text";
      break;
  }
  return range.str();
}

Json MethodsJson() {
  Json list = Json::array();
  for (const StageEntry& entry : StageRegistry()) {
    const StageDescription& stage = entry.description;
    Json parameters = Json::array();
    for (const ParameterDescription& parameter : stage.parameters) {
      parameters.push_back(
          {{"name", parameter.name},
           {"range", Range(parameter)},
           {"default", parameter.fallback.empty() ? Json(nullptr) : Json(parameter.fallback)},
           {"when", parameter.when.empty() ? Json(nullptr) : Json(parameter.when)},
           {"help", parameter.help}});
    }
    list.push_back({{"name", stage.name},
                    {"group", stage.group},
                    {"summary", stage.summary},
                    {"parameters", parameters},
                    {"selector", stage.selector},
                    {"takes_embedding", stage.takes_embedding},
                    {"reference", stage.reference}});
  }
  for (const Preset& preset : Presets()) {
    list.push_back({{"name", preset.name}, {"recipe", preset.recipe}, {"summary", preset.about}});
  }
  return list;
}

void PrintMethods(const Json& list) {
  for (const Json& stage : list) {
    std::cout << Pad(Text(stage, "name"), 8) << " " << Text(stage, "summary") << "\n";
    if (stage.contains("recipe")) {  // a preset
      std::cout << "    " << Text(stage, "recipe") << "\n";
      continue;
    }
    for (const Json& parameter : stage.at("parameters")) {
      const bool optional = parameter.at("default").is_null();
      const Json& when = parameter.at("when");
      std::cout << "    " << Pad(Text(parameter, "name"), 10) << " " << Text(parameter, "range") << " ("
                << (optional ? "optional" : "default " + Text(parameter, "default"))
                << (when.is_null() ? std::string() : std::string(", with ") + when.get<std::string>())
                << "): " << Text(parameter, "help") << "\n";
    }
    const std::string reference = Text(stage, "reference");
    std::cout << "    @" << Text(stage, "selector") << (reference.empty() ? "" : "; " + reference) << "\n";
  }
  std::cout << "\nStages are joined by +, from left to right: mpo:keep=0.6+int8@attn/mlp\n";
}

Json ModelsJson() {
  Json list = Json::array();
  for (const KnownModel& model : KnownModels()) {
    std::error_code ignored;
    const bool here = std::filesystem::exists(model.Folder(), ignored);
    list.push_back(
        {{"name", model.name},
         {"parameters", model.parameters},
         {"description", model.description},
         {"source", !model.shipped.empty() ? "part of tnbench"
                    : here                 ? "in the cache"
                    : model.source         ? "fetched on first use"
                                           : "your own files: --model PATH, or " + model.Folder().string()}});
  }
  return list;
}

void PrintModels(const Json& list) {
  for (const Json& model : list) {
    const double millions = model.at("parameters").get<double>() / 1e6;
    std::cout << Pad(Text(model, "name"), 16) << " " << std::fixed << std::setprecision(millions < 10 ? 1 : 0)
              << millions << " M parameters; " << Text(model, "description") << "; " << Text(model, "source")
              << "\n";
  }
  std::cout << "\nAny Hugging Face folder, .gguf or llama2.c .bin file does as well: --model PATH\n";
}

Json TaskJson(const TaskSpec& spec) {
  return {{"name", spec.name},           {"form", ToString(spec.form)}, {"metric", spec.main_metric},
          {"shots", spec.fewshot.count}, {"version", spec.version},     {"description", spec.description}};
}

// One entry a task file: the tasks of a family stand in its entry.
Json TasksJson() {
  Json list = Json::array();
  for (const std::filesystem::path& file : TaskFiles()) {
    Json entry = TaskJson(ReadTaskSpec(file));
    if (const auto family = ReadFamily(LocatedJson(ReadFile(file), file.string()))) {
      entry["name"] = family->name;
      for (const TaskGroup& group : family->groups) entry["groups"][group.name] = group.tasks;
    }
    list.push_back(entry);
  }
  return list;
}

void PrintTasks(const Json& list) {
  for (const Json& task : list) {
    std::cout << Pad(Text(task, "name"), 20) << " " << Pad(Text(task, "form"), 16) << " "
              << Pad(Text(task, "metric"), 16) << " " << task.at("shots") << "-shot  "
              << Text(task, "description") << "\n";
    if (!task.contains("groups")) continue;
    std::cout << std::string(21, ' ') << "groups:";
    for (const auto& [group, members] : task.at("groups").items()) {
      std::cout << " " << group << " (" << members.size() << ")";
    }
    std::cout << "\n";
  }
}

// What a task (or all tasks of a family together) would be evaluated on, or why it cannot be.
Json DatasetJson(const std::string& name, const std::vector<std::string>& tasks,
                 const std::string& data_dir) {
  Json entry = {{"task", name}};
  if (tasks.size() > 1) entry["tasks"] = tasks.size();
  try {
    size_t items = 0;
    std::string hashes;
    for (const std::string& each : tasks) {
      const Task task(LoadTaskSpec(each), {.data_dir = data_dir});
      items += task.dataset().documents.size();
      hashes += task.dataset().sha256;
      if (!entry.contains("path"))
        entry.update({{"split", task.spec().split}, {"path", task.dataset().path}});
    }
    entry["items"] = items;
    entry["sha256"] = tasks.size() == 1 ? hashes : Sha256Hex(hashes);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kData) throw;
    entry["missing"] = error.what();
    TaskSpec spec = LoadTaskSpec(tasks.at(0));
    spec.name = name;  // a family is fetched as a whole
    entry["hint"] = error.kind() == ErrorKind::kIo ? FetchHint(spec) : error.what();
  }
  return entry;
}

Json DatasetsJson(const std::string& data_dir) {
  Json list = Json::array();
  for (const Json& task : TasksJson()) {
    const std::string name = Text(task, "name");
    std::vector<std::string> tasks = {name};
    if (task.contains("groups")) tasks = task.at("groups").at(name).get<std::vector<std::string>>();
    list.push_back(DatasetJson(name, tasks, data_dir));
  }
  return list;
}

void PrintDatasets(const Json& list) {
  for (const Json& entry : list) {
    std::cout << Pad(Text(entry, "task"), 20) << " ";
    if (entry.contains("missing")) {
      std::cout << "missing: " << Text(entry, "hint") << "\n";
    } else {
      std::cout << entry.at("items") << " items"
                << (entry.contains("tasks") ? " of " + entry.at("tasks").dump() + " tasks" : "") << ", "
                << Text(entry, "split") << ", " << Text(entry, "path") << ", sha256 "
                << Text(entry, "sha256").substr(0, 12) << "\n";
    }
  }
}

int CheckTask(const ListOptions& options) {
  const TaskCheck check = CheckTaskFile(options.check, {.data_dir = options.data_dir});
  for (const std::string& problem : check.problems) std::cerr << "tnbench: error: " << problem << "\n";
  if (!check.problems.empty()) return 2;
  std::cout << options.check << ": " << check.summary;
  for (const std::string& note : check.notes) std::cout << "  note: " << note << "\n";
  std::cout << "tnbench show task " << options.check << " --doc 0 shows what a model is asked\n";
  return 0;
}

int List(const ListOptions& options) {
  if (!options.check.empty()) {
    if (options.what != "tasks") {
      throw Error(ErrorKind::kUsage, "--check is for task files", "tnbench list tasks --check FILE");
    }
    return CheckTask(options);
  }
  Json list;
  void (*print)(const Json&) = nullptr;
  if (options.what == "methods") {
    list = MethodsJson();
    print = PrintMethods;
  } else if (options.what == "models") {
    list = ModelsJson();
    print = PrintModels;
  } else if (options.what == "tasks") {
    list = TasksJson();
    print = PrintTasks;
  } else {
    list = DatasetsJson(options.data_dir);
    print = PrintDatasets;
  }
  if (options.json) {
    std::cout << list.dump(2) << "\n";
  } else {
    print(list);
  }
  return 0;
}

}  // namespace

std::function<int()> DeclareList(OptionList& command) {
  auto options = std::make_shared<ListOptions>();
  command.Add("what", options->what, "methods, models, tasks or datasets")
      .Required()
      .OneOf({"methods", "models", "tasks", "datasets"});
  command.Add("--check", options->check,
              "with tasks: checks a task file, naming line and field of what is wrong");
  command.Add("--data-dir", options->data_dir, "folder of the datasets");
  command.Flag("--json", options->json, "as JSON");
  return [options] { return List(*options); };
}

}  // namespace tnb
