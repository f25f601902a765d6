#include "models/known.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/home.h"
#include "models/checkpoint.h"
#include "models/formats/known_models_json.h"
#include "models/formats/nearest.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

std::string GetHint(const KnownModel& model) {
  if (!model.shipped.empty())
    return "it is part of tnbench's source folder: set TNBENCH_HOME to it, or `git checkout` these files";
  if (model.source) return "run `tnbench fetch " + model.name + "`, or pass the path of your own copy";
  return "run `tnbench fetch " + model.name + "` (" + model.hub +
         " on the model hub; licenses may have to be accepted there), pass the path of your own copy with "
         "--model PATH, "
         "or put its files into " +
         model.Folder().string();
}

// What the user put into the model's folder, or nothing.
std::optional<fs::path> FindInCache(const KnownModel& model) {
  const fs::path folder = model.Folder();
  if (model.source && fs::exists(folder / model.source->file)) return folder / model.source->file;
  if (fs::exists(folder / "config.json")) return folder;
  if (!fs::is_directory(folder)) return std::nullopt;
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".gguf") found.push_back(entry.path());
  }
  if (found.size() > 1) {
    throw Error(ErrorKind::kUsage,
                {"several files could be '" + model.name + "'", "one .gguf file",
                 std::to_string(found.size()), folder.string(), "pass the path of the one you mean"});
  }
  if (found.empty()) return std::nullopt;
  return found.front();
}

void CheckShape(const KnownModel& model, const ModelConfig& found, const fs::path& path) {
  const auto shape = [](const ModelConfig& config) {
    return fmt::format("{} {} {} {} {} {} {}", config.vocabulary_size, config.hidden_size,
                       config.intermediate_size, config.block_count, config.head_count, config.kv_head_count,
                       config.head_size);
  };
  if (shape(model.config) == shape(found)) return;
  throw Error(ErrorKind::kData,
              {"the files are not those of '" + model.name +
                   "' (vocabulary, hidden, intermediate, blocks, heads, kv "
                   "heads, head size)",
               shape(model.config), shape(found), path.string(), "pass another model by its path"});
}

std::vector<KnownModel> ParseEmbedded() {
  const std::string where = "models/known_models.json";
  return KnownModelsFromJson(ParseJson(kKnownModelsJson, where), where);
}

}  // namespace

fs::path KnownModel::Folder() const {
  return shipped.empty() ? CacheFolder() / "models" / name : HomeFolder() / shipped;
}

std::vector<KnownModel> KnownModelsFromJson(const Json& json, const std::string& where) {
  if (!json.is_array())
    throw Error(ErrorKind::kData, {"known models", "an array", json.type_name(), where, ""});
  std::vector<KnownModel> models;
  for (const Json& entry : json) {
    KnownModel model;
    model.name = Require<std::string>(entry, "name", where);
    const std::string inside = where + ", " + model.name;
    model.description = Require<std::string>(entry, "description", inside);
    model.hub = Require<std::string>(entry, "hub", inside);
    model.dtype = Require<std::string>(entry, "dtype", inside);
    model.parameters = Require<int64_t>(entry, "parameters", inside);
    model.config = ConfigFromJson(Require<Json>(entry, "config", inside), inside);
    if (model.parameters != model.config.ParameterCount()) {
      throw Error(ErrorKind::kData, {"field 'parameters'", std::to_string(model.config.ParameterCount()),
                                     std::to_string(model.parameters), inside, ""});
    }
    if (entry.contains("shipped")) model.shipped = Require<std::string>(entry, "shipped", inside);
    if (entry.contains("tasks")) model.tasks = Require<std::vector<std::string>>(entry, "tasks", inside);
    if (entry.contains("source")) {
      const Json& source = entry["source"];
      model.source = WheelSource{Require<std::string>(source, "requirement", inside),
                                 Require<std::string>(source, "member", inside),
                                 Require<std::string>(source, "file", inside),
                                 Require<std::string>(source, "dtype", inside),
                                 Require<uint64_t>(source, "bytes", inside),
                                 Require<std::string>(source, "sha256", inside)};
    }
    models.push_back(std::move(model));
  }
  return models;
}

const std::vector<KnownModel>& KnownModels() {
  static const std::vector<KnownModel> models = ParseEmbedded();
  return models;
}

const KnownModel* FindKnown(const std::string& name) {
  const auto found = std::find_if(KnownModels().begin(), KnownModels().end(),
                                  [&](const KnownModel& model) { return model.name == name; });
  return found == KnownModels().end() ? nullptr : &*found;
}

ResolvedModel ResolveModel(const std::string& name_or_path, bool fetch_missing) {
  if (const KnownModel* known = FindKnown(name_or_path)) {
    std::optional<fs::path> path = FindInCache(*known);
    if (!path && fetch_missing && known->source) path = FetchKnown(*known);
    if (!path) {
      throw Error(ErrorKind::kIo, {"model '" + known->name + "' is not on this machine", "", "",
                                   known->Folder().string(), GetHint(*known)});
    }
    ResolvedModel resolved{known->name, *path, OpenCheckpoint(*path)->config(), std::nullopt};
    CheckShape(*known, resolved.config, *path);
    if (known->source && path->filename() == known->source->file) resolved.sha256 = known->source->sha256;
    return resolved;
  }
  const fs::path path(name_or_path);
  if (name_or_path.empty() || !fs::exists(path)) {
    std::vector<std::string> names;
    for (const KnownModel& model : KnownModels()) names.push_back(model.name);
    throw Error(ErrorKind::kUsage,
                {"no model '" + name_or_path + "'",
                 "a known name or the path of a Hugging Face directory, .gguf or llama2.c .bin file", "", "",
                 fmt::format("the nearest known names are {}",
                             fmt::join(NearestNames(name_or_path, names, 3), ", "))});
  }
  const fs::path named = path.has_filename() ? path : path.parent_path();  // "folder/" is named "folder"
  return {fs::is_directory(path) ? named.filename().string() : named.stem().string(), path,
          OpenCheckpoint(path)->config(), std::nullopt};
}

}  // namespace tnb
