#include "reports/numbers.h"

#include <fmt/format.h>

#include <cmath>

namespace tnb {
namespace {

// Divides by `step` until the three digits shown are below it, and names the power.
std::string Scaled(double value, double step, const char* const* units, int count) {
  int power = 0;
  while (power + 1 < count && std::round(value) >= step) {
    value /= step;
    ++power;
  }
  // The smallest unit is indivisible: no decimals.
  return fmt::format("{}{}", power == 0 ? fmt::format("{:.0f}", value) : FormatNumber(value), units[power]);
}

}  // namespace

std::string FormatNumber(double value) {
  if (std::isinf(value)) return value > 0 ? "infinite" : "-infinite";
  if (std::isnan(value)) return "not a number";
  const double size = std::fabs(value);
  if (value == 0) return "0";
  if (size < 1e-4) return fmt::format("{:.2e}", value);
  if (size >= 99.95) return fmt::format("{:.0f}", value);
  // Decimals so that three digits are significant: 9.995 is the first that rounds to 10.0.
  int decimals = 1;
  for (double bound = 9.995; size < bound; bound /= 10) ++decimals;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string FormatBytes(double bytes) {
  static const char* const kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB"};
  if (!(bytes >= 0) || std::isinf(bytes)) return FormatNumber(bytes);
  return Scaled(bytes, 1024, kUnits, 5);
}

std::string FormatCount(double count) {
  static const char* const kUnits[] = {"", " k", " M", " G", " T"};
  if (!(count >= 0) || std::isinf(count)) return FormatNumber(count);
  return Scaled(count, 1000, kUnits, 5);
}

}  // namespace tnb
