// UTF-8 as data needs it: validity of what is read, repair of what a model generates, code points and
// Python's idea of white space, lower case and capitalization (scores of other harnesses are defined by it).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tnb {

// Byte offset of the first byte that is not part of valid UTF-8 (overlong forms and surrogates are invalid),
// or nothing when all of `text` is valid.
std::optional<size_t> InvalidUtf8Offset(std::string_view text);
// Every maximal invalid part becomes U+FFFD, as Python's errors="replace" does.
std::string RepairUtf8(std::string_view text);

// `text` must be valid UTF-8 (use RepairUtf8 first where it may not be).
std::u32string CodePoints(std::string_view text);
std::string FromCodePoints(std::u32string_view points);
size_t CodePointCount(std::string_view text);

// str.isspace of Python 3 for one code point.
bool IsPythonSpace(char32_t point);
// str.strip, lstrip, rstrip without arguments.
std::string StripPython(std::string_view text);
std::string LeftStripPython(std::string_view text);
std::string RightStripPython(std::string_view text);
// str.lower and str.capitalize with one-to-one case mappings (a letter such as the German sharp s, whose
// other case has two letters, is kept).
std::string LowerPython(std::string_view text);
std::string CapitalizePython(std::string_view text);
// len(re.split(r"\s+", text)): white space at the ends counts an empty word each.
size_t SplitWordCount(std::string_view text);

}  // namespace tnb
