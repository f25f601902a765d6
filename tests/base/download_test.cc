// Against a local server that plays failures (tests/support/hub_server.py).
#include "base/download.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/files.h"
#include "base/hash.h"
#include "base/http.h"
#include "base/partial_file.h"
#include "tests/support/catch.h"
#include "tests/support/hub_server.h"

using namespace tnb;
using namespace tnb::testing;
using Catch::Contains;

namespace {

namespace fs = std::filesystem;

struct Fixture {
  Environment direct{"no_proxy", "*"};
  HubServer server;
  TemporaryFolder folder;
  std::vector<double> slept;
  HttpOptions options;
  fs::path target = folder / "sub/file.bin";
  std::string content = HubServer::Bytes(5000);

  Fixture() {
    options.sleep = [this](double seconds) { slept.push_back(seconds); };
  }
  DownloadFile File(const std::string& path) const {
    return {server.url() + path, target, content.size(), Sha256Hex(content), ""};
  }
  void Fetch(const DownloadFile& file) {
    HttpClient client(options);
    Download(client, file);
  }
  // The message, after checking its kind and that nothing stands under the final name.
  std::string Failure(ErrorKind kind, const DownloadFile& file) {
    try {
      Fetch(file);
    } catch (const Error& error) {
      CHECK(error.kind() == kind);
      CHECK_FALSE(fs::exists(target));
      return error.what();
    }
    FAIL("no error");
    return "";
  }
  fs::path Partial() const { return target.string() + ".partial"; }
  std::string Range(size_t request) const {
    return server.Log().at(request).at("headers").value("range", "");
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a file comes under its final name, without leftovers") {
  server.Plan("/f", {{{"size", 5000}}});
  uint64_t last = 0, total = 0;
  HttpClient client(options);
  Download(client, File("/f"), [&](uint64_t done, uint64_t all) { last = done, total = all; });
  CHECK(ReadFile(target) == content);
  CHECK(last == 5000);
  CHECK(total == 5000);
  CHECK_FALSE(fs::exists(Partial()));
  CHECK(slept.empty());
  // As `git hash-object` of git 2.39 prints for these bytes.
  CHECK(GitBlobSha1(target) == "3211b84c097b73a6778d41b04a596bfb9291ec8b");
  server.Plan("/empty", {{{"size", 0}}});
  target = folder / "empty";
  Fetch({server.url() + "/empty", target, 0, "", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"});
  CHECK(fs::file_size(target) == 0);
}

TEST_CASE_METHOD(Fixture, "a cut connection is taken up where it ended") {
  server.Plan("/f",
              {{{"size", 5000}, {"cut", 2000}, {"etag", "\"a\""}}, {{"size", 5000}, {"etag", "\"a\""}}});
  Fetch(File("/f"));
  CHECK(ReadFile(target) == content);
  CHECK(Range(0).empty());
  CHECK(Range(1) == "bytes=2000-");
  CHECK(server.Log()[1]["headers"]["if-range"] == "\"a\"");
  CHECK(slept == std::vector<double>{1});
}

TEST_CASE_METHOD(Fixture, "waits double, and after the last attempt the partial file is kept") {
  server.Plan("/f", {{{"size", 5000}, {"cut", 500}}});
  CHECK_THAT(Failure(ErrorKind::kIo, File("/f")), Contains("/f") && Contains("goes on where it stopped"));
  CHECK(slept == std::vector<double>{1, 2, 4, 8});
  CHECK(fs::file_size(Partial()) == 2500);
  Fetch(File("/f"));
  CHECK(ReadFile(target) == content);
  CHECK(Range(5) == "bytes=2500-");
}

TEST_CASE_METHOD(Fixture, "a complete partial file is verified and renamed without asking the server") {
  fs::create_directories(target.parent_path());
  std::ofstream(Partial(), std::ios::binary) << content;
  Fetch(File("/none"));
  CHECK(ReadFile(target) == content);
  CHECK(server.Log().empty());
}

TEST_CASE_METHOD(Fixture, "another call resumes what a dead process left") {
  fs::create_directories(target.parent_path());
  std::ofstream(Partial(), std::ios::binary) << content.substr(0, 1234);
  server.Plan("/f", {{{"size", 5000}}});
  Fetch(File("/f"));
  CHECK(Range(0) == "bytes=1234-");
  CHECK(ReadFile(target) == content);
}

TEST_CASE_METHOD(Fixture, "a file that changed on the server begins anew") {
  server.Plan("/f",
              {{{"size", 5000}, {"cut", 2000}, {"etag", "\"a\""}}, {{"size", 5000}, {"etag", "\"b\""}}});
  Fetch(File("/f"));
  CHECK(server.Log()[1]["headers"]["if-range"] == "\"a\"");  // answered with 200 and the whole file
  CHECK(ReadFile(target) == content);
}

TEST_CASE_METHOD(Fixture, "a partial file of something else is noticed by the hash and fetched anew") {
  fs::create_directories(target.parent_path());
  std::ofstream(Partial(), std::ios::binary) << std::string(1234, 'x');
  server.Plan("/f", {{{"size", 5000}}});
  Fetch(File("/f"));
  CHECK(ReadFile(target) == content);
  CHECK(server.Log().size() == 2);
  CHECK(Range(1).empty());
}

TEST_CASE_METHOD(Fixture, "a server without ranges sends all again") {
  server.Plan("/f", {{{"size", 5000}, {"cut", 2000}}, {{"size", 5000}, {"ranges", false}}});
  Fetch(File("/f"));
  CHECK(ReadFile(target) == content);
}

TEST_CASE_METHOD(Fixture, "416: a partial file beyond the end is dropped") {
  fs::create_directories(target.parent_path());
  std::ofstream(Partial(), std::ios::binary) << std::string(6000, 'x');
  server.Plan("/f", {{{"size", 5000}}});
  Fetch(File("/f"));
  CHECK(ReadFile(target) == content);
}

TEST_CASE_METHOD(Fixture, "a part that begins elsewhere is refused") {
  server.Plan("/f", {{{"size", 5000}, {"cut", 2000}}, {{"size", 5000}, {"offset_by", 7}}});
  CHECK_THAT(Failure(ErrorKind::kData, File("/f")),
             Contains("another part") && Contains("bytes 2007-4999/5000"));
}

TEST_CASE_METHOD(Fixture, "a wrong hash, size or length is an error, and the content goes") {
  server.Plan("/f", {{{"size", 5000}}});
  DownloadFile file = File("/f");
  file.sha256 = Sha256Hex("other");
  CHECK_THAT(Failure(ErrorKind::kData, file),
             Contains("SHA-256 " + Sha256Hex("other")) && Contains("removed"));
  CHECK_FALSE(fs::exists(Partial()));
  file.sha256.clear();
  file.git_sha1 = std::string(40, 'a');
  CHECK_THAT(Failure(ErrorKind::kData, file), Contains("git blob"));
  file = File("/f");
  file.size = 4999;
  CHECK_THAT(Failure(ErrorKind::kData, file), Contains("another size") && Contains("5000 bytes"));
  // In two pieces, so that the first one is within bounds.
  server.Plan("/long", {{{"size", 6000}, {"length", -1}, {"stall", 0.2}}});
  CHECK_THAT(Failure(ErrorKind::kData, File("/long")), Contains("more than"));
  server.Plan("/short", {{{"size", 4000}, {"length", -1}}});
  CHECK_THAT(Failure(ErrorKind::kData, File("/short")), Contains("4000 bytes"));
  file = File("/long");
  file.size.reset();
  CHECK_THAT(Failure(ErrorKind::kData, file), Contains("how long"));
}

TEST_CASE_METHOD(Fixture, "a busy server is asked again, when it says so") {
  server.Plan("/f", {{{"status", 429}, {"headers", {{"Retry-After", "17"}}}},
                     {{"status", 500}},
                     {{"status", 503}},
                     {{"size", 5000}}});
  Fetch(File("/f"));
  CHECK(ReadFile(target) == content);
  CHECK(slept == std::vector<double>{17, 2, 4});
  fs::remove(target);
  server.Plan("/later", {{{"status", 429}, {"headers", {{"Retry-After", "4000"}}}}});
  CHECK_THAT(Failure(ErrorKind::kIo, File("/later")), Contains("429") && Contains("4000 s"));
  slept.clear();
  server.Plan("/date", {{{"status", 503}, {"headers", {{"Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"}}}},
                        {{"size", 5000}}});
  Fetch(File("/date"));
  CHECK(slept == std::vector<double>{0});  // a date that is over
}

TEST_CASE_METHOD(Fixture, "errors that waiting does not cure are not repeated") {
  CHECK_THAT(Failure(ErrorKind::kIo, File("/none")), Contains("404") && Contains("Entry not found"));
  server.Plan("/gated", {{{"status", 401}}});
  CHECK_THAT(Failure(ErrorKind::kIo, File("/gated")), Contains("401"));
  server.Plan("/circle", {{{"status", 302}, {"headers", {{"Location", "/circle"}}}}});
  CHECK_THAT(Failure(ErrorKind::kIo, File("/circle")), Contains("redirects"));
  server.Plan("/away", {{{"status", 302}, {"headers", {{"Location", "file:///etc/passwd"}}}}});
  CHECK_THAT(Failure(ErrorKind::kIo, File("/away")), Contains("not supported"));
  CHECK(slept.empty());
  try {
    HttpClient(options).Get(server.url() + "/gated");
    FAIL("no error");
  } catch (const HttpStatusError& error) {
    CHECK(error.status() == 401);
  }
  DownloadFile file = File("/f");
  file.url = "ftp://127.0.0.1/f";
  CHECK_THAT(Failure(ErrorKind::kUsage, file), Contains("ftp://"));
}

TEST_CASE_METHOD(Fixture, "no server: attempts, then an error") {
  DownloadFile file = File("/f");
  file.url = "http://127.0.0.1:1/f";  // nobody listens on port 1
  CHECK_THAT(Failure(ErrorKind::kIo, file), Contains("127.0.0.1:1"));
  CHECK(slept.size() == 4);
  slept.clear();
  file.url = "http://no-such-host.invalid/f";
  CHECK_THAT(Failure(ErrorKind::kIo, file), Contains("no-such-host.invalid"));
  CHECK(slept.empty());
}

TEST_CASE_METHOD(Fixture, "a silent server is given up") {
  options.stall_timeout = 1;
  options.attempts = 1;
  server.Plan("/f", {{{"size", 5000}, {"stall", 20}}});
  CHECK_THAT(Failure(ErrorKind::kIo, File("/f")), Contains("too slow"));
  CHECK(fs::file_size(Partial()) == 2500);
}

TEST_CASE_METHOD(Fixture, "the token stays with its site") {
  options.token = "hf_secret";
  options.token_site = server.url();
  server.Plan("/f", {{{"status", 302}, {"headers", {{"Location", "http://127.0.0.1:{other}/cdn"}}}}});
  server.Plan("/same", {{{"status", 307}, {"headers", {{"Location", "/cdn"}}}}});
  server.Plan("/name", {{{"status", 302}, {"headers", {{"Location", "http://localhost:{port}/cdn"}}}}});
  server.Plan("/cdn", {{{"size", 5000}}});
  Fetch(File("/f"));
  const auto token = [](const Json& request) { return request["headers"].value("authorization", ""); };
  Json log = server.Log();
  REQUIRE(log.size() == 2);
  CHECK(token(log[0]) == "Bearer hf_secret");
  CHECK(token(log[1]).empty());  // another port
  Fetch(File("/same"));
  log = server.Log();
  CHECK(token(log.at(3)) == "Bearer hf_secret");
  DownloadFile file = File("/name");
  Fetch(file);
  CHECK(token(server.Log().at(5)).empty());  // another host name
  file.url = server.other_url() + "/cdn";
  Fetch(file);
  CHECK(token(server.Log().at(6)).empty());  // not the token's site
  options.token = "two\r\nlines";
  CHECK_THROWS_AS(HttpClient(options), Error);
}

TEST_CASE_METHOD(Fixture, "proxies are libcurl's: by environment") {
  const Environment proxy("http_proxy", server.url()), some("no_proxy", "");
  const Environment upper("NO_PROXY", "");
  server.Plan("http://hub.invalid/f", {{{"size", 5000}}});
  DownloadFile file = File("/f");
  file.url = "http://hub.invalid/f";
  Fetch(file);
  CHECK(ReadFile(target) == content);
}

TEST_CASE_METHOD(Fixture, "a full disk is an error that keeps what came") {
  server.Plan("/f", {{{"size", 5000}}});
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {3000, 3000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      Fetch(File("/f"));
    } catch (const Error& error) {
      const std::string message = error.what();
      ::_exit(message.find("File too large") != std::string::npos &&
                      message.find("free some space") != std::string::npos
                  ? 0
                  : 2);
    }
    ::_exit(3);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_FALSE(fs::exists(target));
  CHECK(fs::file_size(Partial()) == 3000);
  Fetch(File("/f"));
  CHECK(ReadFile(target) == content);
  CHECK(Range(1) == "bytes=3000-");
}

TEST_CASE_METHOD(Fixture, "two processes do not write one file") {
  const PartialFile other(target);
  CHECK_THAT(Failure(ErrorKind::kIo, File("/f")), Contains("another process"));
}

TEST_CASE("URLs are encoded and sites are compared whole") {
  CHECK(UrlEncode("a b/c+d\xC3\xA9") == "a%20b%2Fc%2Bd%C3%A9");
  CHECK(UrlEncode("a b/c", true) == "a%20b/c");
  CHECK(SiteOf("https://Hub.example/x?y") == "https://hub.example:443");
  CHECK(SiteOf("http://a:8080") == "http://a:8080");
  for (const char* bad : {"", "hub.example", "ftp://hub.example", "http://", "https://a:b"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(SiteOf(bad), Error);
  }
}
