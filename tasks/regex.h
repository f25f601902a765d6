// Regular expressions (PCRE2) with the calls of Python's re that task files are written against. Patterns and
// subjects are UTF-8; \s, \d and \w follow Unicode.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tnb {

class Regex {
 public:
  // `where` (file and field) is named in the Error{kData} that an invalid pattern causes.
  Regex(const std::string& pattern, const std::string& where);

  // Groups 0..n of the first match; groups that took no part are "".
  std::optional<std::vector<std::string>> Search(std::string_view text) const;
  // Groups 0..n of all matches that do not overlap, left to right.
  std::vector<std::vector<std::string>> FindAll(std::string_view text) const;
  // re.sub: `replacement` may refer to groups as $1.
  std::string Replace(std::string_view text, std::string_view replacement) const;

  // Number of capture groups (0: only the whole match).
  size_t group_count() const { return group_count_; }

 private:
  std::string pattern_;
  std::shared_ptr<void> code_;
  size_t group_count_ = 0;
};

}  // namespace tnb
