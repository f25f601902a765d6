#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "harness/phase.h"

namespace tnb {

void Emitter::Emit(const Json& message) {
  const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (size_t done = 0; done < line.size();) {
    const ssize_t written = ::write(descriptor_, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw Error(ErrorKind::kIo, "cannot write to the driver", std::strerror(errno));
    done += static_cast<size_t>(written);
  }
}

void Emitter::Progress(const std::string& title, int64_t done, int64_t total, const std::string& unit) {
  const auto now = std::chrono::steady_clock::now();
  if (title == title_ && done < total && now - last_progress_ < std::chrono::milliseconds(100)) return;
  title_ = title;
  last_progress_ = now;
  Emit({{"type", "progress"}, {"title", title}, {"done", done}, {"total", total}, {"unit", unit}});
}

void Emitter::Log(const std::string& level, const std::string& text) {
  Emit({{"type", "log"}, {"level", level}, {"text", text}});
}

void Emitter::Metric(const std::string& name, double value, const std::string& unit) {
  Emit({{"type", "metric"}, {"name", name}, {"value", NumberToJson(value)}, {"unit", unit}});
}

Json NumberToJson(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

double NumberFromJson(const Json& json, const std::string& where) {
  if (json.is_number()) return json.get<double>();
  if (json == "inf") return std::numeric_limits<double>::infinity();
  if (json == "-inf") return -std::numeric_limits<double>::infinity();
  if (json == "nan") return std::numeric_limits<double>::quiet_NaN();
  throw Error(ErrorKind::kData, {"not a number", "a number, \"inf\" or \"nan\"", json.dump(), where, ""});
}

}  // namespace tnb
