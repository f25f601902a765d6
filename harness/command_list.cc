#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "base/error.h"
#include "harness/command.h"
#include "methods/stage.h"
#include "models/known.h"
#include "tasks/task.h"

namespace tnb {
namespace {

struct Options {
  std::string what, check, data_dir;
  bool json = false;
};

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string Range(const ParameterDescription& parameter) {
  switch (parameter.type) {
    case ParameterDescription::Type::kInteger:
      return fmt::format("{} to {}", static_cast<int64_t>(parameter.least),
                         static_cast<int64_t>(parameter.most));
    case ParameterDescription::Type::kReal:
      return fmt::format("{} to {}", parameter.least, parameter.most);
    case ParameterDescription::Type::kChoice:
      return Join(parameter.choices);
    case ParameterDescription::Type::kText:
      return "text";
  }
  return "";
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
  return list;
}

void PrintMethods(const Json& list) {
  for (const Json& stage : list) {
    fmt::print("{:<10} {}\n", stage["name"].get<std::string>(), stage["summary"].get<std::string>());
    for (const Json& parameter : stage["parameters"]) {
      const std::string fallback =
          parameter["default"].is_null() ? "optional" : "default " + parameter["default"].get<std::string>();
      fmt::print("    {:<10} {} ({}): {}\n", parameter["name"].get<std::string>(),
                 parameter["range"].get<std::string>(), fallback, parameter["help"].get<std::string>());
    }
    fmt::print("    @{}{}\n", stage["selector"].get<std::string>(),
               stage["reference"] == "" ? "" : "; " + stage["reference"].get<std::string>());
  }
  fmt::print("\nStages are joined by +, from left to right: mpo:keep=0.6+int8@attn/mlp\n");
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
         {"source", here           ? "in the cache"
                    : model.source ? "fetched on first use"
                                   : "your own files: --model PATH, or " + model.Folder().string()}});
  }
  return list;
}

void PrintModels(const Json& list) {
  for (const Json& model : list) {
    fmt::print("{:<16} {:>8.0f} M  {}; {}\n", model["name"].get<std::string>(),
               static_cast<double>(model["parameters"].get<int64_t>()) / 1e6,
               model["description"].get<std::string>(), model["source"].get<std::string>());
  }
  fmt::print("\nAny Hugging Face folder, .gguf or llama2.c .bin file does as well: --model PATH\n");
}

Json TaskJson(const TaskSpec& spec) {
  return {{"name", spec.name},           {"form", ToString(spec.form)}, {"metric", spec.main_metric},
          {"shots", spec.fewshot.count}, {"version", spec.version},     {"description", spec.description}};
}

Json TasksJson() {
  Json list = Json::array();
  for (const std::string& name : ListTasks()) list.push_back(TaskJson(LoadTaskSpec(name)));
  return list;
}

void PrintTasks(const Json& list) {
  for (const Json& task : list) {
    fmt::print("{:<20} {:<16} {:<12} {}-shot  {}\n", task["name"].get<std::string>(),
               task["form"].get<std::string>(), task["metric"].get<std::string>(),
               task["shots"].get<int64_t>(), task["description"].get<std::string>());
  }
}

// What each task would be evaluated on, or why it cannot be.
Json DatasetsJson(const std::string& data_dir) {
  Json list = Json::array();
  for (const std::string& name : ListTasks()) {
    Json entry = {{"task", name}};
    try {
      const Task task(LoadTaskSpec(name), {.data_dir = data_dir});
      entry.update({{"items", task.dataset().documents.size()},
                    {"split", task.spec().split},
                    {"path", task.dataset().path},
                    {"sha256", task.dataset().sha256}});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kData) throw;
      entry["missing"] = error.what();
    }
    list.push_back(entry);
  }
  return list;
}

void PrintDatasets(const Json& list) {
  for (const Json& entry : list) {
    const auto task = entry["task"].get<std::string>();
    if (entry.contains("missing")) {
      fmt::print("{:<20} not there: {}\n", task, entry["missing"].get<std::string>());
    } else {
      fmt::print("{:<20} {:>6} items  {:<10} {}  sha256 {}\n", task, entry["items"].get<int64_t>(),
                 entry["split"].get<std::string>(), entry["path"].get<std::string>(),
                 entry["sha256"].get<std::string>().substr(0, 12));
    }
  }
}

int List(const Options& options) {
  if (!options.check.empty()) {
    if (options.what != "tasks") {
      throw Error(ErrorKind::kUsage, "--check is for task files", "tnbench list tasks --check FILE");
    }
    const TaskSpec spec = ReadTaskSpec(options.check);
    std::cout << options.check << ": task '" << spec.name << "' is well-formed\n";
    return 0;
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
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

std::function<int()> DeclareList(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("what", options->what, "methods, models, tasks or datasets")
      ->required()
      ->check(CLI::IsMember({"methods", "models", "tasks", "datasets"}));
  app.add_option("--check", options->check,
                 "with tasks: checks a task file, naming line and field of what is wrong");
  app.add_option("--data-dir", options->data_dir, "folder of the datasets");
  app.add_flag("--json", options->json, "as JSON");
  return [options] { return List(*options); };
}

}  // namespace tnb
