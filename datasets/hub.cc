#include "datasets/hub.h"

#include <algorithm>
#include <cstdlib>
#include <regex>

#include "base/download.h"
#include "base/partial_file.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest =
    100;  // levels of an answer's JSON: copies and dumps of deeper ones could end the stack
constexpr int64_t kPageRows = 100;  // the most that the datasets server gives at once

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string WithoutSlash(std::string url) {
  while (!url.empty() && url.back() == '/') url.pop_back();
  return url;
}

HttpOptions WithToken(HttpOptions http, const std::string& token, const std::string& site) {
  http.token = token;
  http.token_site = site;
  return http;
}

// Whether `site` is `parent` or lies below its host, so that the parent's token may go there.
bool BelongsTo(const std::string& site, const std::string& parent) {
  const std::string child = SiteOf(site), whole = SiteOf(parent);
  const size_t scheme = whole.find("://") + 3;
  const std::string host = whole.substr(scheme);
  return child == whole || (child.starts_with(whole.substr(0, scheme)) && child.ends_with("." + host));
}

void CheckName(const std::string& name) {
  static const std::regex legal("[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?");
  if (!std::regex_match(name, legal) || name.find("..") != std::string::npos || name.starts_with('.')) {
    throw Error(ErrorKind::kUsage, {"not the name of a repository", "owner/name", "'" + name + "'", "", ""});
  }
}

// File names come from the network and become paths here.
bool StaysInside(const std::string& path) {
  if (path.empty() || path.size() > 1000 || path[0] == '/' || path.find('\\') != std::string::npos ||
      std::any_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    return false;
  }
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

bool IsHex(const std::string& text, size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Json ParseAnswer(const std::string& text, const std::string& where) {
  const auto callback = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kDeepest)
      throw Error(ErrorKind::kData, {"the answer is nested too deeply", "", "", where, ""});
    return true;
  };
  try {
    return Json::parse(text, callback);
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::kData,
                {"the answer is not valid JSON", "", error.what(), where, "does HF_ENDPOINT name a hub?"});
  }
}

HubFile FileFromJson(const Json& entry, const std::string& where) {
  HubFile file;
  file.path = Require<std::string>(entry, "rfilename", where);
  if (!StaysInside(file.path)) {
    throw Error(ErrorKind::kData,
                {"a file of the repository has an unsafe name", "a relative path", file.path, where, ""});
  }
  const std::string inside = where + ", " + file.path;
  if (entry.contains("lfs") && entry["lfs"].is_object()) {
    file.size = Require<uint64_t>(entry["lfs"], "size", inside);
    file.sha256 = Require<std::string>(entry["lfs"], "sha256", inside);
  } else {
    file.size = Require<uint64_t>(entry, "size", inside);
    file.git_sha1 = Require<std::string>(entry, "blobId", inside);
  }
  if (!IsHex(file.sha256, 64) && !IsHex(file.git_sha1, 40)) {
    throw Error(ErrorKind::kData, {"a file has no checksum", "", file.sha256 + file.git_sha1, inside, ""});
  }
  return file;
}

}  // namespace

HubOptions HubOptions::FromEnvironment() {
  HubOptions options;
  if (const std::string endpoint = Environment("HF_ENDPOINT"); !endpoint.empty()) {
    options.endpoint = WithoutSlash(endpoint);
    const std::string site = SiteOf(options.endpoint);
    const size_t host = site.find("://") + 3;
    options.datasets_server = site.substr(0, host) + "datasets-server." + site.substr(host);
  }
  if (const std::string server = Environment("HF_DATASETS_SERVER"); !server.empty()) {
    options.datasets_server = WithoutSlash(server);
  }
  options.token = Environment("HF_TOKEN");
  while (!options.token.empty() && (options.token.back() == '\n' || options.token.back() == '\r')) {
    options.token.pop_back();  // of a file that was read with its line end
  }
  std::string offline = Environment("HF_HUB_OFFLINE");
  std::transform(offline.begin(), offline.end(), offline.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  options.offline = offline == "1" || offline == "ON" || offline == "YES" || offline == "TRUE";
  return options;
}

const HubFile* HubRepo::Find(const std::string& path) const {
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const HubFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

Hub::Hub(HubOptions options)
    : options_(std::move(options)),
      hub_(WithToken(options_.http, options_.token, options_.endpoint)),
      rows_(WithToken(options_.http,
                      BelongsTo(options_.datasets_server, options_.endpoint) ? options_.token : "",
                      options_.datasets_server)) {}

void Hub::RequireOnline(const std::string& what) const {
  if (!options_.offline) return;
  throw Error(ErrorKind::kIo,
              {"offline, and " + what + " is not on this machine", "", "", "",
               "fetch it without --offline and HF_HUB_OFFLINE, or copy it from another machine"});
}

// Says what to do about the statuses that users meet.
template <typename Call>
auto Hub::Explained(const std::string& name, HubKind kind, const Call& call) {
  try {
    return call();
  } catch (const HttpStatusError& error) {
    const std::string page = options_.endpoint + (kind == HubKind::kDataset ? "/datasets/" : "/") + name;
    ErrorDetail detail = error.detail();
    if (error.status() == 401 || error.status() == 403) {
      detail.what = "the hub does not let us read " + name + ": " + detail.what;
      detail.hint = (options_.token.empty()
                         ? "it may be gated: accept its license at " + page +
                               ", then set HF_TOKEN to a token of your account"
                         : "accept its license at " + page + " with the account that HF_TOKEN belongs to") +
                    "; or check the name";
    } else if (error.status() == 404) {
      detail.what = "the hub has no such file, revision or repository: " + name;
      detail.hint = "look at " + page + "; a private repository needs HF_TOKEN";
    } else {
      throw;
    }
    throw HttpStatusError(detail, error.status());
  }
}

Json Hub::GetJson(HttpClient& client, const std::string& url, const std::string& name, HubKind kind) {
  return Explained(name, kind,
                   [&] { return ParseAnswer(client.Get(url).body, url.substr(0, url.find('?'))); });
}

HubRepo Hub::List(HubKind kind, const std::string& name, const std::string& revision) {
  CheckName(name);
  RequireOnline(name);
  const std::string url = options_.endpoint + (kind == HubKind::kModel ? "/api/models/" : "/api/datasets/") +
                          name + "/revision/" + UrlEncode(revision) + "?blobs=true";
  const Json json = GetJson(hub_, url, name, kind);
  HubRepo repo;
  repo.kind = kind;
  repo.name = name;
  repo.commit = Require<std::string>(json, "sha", url);
  if (!IsHex(repo.commit, 40)) {
    throw Error(ErrorKind::kData, {"the hub names no commit", "40 hexadecimal digits", repo.commit, url, ""});
  }
  const Json siblings = Require<Json>(json, "siblings", url);
  if (!siblings.is_array()) throw Error(ErrorKind::kData, {"field 'siblings'", "a list", "", url, ""});
  for (const Json& entry : siblings) repo.files.push_back(FileFromJson(entry, url));
  return repo;
}

void Hub::Fetch(const HubRepo& repo, const HubFile& file, const fs::path& target,
                const ByteProgress& progress) {
  RequireOnline(file.path);
  const std::string url = options_.endpoint + (repo.kind == HubKind::kDataset ? "/datasets/" : "/") +
                          repo.name + "/resolve/" + repo.commit + "/" + UrlEncode(file.path, true);
  Explained(repo.name, repo.kind, [&] {
    Download(hub_, {url, target, file.size, file.sha256, file.git_sha1}, progress);
    return 0;
  });
}

void Hub::Fetch(const HubSource& source, const fs::path& target, const ByteProgress& progress) {
  CheckName(source.hub);
  if (!StaysInside(source.file)) {
    throw Error(ErrorKind::kUsage,
                {"not a file below the data folder", "a relative path", source.file, "", ""});
  }
  RequireOnline(source.file);
  if (source.path.empty()) return FetchRows(source, target, progress);
  const HubRepo repo = List(HubKind::kDataset, source.hub, source.revision);
  const HubFile* file = repo.Find(source.path);
  if (file == nullptr) {
    throw Error(ErrorKind::kIo, {"the repository has no such file", source.path, "", source.hub,
                                 "look at " + options_.endpoint + "/datasets/" + source.hub});
  }
  Fetch(repo, *file, target, progress);
}

// A page of rows from the datasets server: {"rows": [{"row_idx", "row", "truncated_cells"}],
// "num_rows_total"}.
void Hub::FetchRows(const HubSource& source, const fs::path& target, const ByteProgress& progress) {
  PartialFile partial(target);
  const Json identity = {{"server", options_.datasets_server},
                         {"hub", source.hub},
                         {"config", source.config},
                         {"split", source.split},
                         {"text", source.text},
                         {"total", source.items}};
  int64_t done = 0, total = -1;
  // The note says how many rows the first bytes of the partial file hold.
  if (const Json note = Json::parse(partial.note(), nullptr, false);
      note.is_object() && note.value("source", Json()) == identity &&
      note.value("bytes", Json()).is_number_unsigned() && note.value("rows", Json()).is_number_unsigned() &&
      note.value("total", Json()).is_number_unsigned() && note["bytes"].get<uint64_t>() <= partial.size()) {
    partial.Truncate(note["bytes"].get<uint64_t>());
    done = note["rows"].get<int64_t>();
    total = note["total"].get<int64_t>();
  } else {
    partial.Restart("");
  }
  const std::string base = options_.datasets_server + "/rows?dataset=" + UrlEncode(source.hub) +
                           "&config=" + UrlEncode(source.config) + "&split=" + UrlEncode(source.split);
  const std::string where = source.hub + " " + source.config + " " + source.split;
  const auto fail = [&](const std::string& what, const std::string& expected, const std::string& found) {
    return Error(ErrorKind::kData, {what, expected, found, where,
                                    "get the data elsewhere, and give its folder with "
                                    "--data-dir"});
  };
  while (total < 0 || done < total) {
    const Json page =
        GetJson(rows_, base + "&offset=" + std::to_string(done) + "&length=" + std::to_string(kPageRows),
                source.hub, HubKind::kDataset);
    const auto rows = Require<Json>(page, "rows", where);
    const auto now = Require<int64_t>(page, "num_rows_total", where);
    if (Optional<bool>(page, "partial", false, where)) {
      throw fail("the datasets server has only a part of this dataset", "all rows", "");
    }
    if (source.items > 0 && now != source.items) {
      throw fail("the dataset has another number of rows", std::to_string(source.items), std::to_string(now));
    }
    if (total >= 0 && now != total) {
      partial.Remove();
      throw fail("the dataset changed while it was fetched", std::to_string(total) + " rows",
                 std::to_string(now));
    }
    total = now;
    if (total <= 0 || !rows.is_array() || rows.empty() || static_cast<int64_t>(rows.size()) > total - done) {
      throw fail("the datasets server gives another number of rows than asked for",
                 std::to_string(std::min(kPageRows, total - done)),
                 rows.is_array() ? std::to_string(rows.size()) : "");
    }
    std::string lines;
    for (const Json& entry : rows) {
      if (Require<int64_t>(entry, "row_idx", where) != done) {
        throw fail("the rows are out of order", std::to_string(done), entry["row_idx"].dump());
      }
      if (!Optional<Json>(entry, "truncated_cells", Json::array(), where).empty()) {
        throw fail("the datasets server cuts long values, as in row " + std::to_string(done), "", "");
      }
      const Json row = Require<Json>(entry, "row", where);
      if (!row.is_object() || row.empty())
        throw fail("a row is not an object", "{...}", row.dump().substr(0, 60));
      if (source.text.empty()) {
        lines += row.dump() + "\n";
      } else {
        const auto text = Require<std::string>(row, source.text, where);
        lines += text.empty() ? " \n" : text;
      }
      ++done;
    }
    partial.Append(lines);
    partial.SetNote(
        Json{{"source", identity}, {"rows", done}, {"total", total}, {"bytes", partial.size()}}.dump());
    if (progress) progress(static_cast<uint64_t>(done), static_cast<uint64_t>(total));
  }
  partial.Finish();
}

std::vector<HubFile> ModelFiles(const HubRepo& repo) {
  static const std::regex weights(
      "model(-[0-9]+-of-[0-9]+)?\\.safetensors|model\\.safetensors\\.index\\.json");
  static const char* const others[] = {"generation_config.json",  "tokenizer.json",    "tokenizer.model",
                                       "tokenizer_config.json",   "vocab.json",        "merges.txt",
                                       "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"};
  std::vector<HubFile> files;
  bool has_weights = false;
  for (const HubFile& file : repo.files) {
    if (std::regex_match(file.path, weights)) {
      files.push_back(file);
      has_weights = true;
    } else if (std::find(std::begin(others), std::end(others), file.path) != std::end(others)) {
      files.push_back(file);
    }
  }
  const HubFile* config = repo.Find("config.json");
  if (!has_weights || config == nullptr) {
    throw Error(
        ErrorKind::kUnsupported,
        {"the repository holds no model that tnbench can read", "config.json and model*.safetensors", "",
         repo.name, "look for a repository with safetensors files, or convert it with transformers"});
  }
  files.push_back(*config);
  return files;
}

}  // namespace tnb
