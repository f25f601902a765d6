#define PCRE2_CODE_UNIT_WIDTH 8
#include "models/tokenizers/pretokenizer.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <new>
#include <utility>

#include "base/error.h"
#include "models/tokenizers/utf8.h"

namespace tnb {

const char* const kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const char* const kDigitRegex = R"(\p{N})";
const char* const kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";
const char* const kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";

namespace {

std::string Pcre2Message(int code) {
  PCRE2_UCHAR message[256];
  pcre2_get_error_message(code, message, sizeof message);
  return reinterpret_cast<const char*>(message);
}

// PCRE2's \s takes U+180E as a space, which Unicode does not since version 6.3.
std::string WithUnicodeSpaces(const std::string& regex) {
  std::string result;
  for (size_t i = 0; i < regex.size(); ++i) {
    if (regex[i] != '\\' || i + 1 == regex.size()) {
      result += regex[i];
      continue;
    }
    const char kind = regex[++i];
    if (kind == 's' || kind == 'S') {
      result += kind == 's' ? "\\p{White_Space}" : "\\P{White_Space}";
    } else {
      result += '\\';
      result += kind;
    }
  }
  return result;
}

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

// `text` is valid UTF-8.
void Isolate(const pcre2_code* code, pcre2_match_data* data, std::string_view text,
             std::vector<std::string_view>* pieces) {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t done = 0;  // everything before is in pieces
  size_t start = 0;
  while (start < text.size()) {
    int found = pcre2_match(code, subject, text.size(), start, PCRE2_NO_UTF_CHECK, data, nullptr);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found =
          pcre2_match(code, subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, nullptr);
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw Error(ErrorKind::kUnsupported,
                  {"the pre-tokenizer's expression failed", "", Pcre2Message(found),
                   fmt::format("byte {} of a text of {} bytes", start, text.size()), "shorten the text"});
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data);
    const size_t begin = range[0];
    const size_t end = range[1];
    if (end <= begin) {  // an empty match separates nothing
      start = begin + DecodeUtf8(text, begin < text.size() ? begin : start).length;
      continue;
    }
    if (begin > done) pieces->push_back(text.substr(done, begin - done));
    pieces->push_back(text.substr(begin, end - begin));
    start = done = end;
  }
  if (done < text.size()) pieces->push_back(text.substr(done));
}

}  // namespace

struct PreTokenizer::Compiled {
  struct Deleter {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  };
  std::unique_ptr<pcre2_code, Deleter> code;
};

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;

PreTokenizer::PreTokenizer(std::vector<std::string> regexes, const std::string& where)
    : regexes_(std::move(regexes)) {
  for (const std::string& regex : regexes_) {
    const std::string pattern = WithUnicodeSpaces(regex);
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
    if (code == nullptr) {
      throw Error(ErrorKind::kUnsupported, {"the pre-tokenizer's expression does not compile", "",
                                            Pcre2Message(error) + " in " + regex, where, ""});
    }
    compiled_.push_back({});
    compiled_.back().code.reset(code);
    // Where PCRE2 has no JIT for the machine, matching still works, only slower.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  }
}

std::vector<std::string_view> PreTokenizer::Split(std::string_view text) const {
  // Valid runs, and the invalid bytes between them.
  std::vector<std::string_view> pieces;
  std::vector<bool> valid;
  size_t run = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char character = DecodeUtf8(text, i);
    if (character.code < 0) {
      if (i > run) pieces.push_back(text.substr(run, i - run)), valid.push_back(true);
      pieces.push_back(text.substr(i, 1)), valid.push_back(false);
      run = i + 1;
    }
    i += character.length;
  }
  if (run < text.size()) pieces.push_back(text.substr(run)), valid.push_back(true);

  std::vector<std::string_view> next;
  for (const Compiled& compiled : compiled_) {
    const std::unique_ptr<pcre2_match_data, MatchDataDeleter> data(
        pcre2_match_data_create_from_pattern(compiled.code.get(), nullptr));
    if (data == nullptr) throw std::bad_alloc();
    next.clear();
    std::vector<bool> next_valid;
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (valid[i]) {
        Isolate(compiled.code.get(), data.get(), pieces[i], &next);
      } else {
        next.push_back(pieces[i]);
      }
      next_valid.resize(next.size(), valid[i]);
    }
    pieces.swap(next);
    valid.swap(next_valid);
  }
  return pieces;
}

}  // namespace tnb
