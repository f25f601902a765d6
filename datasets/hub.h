// The Hugging Face hub through its public HTTP interfaces: lists of files with sizes and checksums
// (/api/{models,datasets}/REPO/revision/REV), files (/REPO/resolve/REV/FILE), rows of datasets (the datasets
// server's /rows). What is downloaded is verified: LFS files by SHA-256, others by their git blob id.
//
//   Hub hub(HubOptions::FromEnvironment());
//   const HubRepo repo = hub.List(HubKind::kModel, "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "main");
//   for (const HubFile& file : ModelFiles(repo)) hub.Fetch(repo, file, folder / file.path);
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/http.h"
#include "base/json.h"
#include "datasets/source.h"

namespace tnb {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string datasets_server = "https://datasets-server.huggingface.co";
  std::string token;
  bool offline = false;
  HttpOptions http;  // token and token_site are filled in

  // HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE (1, ON, YES, TRUE) as huggingface_hub reads them, and
  // HF_DATASETS_SERVER (default: "datasets-server." before the endpoint's host).
  static HubOptions FromEnvironment();
};

enum class HubKind { kModel, kDataset };

struct HubFile {
  std::string path;  // within the repository; checked not to leave it
  uint64_t size = 0;
  std::string sha256;    // LFS files
  std::string git_sha1;  // others
};

struct HubRepo {
  HubKind kind = HubKind::kModel;
  std::string name;    // "owner/name"
  std::string commit;  // what the revision meant
  std::vector<HubFile> files;

  const HubFile* Find(const std::string& path) const;
};

using ByteProgress = std::function<void(uint64_t done, uint64_t total)>;

// All methods throw Error{kUsage} for names that no repository can have, Error{kIo} when offline or when the
// hub cannot be reached or refuses (with what to do about a gated repository), Error{kData} for answers that
// do not hold what they should.
class Hub {
 public:
  explicit Hub(HubOptions options);

  HubRepo List(HubKind kind, const std::string& name, const std::string& revision);
  // Downloads one file, resuming; see base/download.h.
  void Fetch(const HubRepo& repo, const HubFile& file, const std::filesystem::path& target,
             const ByteProgress& progress = nullptr);
  // Makes `target` from a source, resuming page by page; `progress` counts rows or bytes.
  void Fetch(const HubSource& source, const std::filesystem::path& target,
             const ByteProgress& progress = nullptr);

 private:
  void RequireOnline(const std::string& what) const;
  Json GetJson(HttpClient& client, const std::string& url, const std::string& name, HubKind kind);
  template <typename Call>
  auto Explained(const std::string& name, HubKind kind, const Call& call);
  void FetchRows(const HubSource& source, const std::filesystem::path& target, const ByteProgress& progress);

  HubOptions options_;
  HttpClient hub_, rows_;
};

// What a model's folder needs: config, tokenizer and safetensors files, config.json last, so that a folder
// with config.json is complete. Error{kUnsupported} when there are no safetensors files.
std::vector<HubFile> ModelFiles(const HubRepo& repo);

}  // namespace tnb
