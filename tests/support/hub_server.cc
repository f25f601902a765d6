#include "tests/support/hub_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/files.h"
#include "base/http.h"
#include "tests/support/catch.h"

namespace tnb::testing {

HubServer::HubServer() {
  WriteFileAtomically(folder_ / "plan.json", "{}");
  int to_child[2], from_child[2];
  REQUIRE(::pipe2(to_child, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(from_child, O_CLOEXEC) == 0);
  const std::string script = std::string(TNBENCH_SOURCE_DIR) + "/tests/support/hub_server.py";
  const std::string plan = folder_ / "plan.json";
  process_ = ::fork();
  if (process_ == 0) {
    ::dup2(to_child[0], STDIN_FILENO);
    ::dup2(from_child[1], STDOUT_FILENO);
    ::execlp("python3", "python3", "-B", script.c_str(), plan.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(to_child[0]);
  ::close(from_child[1]);
  input_ = to_child[1];
  FILE* output = ::fdopen(from_child[0], "r");
  int ports[2] = {0, 0};
  REQUIRE(std::fscanf(output, "%d %d", &ports[0], &ports[1]) == 2);
  std::fclose(output);
  for (int i = 0; i < 2; ++i) urls_[i] = "http://127.0.0.1:" + std::to_string(ports[i]);
}

HubServer::~HubServer() {
  ::close(input_);
  ::kill(process_, SIGTERM);
  ::waitpid(process_, nullptr, 0);
}

void HubServer::Plan(const std::string& path, const std::vector<Json>& answers) {
  plan_[path] = answers;
  WriteFileAtomically(folder_ / "plan.json", plan_.dump());
}

Json HubServer::Log() const {
  const Environment direct("no_proxy", "*");
  return ParseJson(HttpClient({}).Get(url() + "/log").body, "log");
}

std::string HubServer::Bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

Environment::Environment(const char* name, const std::string& value) : name_(name) {
  const char* old = std::getenv(name);
  was_set_ = old != nullptr;
  if (was_set_) old_ = old;
  if (value.empty()) {
    ::unsetenv(name);
  } else {
    ::setenv(name, value.c_str(), 1);
  }
}

Environment::~Environment() {
  if (was_set_) {
    ::setenv(name_, old_.c_str(), 1);
  } else {
    ::unsetenv(name_);
  }
}

}  // namespace tnb::testing
