// Unicode normalization form C (UAX #15), which Qwen2's tokenizer applies to text before anything else. The
// tables are those of Unicode 14, as CPython 3.11's unicodedata has them (nfc_data.py writes them). Bytes
// that are not valid UTF-8 pass through unchanged.
#pragma once

#include <string>
#include <string_view>

namespace tnb {

std::string ToNfc(std::string_view text);

}  // namespace tnb
