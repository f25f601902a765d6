// Numbers as people read them, three significant digits. Full precision belongs into CSV and JSON.
#pragma once

#include <string>

namespace tnb {

// "0.0123" "4.57" "34.2" "1234"; digits before the point are never rounded away. "infinite" for infinity.
std::string FormatNumber(double value);
// "512 B" "257 MiB" "1.32 GiB"; a negative or not finite count as FormatNumber.
std::string FormatBytes(double bytes);
// "960" "135 M" "6.74 G" (decimal: thousands k, millions M, billions G).
std::string FormatCount(double count);

// Fixed decimals, with a sign where asked; what rounds to 0 has none: never "-0.0".
std::string FormatFixed(double value, int decimals, bool sign = false);
// A value in its unit of record, as tables show it: fractions in percent, bytes and counts scaled.
std::string FormatInUnit(double value, const std::string& unit);
// What FormatInUnit's text is in: "%" for fractions, "" where the text names it.
std::string ShownUnit(const std::string& unit);
// Whether differences are shown in percentage points; otherwise they are factors.
bool IsShare(const std::string& unit);
// p values: "0.013", "<0.0001".
std::string FormatP(double p);

}  // namespace tnb
