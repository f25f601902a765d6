#include "base/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace tnb {
namespace {

constexpr uint64_t kProgressBytes = uint64_t{1} << 20;
constexpr size_t kMostErrorBytes = 4096;  // of an error's body, for the message

// One line of text without control characters, at most `most` bytes.
std::string Excerpt(const std::string& text, size_t most) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= most) return out + "...";
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    if (!control) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return out;
}

std::string LowerAscii(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

// A URL without its query, which may hold signatures.
std::string Shown(const std::string& url) { return url.substr(0, url.find('?')); }

// Retry-After: seconds, or a date.
std::optional<double> RetryAfter(const HttpAnswer& answer) {
  const auto found = answer.headers.find("retry-after");
  if (found == answer.headers.end()) return std::nullopt;
  const std::string& text = found->second;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds >= 0) {
    return static_cast<double>(seconds);
  }
  const time_t date = curl_getdate(text.c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::max(0.0, std::difftime(date, std::time(nullptr)));
}

bool WorthRetrying(long status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

bool WorthRetrying(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct HttpClient::Handle {
  Handle() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    curl = curl_easy_init();
    if (curl == nullptr) throw Error(ErrorKind::kInternal, "libcurl cannot be started");
  }
  ~Handle() { curl_easy_cleanup(curl); }
  CURL* curl = nullptr;
};

struct HttpClient::Attempt {
  CURL* curl = nullptr;
  const Streamed* streamed = nullptr;
  HttpAnswer answer;         // body: only of refused statuses
  bool begun = false;        // the sink was opened
  uint64_t received = 0;     // bytes given to the sink
  std::exception_ptr error;  // thrown by begin or sink
  CURLcode code = CURLE_OK;
  std::string reason;  // libcurl's own words

  bool accepted() const { return streamed->accept(answer.status); }

  void Begin() {
    if (begun) return;
    begun = true;
    streamed->begin(answer);
  }

  static size_t OnHeader(char* data, size_t size, size_t count, void* self) {
    Attempt& attempt = *static_cast<Attempt*>(self);
    const std::string_view line(data, size * count);
    if (line.starts_with("HTTP/")) {  // a new answer: those before were redirects
      attempt.answer.headers.clear();
      return size * count;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      const size_t begin = line.find_first_not_of(" \t", colon + 1);
      const size_t end = line.find_last_not_of(" \t\r\n");
      attempt.answer.headers[LowerAscii(std::string(line.substr(0, colon)))] =
          begin == std::string_view::npos || end < begin ? ""
                                                         : std::string(line.substr(begin, end - begin + 1));
    }
    return size * count;
  }

  static size_t OnBody(char* data, size_t size, size_t count, void* self) {
    Attempt& attempt = *static_cast<Attempt*>(self);
    const std::string_view piece(data, size * count);
    curl_easy_getinfo(attempt.curl, CURLINFO_RESPONSE_CODE, &attempt.answer.status);
    if (!attempt.accepted()) {
      attempt.answer.body +=
          piece.substr(0, kMostErrorBytes - std::min(kMostErrorBytes, attempt.answer.body.size()));
      return piece.size();
    }
    try {
      attempt.Begin();
      attempt.streamed->sink(piece);
      attempt.received += piece.size();
    } catch (...) {
      attempt.error = std::current_exception();  // must not pass through libcurl
      return 0;                                  // ends the transfer
    }
    return piece.size();
  }
};

HttpClient::HttpClient(HttpOptions options)
    : options_(std::move(options)), handle_(std::make_unique<Handle>()) {
  if (options_.token.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=") != std::string::npos) {
    throw Error(ErrorKind::kUsage, "the token holds characters that no token has", "check HF_TOKEN");
  }
  if (!options_.sleep) {
    options_.sleep = [](double seconds) {
      std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    };
  }
  if (!options_.log) options_.log = [](const std::string&) {};
}

HttpClient::~HttpClient() = default;

HttpClient::Attempt HttpClient::Try(const std::string& url, const Streamed& streamed) {
  CURL* curl = handle_->curl;
  Attempt attempt;
  attempt.curl = curl;
  attempt.streamed = &streamed;
  char words[CURL_ERROR_SIZE] = "";
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  std::unique_ptr<curl_slist, FreeList> headers;
  const std::map<std::string, std::string> wanted =
      streamed.headers ? streamed.headers() : std::map<std::string, std::string>();
  for (const auto& [name, value] : wanted) {
    headers.reset(curl_slist_append(headers.release(), (name + ": " + value).c_str()));
  }
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "tnbench");
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  // A redirect may not leave encryption.
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https:") ? "https" : "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout * 1000));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(std::ceil(options_.stall_timeout)));
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Attempt::OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &attempt);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Attempt::OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &attempt);
  if (!options_.token.empty() && SiteOf(url) == SiteOf(options_.token_site)) {
    // As an option, not a header: libcurl then keeps it from other hosts, ports and protocols (no
    // CURLOPT_UNRESTRICTED_AUTH).
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, options_.token.c_str());
  }
  attempt.code = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &attempt.answer.status);
  attempt.reason = words[0] != 0 ? words : curl_easy_strerror(attempt.code);
  curl_easy_reset(curl);  // no pointer to locals stays behind
  if (attempt.answer.status > 0) reached_ = true;
  return attempt;
}

HttpAnswer HttpClient::Stream(const std::string& url, const Streamed& streamed) {
  SiteOf(url);  // throws on what is no URL
  double delay = options_.first_delay;
  for (int left = options_.attempts;;) {
    Attempt attempt = Try(url, streamed);
    if (attempt.error) std::rethrow_exception(attempt.error);
    const HttpAnswer& answer = attempt.answer;
    if (attempt.code == CURLE_OK && attempt.accepted()) {
      attempt.Begin();  // an empty body has no piece
      return answer;
    }
    if (attempt.received >= kProgressBytes) {
      left = options_.attempts;
      delay = options_.first_delay;
    }
    --left;
    const bool refused = attempt.code == CURLE_OK || (answer.status >= 400 && !attempt.accepted());
    const bool retry =
        refused ? WorthRetrying(answer.status)
                : WorthRetrying(attempt.code) || (attempt.code == CURLE_COULDNT_RESOLVE_HOST && reached_);
    const std::optional<double> asked = refused ? RetryAfter(answer) : std::nullopt;
    std::string what = refused ? "the server answered " + std::to_string(answer.status) : attempt.reason;
    if (refused && !answer.body.empty()) what += " (" + Excerpt(answer.body, 200) + ")";
    const bool too_long = asked && *asked > options_.longest_retry_after;
    if (!retry || left <= 0 || too_long) {
      std::string hint = "check the network; the same command goes on where it stopped";
      if (too_long) {
        hint = "it asks to come back in " + std::to_string(static_cast<int64_t>(*asked)) + " s";
      } else if (refused) {
        hint = retry ? "try again later" : "";
      } else if (!retry) {
        hint = "check the address and the proxy settings (https_proxy, no_proxy)";
      }
      const ErrorDetail detail = {"cannot get the file: " + what, "", "", Shown(url), hint};
      if (refused) throw HttpStatusError(detail, answer.status);
      throw Error(ErrorKind::kIo, detail);
    }
    const double wait = asked ? *asked : std::min(delay, options_.longest_delay);
    options_.log(Shown(url) + ": " + what + "; again in " +
                 std::to_string(static_cast<int64_t>(std::ceil(wait))) + " s");
    options_.sleep(wait);
    delay *= 2;
  }
}

HttpAnswer HttpClient::Get(const std::string& url, uint64_t most_bytes) {
  std::string body;
  Streamed streamed;
  streamed.accept = [](long status) { return status >= 200 && status < 300; };
  streamed.begin = [&](const HttpAnswer&) { body.clear(); };
  streamed.sink = [&](std::string_view piece) {
    if (body.size() + piece.size() > most_bytes) {
      throw Error(ErrorKind::kIo, {"the answer is too large", std::to_string(most_bytes) + " bytes or fewer",
                                   "", Shown(url), ""});
    }
    body += piece;
  };
  HttpAnswer answer = Stream(url, streamed);
  answer.body = std::move(body);
  return answer;
}

std::string UrlEncode(std::string_view text, bool keep_slashes) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slashes);
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

std::string SiteOf(const std::string& url) {
  const auto fail = [&]() -> Error {
    return Error(ErrorKind::kUsage,
                 {"not an address", "http://host... or https://host...", "'" + url + "'", "", ""});
  };
  CURLU* parsed = curl_url();
  if (parsed == nullptr) throw Error(ErrorKind::kInternal, "libcurl cannot be started");
  const auto part = [&](CURLUPart which, unsigned flags = 0) {
    char* text = nullptr;
    std::string out;
    if (curl_url_get(parsed, which, &text, flags) == CURLUE_OK) out = text;
    curl_free(text);
    return out;
  };
  const bool good = curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK;
  const std::string scheme = good ? LowerAscii(part(CURLUPART_SCHEME)) : "";
  const std::string host = good ? LowerAscii(part(CURLUPART_HOST)) : "";
  const std::string port = good ? part(CURLUPART_PORT, CURLU_DEFAULT_PORT) : "";
  curl_url_cleanup(parsed);
  if (host.empty() || (scheme != "http" && scheme != "https")) throw fail();
  return scheme + "://" + host + ":" + port;
}

}  // namespace tnb
