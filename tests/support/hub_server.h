// Runs tests/support/hub_server.py, a local HTTP server that plays a hub and its failures, while the object
// lives.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "tests/support/support.h"

namespace tnb::testing {

class HubServer {
 public:
  HubServer();  // fails the test when python3 cannot run it
  ~HubServer();
  HubServer(const HubServer&) = delete;
  HubServer& operator=(const HubServer&) = delete;

  // The answers to one path, in order; the last one again and again. See hub_server.py.
  void Plan(const std::string& path, const std::vector<Json>& answers);
  // "http://127.0.0.1:PORT"; the second one is another site with the same answers.
  const std::string& url() const { return urls_[0]; }
  const std::string& other_url() const { return urls_[1]; }
  // The requests so far: [{"path", "headers", "port"}].
  Json Log() const;
  // What an answer with "size" holds.
  static std::string Bytes(size_t size);

 private:
  TemporaryFolder folder_;
  Json plan_ = Json::object();
  std::string urls_[2];
  pid_t process_ = -1;
  int input_ = -1;
};

// An environment variable with another value while the object lives; "" removes it.
class Environment {
 public:
  Environment(const char* name, const std::string& value);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool was_set_;
};

}  // namespace tnb::testing
