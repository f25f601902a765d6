// HTTP GET through libcurl, for what is fetched from a hub: retries with exponential backoff, Retry-After,
// redirects, proxies (by libcurl's own rules: http_proxy, https_proxy, all_proxy, no_proxy), a token for one
// site only.
//
//   HttpClient client({.token = token, .token_site = "https://hub.example"});
//   const HttpAnswer answer = client.Get("https://hub.example/api/models/a/b");
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tnb {

struct HttpOptions {
  // Sent as "Authorization: Bearer TOKEN" with requests to token_site ("https://host[:port]"), and never to
  // where these redirect to, unless that is the same site.
  std::string token, token_site;
  int attempts = 5;                  // in a row without progress
  double first_delay = 1;            // seconds before the second attempt, doubled for each further one
  double longest_delay = 60;         // of one such wait
  double longest_retry_after = 300;  // a server that asks for a longer wait is an error that says so
  double stall_timeout = 60;         // seconds without a byte
  double connect_timeout = 30;
  std::function<void(double seconds)> sleep;            // default: really sleeps
  std::function<void(const std::string& message)> log;  // "... again in 2 s"; default: nothing
};

// The server answered with an error status, after all attempts.
class HttpStatusError : public Error {
 public:
  HttpStatusError(ErrorDetail detail, long status)
      : Error(ErrorKind::kIo, std::move(detail)), status_(status) {}
  long status() const { return status_; }

 private:
  long status_;
};

struct HttpAnswer {
  long status = 0;
  std::map<std::string, std::string> headers;  // of the last answer (after redirects); names in lower case
  std::string body;
};

class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The answer of a 2xx status. Throws HttpStatusError for other statuses, Error{kIo} when the server cannot
  // be reached, cuts the answer short, redirects endlessly or sends more than `most_bytes`.
  HttpAnswer Get(const std::string& url, uint64_t most_bytes = uint64_t{64} << 20);

  // What Download (base/download.h) needs: one GET whose body goes to `sink` piece by piece as it comes.
  // `begin` is called before the first piece with status and headers, and again after a retry; it may throw.
  // `headers` are sent along and asked for before each attempt. A failed attempt counts as progress when it
  // brought 1 MiB. A status for which `accept` is false is an error as with Get.
  struct Streamed {
    std::function<std::map<std::string, std::string>()> headers;
    std::function<bool(long status)> accept;
    std::function<void(const HttpAnswer&)> begin;
    std::function<void(std::string_view)> sink;
  };
  HttpAnswer Stream(const std::string& url, const Streamed& streamed);

 private:
  struct Attempt;
  struct Handle;
  Attempt Try(const std::string& url, const Streamed& streamed);

  HttpOptions options_;
  std::unique_ptr<Handle> handle_;
  bool reached_ = false;  // some server answered once: a name that does not resolve is worth another try
};

// Percent-encodes everything but letters, digits and -._~ (and '/', with `keep_slashes`).
std::string UrlEncode(std::string_view text, bool keep_slashes = false);
// "https://host:port" of a URL; Error{kUsage} when it is not http or https with a host.
std::string SiteOf(const std::string& url);

}  // namespace tnb
