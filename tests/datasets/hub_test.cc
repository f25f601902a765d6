// Against a local server that plays the hub (tests/support/hub_server.py).
#include "datasets/hub.h"

#include <fstream>

#include "base/files.h"
#include "base/hash.h"
#include "datasets/reader.h"
#include "tests/support/catch.h"
#include "tests/support/hub_server.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

namespace fs = std::filesystem;

const std::string kCommit(40, 'c');

struct Fixture {
  Environment direct{"no_proxy", "*"};
  HubServer server;
  TemporaryFolder folder;
  std::vector<double> slept;
  HubOptions options;

  Fixture() {
    options.endpoint = server.url();
    options.datasets_server = server.url() + "/viewer";
    options.http.sleep = [this](double seconds) { slept.push_back(seconds); };
  }

  static Json File(const std::string& name, const std::string& content, bool lfs = false) {
    Json file = {{"rfilename", name}, {"size", content.size()}, {"blobId", std::string(40, '0')}};
    if (lfs) file["lfs"] = {{"size", content.size()}, {"sha256", Sha256Hex(content)}, {"pointerSize", 130}};
    return file;
  }
  void PlanRepo(const std::string& api, const Json& files) {
    server.Plan(api + "/revision/main?blobs=true",
                {{{"body", Json{{"sha", kCommit}, {"siblings", files}}.dump()}}});
  }

  HubSource Source() const {
    HubSource source;
    source.hub = "own/set";
    source.split = "test";
    source.file = "set/test.jsonl";
    return source;
  }
  static std::string PagePath(int64_t offset) {
    return "/viewer/rows?dataset=own%2Fset&config=default&split=test&offset=" + std::to_string(offset) +
           "&length=100";
  }
  static Json Page(int64_t offset, int64_t total, int64_t count = 100) {
    Json rows = Json::array();
    for (int64_t i = offset; i < std::min(offset + count, total); ++i) {
      rows.push_back({{"row_idx", i},
                      {"row", {{"n", i}, {"text", i % 2 ? "x\n" : ""}}},
                      {"truncated_cells", Json::array()}});
    }
    return {{"features", Json::array()}, {"rows", rows}, {"num_rows_total", total}, {"partial", false}};
  }
  void PlanRows(int64_t total) {
    for (int64_t offset = 0; offset < total; offset += 100) {
      server.Plan(PagePath(offset), {{{"body", Page(offset, total).dump()}}});
    }
  }
  std::string RowsFailure(ErrorKind kind, const HubSource& source) {
    try {
      Hub(options).Fetch(source, folder / source.file);
    } catch (const Error& error) {
      CHECK(error.kind() == kind);
      CHECK_FALSE(fs::exists(folder / source.file));
      return error.what();
    }
    FAIL("no error");
    return "";
  }
};

template <typename Call>
std::string Message(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a repository is listed and its files are fetched from the listed commit") {
  const std::string weights = HubServer::Bytes(9000);
  Json small = File("config.json", "{}");
  small["blobId"] = "9e26dfeeb6e641a33dae4961196235bdb965b21b";  // git hash-object of "{}"
  PlanRepo("/api/models/own/model",
           {File("model.safetensors", weights, true), small, File("README.md", "x")});
  server.Plan(
      "/own/model/resolve/" + kCommit + "/model.safetensors",
      {{{"status", 302}, {"headers", {{"Location", "http://127.0.0.1:{other}/cdn?X-Amz-Signature=1"}}}}});
  server.Plan("/cdn?X-Amz-Signature=1", {{{"size", 9000}, {"cut", 4000}}, {{"size", 9000}}});
  server.Plan("/own/model/resolve/" + kCommit + "/config.json", {{{"body", "{}"}}});
  options.token = "hf_secret";
  Hub hub(options);
  const HubRepo repo = hub.List(HubKind::kModel, "own/model", "main");
  CHECK(repo.commit == kCommit);
  const std::vector<HubFile> files = ModelFiles(repo);
  REQUIRE(files.size() == 2);
  CHECK(files.back().path == "config.json");  // last: a folder with config.json is complete
  for (const HubFile& file : files) hub.Fetch(repo, file, folder / file.path);
  CHECK(ReadFile(folder / "model.safetensors") == weights);
  CHECK(ReadFile(folder / "config.json") == "{}");
  for (const Json& request : server.Log()) {
    const bool is_cdn = request["path"].get<std::string>().starts_with("/cdn");
    CHECK(request["headers"].contains("authorization") != is_cdn);
  }
}

TEST_CASE_METHOD(Fixture, "refusals say what to do") {
  server.Plan("/api/models/meta/gated/revision/main?blobs=true",
              {{{"status", 401}, {"body", "Access is restricted"}}});
  const auto list = [&](const std::string& name) {
    return Message([&] { Hub(options).List(HubKind::kModel, name, "main"); });
  };
  CHECK_THAT(list("meta/gated"), Contains("accept its license at " + server.url() + "/meta/gated") &&
                                     Contains("set HF_TOKEN") && Contains("Access is restricted"));
  server.Plan("/api/models/meta/gated/revision/main?blobs=true", {{{"status", 403}}});
  options.token = "hf_secret";
  CHECK_THAT(list("meta/gated"), Contains("the account that HF_TOKEN belongs to") && !Contains("hf_secret"));
  CHECK_THAT(list("own/none"), Contains("no such") && Contains("own/none"));
  for (const char* bad : {"", "../x", "a/b/c", "a b", "a/..", "x?y"})
    CHECK_THAT(list(bad), Contains("owner/name"));
  options.offline = true;
  CHECK_THAT(list("own/model"), Contains("offline") && Contains("HF_HUB_OFFLINE"));
  CHECK(slept.empty());
}

TEST_CASE_METHOD(Fixture, "a listing is not believed") {
  const auto list = [&](const Json& files) {
    PlanRepo("/api/models/own/model", files);
    return Message([&] { Hub(options).List(HubKind::kModel, "own/model", "main"); });
  };
  for (const char* name : {"../x", "/etc/x", "a/../../x", "a\\b", "", "a//b", "./x", "a\nb"}) {
    CAPTURE(name);
    CHECK_THAT(list(Json::array({File(name, "x")})), Contains("unsafe name"));
  }
  Json file = File("a", "x");
  file["blobId"] = "none";
  CHECK_THAT(list(Json::array({file})), Contains("no checksum"));
  file.erase("blobId");
  CHECK_THAT(list(Json::array({file})), Contains("blobId"));
  CHECK_THAT(list(Json::array({{{"rfilename", "a"}, {"size", -1}, {"blobId", "x"}}})), Contains("a"));
  CHECK_THAT(list("none"), Contains("siblings"));
  server.Plan("/api/models/own/model/revision/main?blobs=true", {{{"body", "<html>"}}});
  CHECK_THAT(Message([&] { Hub(options).List(HubKind::kModel, "own/model", "main"); }),
             Contains("not valid JSON"));
  server.Plan("/api/models/own/model/revision/main?blobs=true", {{{"body", std::string(100000, '[')}}});
  CHECK_THAT(Message([&] { Hub(options).List(HubKind::kModel, "own/model", "main"); }),
             Contains("nested too deeply"));
  PlanRepo("/api/models/own/model", {File("pytorch_model.bin", "x", true), File("config.json", "{}")});
  const HubRepo repo = Hub(options).List(HubKind::kModel, "own/model", "main");
  CHECK_THAT(Message([&] { ModelFiles(repo); }), Contains("model*.safetensors"));
}

TEST_CASE_METHOD(Fixture, "rows become jsonl, page by page, in order") {
  PlanRows(250);
  HubSource source = Source();
  source.items = 250;
  uint64_t last = 0;
  Hub(options).Fetch(source, folder / source.file, [&](uint64_t done, uint64_t) { last = done; });
  CHECK(last == 250);
  const Dataset data = ReadDataset(folder / source.file);
  REQUIRE(data.documents.size() == 250);
  for (size_t i = 0; i < 250; ++i) CHECK(data.documents[i].at("n") == i);
  CHECK(server.Log().size() == 3);
  CHECK_FALSE(fs::exists((folder / source.file).string() + ".partial"));
  CHECK_FALSE(fs::exists((folder / source.file).string() + ".partial.note"));
}

TEST_CASE_METHOD(Fixture,
                 "rows of text are written one after the other, an empty one as WikiText's blank line") {
  PlanRows(4);
  HubSource source = Source();
  source.text = "text";
  Hub(options).Fetch(source, folder / source.file);
  CHECK(ReadFile(folder / source.file) == " \nx\n \nx\n");
}

TEST_CASE_METHOD(Fixture, "WikiText-2 from rows is the original file, byte for byte") {
  const auto path = SharedData("wikitext2/wiki.test.raw");
  if (!path) return;
  // As the dataset's loading script cuts it: for row in file: text = row if row.strip() else "".
  std::ifstream file(*path, std::ios::binary);
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);) {
    texts.push_back(line.find_first_not_of(' ') == std::string::npos ? "" : line + "\n");
  }
  const auto total = static_cast<int64_t>(texts.size());
  for (int64_t offset = 0; offset < total; offset += 100) {
    Json page = Page(offset, total);
    for (size_t i = 0; i < page["rows"].size(); ++i) {
      page["rows"][i]["row"] = {{"text", texts[static_cast<size_t>(offset) + i]}};
    }
    server.Plan(PagePath(offset), {{{"body", page.dump()}}});
  }
  HubSource source = Source();
  source.text = "text";
  Hub(options).Fetch(source, folder / source.file);
  CHECK(Sha256File(folder / source.file) == Sha256File(*path));
}

TEST_CASE_METHOD(Fixture, "rows go on where an earlier call ended") {
  PlanRows(250);
  server.Plan(PagePath(200), {{{"status", 404}}});
  CHECK_THAT(RowsFailure(ErrorKind::kIo, Source()), Contains("own/set"));
  // A process that died while it appended left more than its note says.
  std::ofstream((folder / "set/test.jsonl").string() + ".partial", std::ios::app) << "{\"n\": half";
  PlanRows(250);
  Hub(options).Fetch(Source(), folder / "set/test.jsonl");
  CHECK(ReadDataset(folder / "set/test.jsonl").documents.size() == 250);
  const Json log = server.Log();
  REQUIRE(log.size() == 4);
  CHECK_THAT(log[3]["path"].get<std::string>(), Contains("offset=200"));
}

TEST_CASE_METHOD(Fixture, "rows of another source are not mixed") {
  PlanRows(250);
  server.Plan(PagePath(100), {{{"status", 404}}});
  RowsFailure(ErrorKind::kIo, Source());
  PlanRows(250);
  HubSource source = Source();
  source.text = "text";
  Hub(options).Fetch(source, folder / source.file);
  CHECK(ReadFile(folder / source.file).size() == 125 * 4);
}

TEST_CASE_METHOD(Fixture, "rows are not believed") {
  const auto failure = [&](const Json& page) {
    server.Plan(PagePath(0), {{{"body", page.dump()}}});
    return RowsFailure(ErrorKind::kData, Source());
  };
  Json page = Page(0, 50);
  page["partial"] = true;
  CHECK_THAT(failure(page), Contains("only a part"));
  page = Page(0, 50);
  page["rows"][3]["truncated_cells"] = {"text"};
  CHECK_THAT(failure(page), Contains("cuts long values") && Contains("row 3"));
  page = Page(0, 50);
  page["rows"][3]["row_idx"] = 4;
  CHECK_THAT(failure(page), Contains("out of order"));
  page = Page(0, 50);
  page["num_rows_total"] = 49;
  CHECK_THAT(failure(page), Contains("another number"));
  CHECK_THAT(failure(Page(0, 0)), Contains("another number"));
  page = Page(0, 50);
  page["rows"][3]["row"] = Json::object();
  CHECK_THAT(failure(page), Contains("not an object"));
  page.erase("rows");
  CHECK_THAT(failure(page), Contains("'rows'"));
  HubSource source = Source();
  source.items = 51;
  server.Plan(PagePath(0), {{{"body", Page(0, 50).dump()}}});
  CHECK_THAT(RowsFailure(ErrorKind::kData, source), Contains("expected 51") && Contains("found 50"));
  source.file = "../elsewhere.jsonl";
  CHECK_THROWS_AS(Hub(options).Fetch(source, folder / "x"), Error);
}

TEST_CASE_METHOD(Fixture, "a dataset that changes between pages is an error, and begins anew") {
  server.Plan(PagePath(0), {{{"body", Page(0, 250).dump()}}});
  server.Plan(PagePath(100), {{{"body", Page(100, 251).dump()}}});
  CHECK_THAT(RowsFailure(ErrorKind::kData, Source()), Contains("changed"));
  PlanRows(250);
  Hub(options).Fetch(Source(), folder / "set/test.jsonl");
  CHECK(ReadDataset(folder / "set/test.jsonl").documents.size() == 250);
}

TEST_CASE_METHOD(Fixture, "a file of a dataset's repository is fetched byte for byte") {
  const std::string content = "{\"a\": 1}\n";
  PlanRepo("/api/datasets/own/set", Json::array({File("data/test.jsonl", content, true)}));
  server.Plan("/datasets/own/set/resolve/" + kCommit + "/data/test.jsonl", {{{"body", content}}});
  HubSource source = Source();
  source.path = "data/test.jsonl";
  Hub(options).Fetch(source, folder / source.file);
  CHECK(ReadFile(folder / source.file) == content);
  source.path = "data/none.jsonl";
  CHECK_THAT(Message([&] { Hub(options).Fetch(source, folder / "other"); }), Contains("data/none.jsonl"));
}

TEST_CASE("options come from the environment") {
  const Environment a("HF_ENDPOINT", "https://mirror.example/"), b("HF_TOKEN", "t\n"),
      c("HF_HUB_OFFLINE", "yes"), d("HF_DATASETS_SERVER", "");
  const HubOptions options = HubOptions::FromEnvironment();
  CHECK(options.endpoint == "https://mirror.example");
  CHECK(options.datasets_server == "https://datasets-server.mirror.example:443");
  CHECK(options.token == "t");
  CHECK(options.offline);
  const Environment e("HF_ENDPOINT", ""), f("HF_HUB_OFFLINE", "0"),
      g("HF_DATASETS_SERVER", "http://own:1/x/");
  CHECK(HubOptions::FromEnvironment().endpoint == "https://huggingface.co");
  CHECK(HubOptions::FromEnvironment().datasets_server == "http://own:1/x");
  CHECK_FALSE(HubOptions::FromEnvironment().offline);
}
