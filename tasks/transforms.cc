#include "tasks/transforms.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "datasets/utf8.h"
#include "tasks/regex.h"

namespace tnb {
namespace {

std::string ReplaceText(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string CollapseSpace(const std::string& text) {
  std::u32string out;
  for (const char32_t point : CodePoints(text)) {
    if (!IsPythonSpace(point)) {
      out += point;
    } else if (!out.empty() && out.back() != U' ') {
      out += U' ';
    }
  }
  if (!out.empty() && out.back() == U' ') out.pop_back();
  return FromCodePoints(out);
}

std::string LowerFirst(const std::string& text) {
  const std::u32string points = CodePoints(text);
  return LowerPython(FromCodePoints(points.substr(0, 1))) +
         FromCodePoints(points.substr(std::min<size_t>(1, points.size())));
}

// WikiHow's markup in HellaSwag, as lm-evaluation-harness removes it.
std::string HellaSwag(const std::string& text) {
  static const Regex brackets(R"(\[.*?\])", "hellaswag");
  std::string out = ReplaceText(StripPython(text), " [title]", ". ");
  return ReplaceText(brackets.Replace(out, ""), "  ", " ");
}

// WikiText's tokenization taken back, as lm-evaluation-harness does it; rules and order (and rules that
// cannot match) are part of the protocol.
std::string WikiText(const std::string& text) {
  static const std::vector<std::pair<const char*, const char*>> before = {
      {"s '", "s'"}, {" @-@ ", "-"}, {" @,@ ", ","}, {" @.@ ", "."}, {" : ", ": "},
      {" ; ", "; "}, {" . ", ". "},  {" ! ", "! "},  {" ? ", "? "},  {" , ", ", "}};
  static const std::vector<std::pair<Regex, const char*>> pairs = {
      {Regex(R"(\(\s*([^\)]*?)\s*\))", "wikitext"), "($1)"},
      {Regex(R"(\[\s*([^\]]*?)\s*\])", "wikitext"), "[$1]"},
      {Regex(R"(\{\s*([^}]*?)\s*\})", "wikitext"), "{$1}"},
      {Regex(R"("\s*([^"]*?)\s*")", "wikitext"), "\"$1\""},
      {Regex(R"('\s*([^']*?)\s*')", "wikitext"), "'$1'"}};
  static const std::vector<std::pair<const char*, const char*>> after = {
      {"= = = =", "===="}, {"= = =", "==="}, {"= =", "=="},  {" \u00B0 ", "\u00B0"},
      {" \n", "\n"},       {"\n ", "\n"},    {" N ", " 1 "}, {" 's", "'s"}};
  static const Regex slashes("/' [0-9]/", "wikitext");
  std::string out = text;
  for (size_t i = 0; i < before.size(); ++i) {
    out = ReplaceText(std::move(out), before[i].first, before[i].second);
    if (i == 0) out = slashes.Replace(out, "/'[0-9]/");
  }
  for (const auto& [regex, replacement] : pairs) out = regex.Replace(out, replacement);
  for (const auto& [from, to] : after) out = ReplaceText(std::move(out), from, to);
  return out;
}

// One sentence a line. A sentence ends at . ! or ? (and closing quotes or brackets) before white space and a
// character that is no lower-case letter, unless the word before is an initial or a common abbreviation.
std::string SentenceLines(const std::string& text) {
  static const Regex ends(
      R"((?<!\b[A-Z])(?<!\b(?:Mr|Dr|St|Lt|Jr|Sr|vs|No))(?<!\b(?:Mrs|Gen|Rep|Sen|Gov|Col|Sgt))(?<!\bProf))"
      R"(([.!?][\"'\x{201D}\x{2019})\]]*)\s+(?=[^\sa-z]))",
      "sentence_lines");
  return StripPython(ends.Replace(text, "$1\n"));
}

}  // namespace

const std::vector<Transform>& Transforms() {
  static const std::vector<Transform> list = {
      {"strip", "white space at both ends removed", [](const std::string& t) { return StripPython(t); }},
      {"lstrip", "white space at the start removed", [](const std::string& t) { return LeftStripPython(t); }},
      {"rstrip", "white space at the end removed", [](const std::string& t) { return RightStripPython(t); }},
      {"lower", "lower case", [](const std::string& t) { return LowerPython(t); }},
      {"capitalize", "first character upper case, all others lower case",
       [](const std::string& t) { return CapitalizePython(t); }},
      {"lower_first", "first character lower case", LowerFirst},
      {"collapse_space", "runs of white space become one space, none at the ends", CollapseSpace},
      {"hellaswag", "WikiHow markup removed", HellaSwag},
      {"wikitext", "WikiText's tokenization taken back", WikiText},
      {"sentence_lines", "a line break after every sentence", SentenceLines},
  };
  return list;
}

const Transform* FindTransform(const std::string& name) {
  for (const Transform& transform : Transforms()) {
    if (name == transform.name) return &transform;
  }
  return nullptr;
}

}  // namespace tnb
