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

std::string FormatFixed(double value, int decimals, bool sign) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  const bool nothing = text.find_first_of("123456789in") == std::string::npos;  // also of inf and nan
  if (nothing && text[0] == '-') text.erase(0, 1);
  return sign && !nothing && value > 0 ? "+" + text : text;
}

std::string FormatInUnit(double value, const std::string& unit) {
  if (unit == "bytes") return FormatBytes(value);
  if (unit == "fraction") return FormatFixed(100 * value, 1);
  if (unit == "%") return FormatFixed(value, 1);
  if (unit == "count") return FormatCount(value);
  return FormatNumber(value);
}

std::string ShownUnit(const std::string& unit) {
  if (unit == "bytes" || unit == "count") return "";
  return unit == "fraction" ? "%" : unit;
}

bool IsShare(const std::string& unit) { return unit == "fraction" || unit == "%"; }

std::string FormatP(double p) {
  if (p < 0.0001) return "<0.0001";
  return p >= 0.9995 ? "1" : fmt::format("{:.{}f}", p, p < 0.001 ? 4 : 3);
}

}  // namespace tnb
