#include "base/error.h"

#include <algorithm>
#include <utility>

namespace tnb {
namespace {

// One line, whatever the parts contain: "what: expected A, found B [where]; hint: C".
std::string Compose(const ErrorDetail& detail) {
  std::string line = detail.what;
  std::string difference;
  if (!detail.expected.empty()) difference += "expected " + detail.expected;
  if (!detail.found.empty()) {
    if (!difference.empty()) difference += ", ";
    difference += "found " + detail.found;
  }
  if (!difference.empty()) line += ": " + difference;
  if (!detail.where.empty()) line += " [" + detail.where + "]";
  if (!detail.hint.empty()) line += "; hint: " + detail.hint;
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace

Error::Error(ErrorKind kind, ErrorDetail detail)
    : std::runtime_error(Compose(detail)), kind_(kind), detail_(std::move(detail)) {}

Error::Error(ErrorKind kind, const std::string& what, const std::string& hint)
    : Error(kind, ErrorDetail{what, "", "", "", hint}) {}

}  // namespace tnb
