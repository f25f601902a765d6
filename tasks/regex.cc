#define PCRE2_CODE_UNIT_WIDTH 8
#include "tasks/regex.h"

#include <pcre2.h>

#include "base/error.h"

namespace tnb {
namespace {

std::string Message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

const pcre2_code* Code(const std::shared_ptr<void>& code) {
  return static_cast<const pcre2_code*>(code.get());
}
PCRE2_SPTR Bytes(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

// Groups 0..n of the match in `data`; groups that took no part are "".
std::vector<std::string> Groups(std::string_view text, pcre2_match_data* data, int count, size_t groups) {
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data);
  std::vector<std::string> texts(groups + 1);
  for (int g = 0; g < count; ++g) {
    if (bounds[2 * g] == PCRE2_UNSET) continue;
    texts[static_cast<size_t>(g)] =
        std::string(text.substr(bounds[2 * g], bounds[2 * g + 1] - bounds[2 * g]));
  }
  return texts;
}

}  // namespace

Regex::Regex(const std::string& pattern, const std::string& where) : pattern_(pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(Bytes(pattern), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  if (code == nullptr) {
    throw Error(ErrorKind::kData,
                {"not a regular expression", "",
                 Message(error) + " at character " + std::to_string(offset) + " of " + pattern, where, ""});
  }
  code_ = std::shared_ptr<void>(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without JIT support the interpreter is used
  uint32_t groups = 0;
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
  group_count_ = groups;
}

std::vector<std::vector<std::string>> Regex::FindAll(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
      pcre2_match_data_create_from_pattern(Code(code_), nullptr), pcre2_match_data_free);
  std::vector<std::vector<std::string>> matches;
  PCRE2_SIZE at = 0;
  uint32_t options = 0;
  while (at <= text.size()) {
    const int count = pcre2_match(Code(code_), Bytes(text), text.size(), at, options, data.get(), nullptr);
    if (count == PCRE2_ERROR_NOMATCH) {
      if (options == 0) break;
      // After an empty match nothing else begins here: go on behind the next character.
      options = 0;
      ++at;
      while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
      continue;
    }
    if (count < 0) {
      throw Error(ErrorKind::kData,
                  {"a regular expression could not be matched", "", Message(count), pattern_, ""});
    }
    matches.push_back(Groups(text, data.get(), count, group_count_));
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
    at = bounds[1];
    // An empty match must not be found twice; a non-empty one may start at its end.
    options = bounds[0] == bounds[1] ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0;
  }
  return matches;
}

std::optional<std::vector<std::string>> Regex::Search(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
      pcre2_match_data_create_from_pattern(Code(code_), nullptr), pcre2_match_data_free);
  const int count = pcre2_match(Code(code_), Bytes(text), text.size(), 0, 0, data.get(), nullptr);
  if (count == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (count < 0) {
    throw Error(ErrorKind::kData,
                {"a regular expression could not be matched", "", Message(count), pattern_, ""});
  }
  return Groups(text, data.get(), count, group_count_);
}

std::string Regex::Replace(std::string_view text, std::string_view replacement) const {
  std::string out(text.size() + 64, '\0');
  for (;;) {
    PCRE2_SIZE size = out.size();
    const int count = pcre2_substitute(
        Code(code_), Bytes(text), text.size(), 0,
        PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_UNSET_EMPTY | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH, nullptr,
        nullptr, Bytes(replacement), replacement.size(), reinterpret_cast<PCRE2_UCHAR*>(out.data()), &size);
    if (count == PCRE2_ERROR_NOMEMORY) {
      out.resize(size);
      continue;
    }
    if (count < 0) {
      throw Error(ErrorKind::kData,
                  {"a regular expression could not be matched", "", Message(count), pattern_, ""});
    }
    out.resize(size);
    return out;
  }
}

}  // namespace tnb
