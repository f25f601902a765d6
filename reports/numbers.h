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

}  // namespace tnb
