#include "datasets/utf8.h"

#include <locale.h>
#include <wctype.h>

#include "base/error.h"

namespace tnb {
namespace {

// One decoding step at `at`: the code point and its length, or length of the maximal invalid part.
struct Step {
  bool valid;
  size_t size;
  char32_t point;
};

Step Decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {true, 1, lead};
  size_t size = 0;
  char32_t point = 0;
  unsigned char low = 0x80, high = 0xBF;  // legal range of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2, point = lead & 0x1F;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3, point = lead & 0x0F;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4, point = lead & 0x07;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {false, 1, 0};
  }
  for (size_t i = 1; i < size; ++i) {
    if (at + i >= text.size() || byte(at + i) < low || byte(at + i) > high) return {false, i, 0};
    point = (point << 6) | (byte(at + i) & 0x3F);
    low = 0x80, high = 0xBF;
  }
  return {true, size, point};
}

void Append(std::string& out, char32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

// Case mappings must not depend on the user's locale.
locale_t Utf8Locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (locale == nullptr) {
    throw Error(ErrorKind::kUnsupported, "the C.UTF-8 locale is missing", "install the C library's locales");
  }
  return locale;
}

std::string Strip(std::string_view text, bool left, bool right) {
  const std::u32string points = CodePoints(text);
  size_t begin = 0, end = points.size();
  while (left && begin < end && IsPythonSpace(points[begin])) ++begin;
  while (right && end > begin && IsPythonSpace(points[end - 1])) --end;
  return FromCodePoints(std::u32string_view(points).substr(begin, end - begin));
}

char32_t Lower(char32_t point) {
  if (point < 0x80) return point >= 'A' && point <= 'Z' ? point + 32 : point;
  return static_cast<char32_t>(towlower_l(static_cast<wint_t>(point), Utf8Locale()));
}

char32_t Upper(char32_t point) {
  if (point < 0x80) return point >= 'a' && point <= 'z' ? point - 32 : point;
  return static_cast<char32_t>(towupper_l(static_cast<wint_t>(point), Utf8Locale()));
}

}  // namespace

std::optional<size_t> InvalidUtf8Offset(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Step step = Decode(text, at);
    if (!step.valid) return at;
    at += step.size;
  }
  return std::nullopt;
}

std::string RepairUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Step step = Decode(text, at);
    Append(out, step.valid ? step.point : 0xFFFD);
    at += step.size;
  }
  return out;
}

std::u32string CodePoints(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Step step = Decode(text, at);
    if (!step.valid) throw Error(ErrorKind::kData, "text is not valid UTF-8");
    points += step.point;
    at += step.size;
  }
  return points;
}

std::string FromCodePoints(std::u32string_view points) {
  std::string out;
  out.reserve(points.size());
  for (const char32_t point : points) Append(out, point);
  return out;
}

size_t CodePointCount(std::string_view text) { return CodePoints(text).size(); }

bool IsPythonSpace(char32_t point) {
  return (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x20) || point == 0x85 ||
         point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 ||
         point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

std::string StripPython(std::string_view text) { return Strip(text, true, true); }
std::string LeftStripPython(std::string_view text) { return Strip(text, true, false); }
std::string RightStripPython(std::string_view text) { return Strip(text, false, true); }

std::string LowerPython(std::string_view text) {
  std::u32string points = CodePoints(text);
  for (char32_t& point : points) point = Lower(point);
  return FromCodePoints(points);
}

std::string CapitalizePython(std::string_view text) {
  std::u32string points = CodePoints(text);
  for (size_t i = 0; i < points.size(); ++i) points[i] = i == 0 ? Upper(points[i]) : Lower(points[i]);
  return FromCodePoints(points);
}

size_t SplitWordCount(std::string_view text) {
  size_t words = 1;
  bool in_space = false;
  for (const char32_t point : CodePoints(text)) {
    const bool space = IsPythonSpace(point);
    if (space && !in_space) ++words;
    in_space = space;
  }
  return words;
}

}  // namespace tnb
