#include "tasks/sources.h"

#include <algorithm>

namespace tnb {
namespace {

bool Names(const std::vector<DataFile>& files, const std::string& name) {
  return std::any_of(files.begin(), files.end(), [&](const DataFile& file) {
    return file.file == name || std::any_of(file.lines.begin(), file.lines.end(),
                                            [&](const auto& line) { return line.second == name; });
  });
}

HubSource ReadSource(const LocatedJson& json, const std::string& at, const TaskSpec& spec) {
  json.CheckFields(at, {"hub", "config", "split", "path", "revision", "file", "text", "items"});
  HubSource source;
  source.hub = json.Get<std::string>(at + "/hub", "a repository, \"owner/name\"");
  source.file = json.Get<std::string>(at + "/file", "a file name of this task");
  if (json.Has(at + "/path") == json.Has(at + "/split")) {
    json.Fail(at, "a source has either a split or a path", "one of them");
  }
  source.split = json.Get<std::string>(at + "/split", "a text", "");
  source.path = json.Get<std::string>(at + "/path", "a file of the repository", "");
  for (const char* field : {"/config", "/text", "/items"}) {
    if (!source.path.empty() && json.Has(at + field)) json.Fail(at + field, "has no effect with path");
  }
  if (source.path.empty() && json.Has(at + "/revision"))
    json.Fail(at + "/revision", "has no effect with split");
  source.config = json.Get<std::string>(at + "/config", "a text", "default");
  source.revision = json.Get<std::string>(at + "/revision", "a text", "main");
  source.text = json.Get<std::string>(at + "/text", "a field of the rows", "");
  source.items = json.Get<int64_t>(at + "/items", "a number of rows", 0);
  if (source.items < 0) json.Fail(at + "/items", "out of range", "0 or more", std::to_string(source.items));
  source.examples = Names(spec.fewshot_files, source.file) && !Names(spec.files, source.file);
  if (!source.examples && !Names(spec.files, source.file)) {
    json.Fail(at + "/file", "not a file of this task", "a name in dataset/file or fewshot/file", source.file);
  }
  return source;
}

}  // namespace

std::vector<HubSource> ReadSources(const LocatedJson& json, const TaskSpec& spec) {
  std::vector<HubSource> sources;
  if (!json.Has("/source")) return sources;
  const Json& value = json.root().at("source");
  if (!value.is_array()) return {ReadSource(json, "/source", spec)};
  for (size_t i = 0; i < value.size(); ++i) {
    sources.push_back(ReadSource(json, "/source/" + std::to_string(i), spec));
  }
  return sources;
}

std::string FetchHint(const TaskSpec& spec) {
  const std::string folder = "give the folder of the datasets with --data-dir";
  if (spec.sources.empty()) return folder;
  return "tnbench fetch " + spec.name + ", or " + folder;
}

}  // namespace tnb
