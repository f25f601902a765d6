// Cuts text into the words within which byte-level BPE merges: one or several regular expressions applied
// in turn, each to every piece that the one before left; matches and the gaps between them are pieces
// (Hugging Face's Split with behavior "Isolated", llama.cpp's regex_exprs).
// The expressions run in PCRE2 with Unicode properties and JIT. Bytes that are not valid UTF-8 become pieces
// of one byte each. Concatenating the pieces gives the text back.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tnb {

// The expressions of the known models, as their tokenizer.json files spell them.
extern const char* const kGpt2Regex;
extern const char* const kDigitRegex;  // every digit alone
extern const char* const kLlama3Regex;
extern const char* const kQwen2Regex;

// Immutable and thread-safe.
class PreTokenizer {
 public:
  // Error{kUnsupported} when an expression does not compile; `where` is the file named in it.
  PreTokenizer(std::vector<std::string> regexes, const std::string& where);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;

  // Views into `text`, in order, none empty.
  std::vector<std::string_view> Split(std::string_view text) const;
  const std::vector<std::string>& regexes() const { return regexes_; }

 private:
  struct Compiled;
  std::vector<std::string> regexes_;
  std::vector<Compiled> compiled_;
};

}  // namespace tnb
