// UTF-8, checked: the tokenizers accept any bytes, so nothing here assumes that text is valid.
// Valid means as Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF (PCRE2 and
// Rust's str agree).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tnb {

struct Utf8Char {
  int32_t code = -1;  // code point, -1 for a byte that starts no valid character
  size_t length = 1;  // bytes, 1 for such a byte
};

// The character at `position` < text.size().
Utf8Char DecodeUtf8(std::string_view text, size_t position);
// Appends `code` (a valid code point) to `text`.
void AppendUtf8(int32_t code, std::string* text);
// Unicode's White_Space property.
bool IsWhiteSpace(int32_t code);

}  // namespace tnb
