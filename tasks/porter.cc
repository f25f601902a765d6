#include "tasks/porter.h"

#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace tnb {
namespace {

// Words that the rules get wrong.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kIrregular{{
    {"skies", "sky"},
    {"sky", "sky"},
    {"dying", "die"},
    {"lying", "lie"},
    {"tying", "tie"},
    {"news", "news"},
    {"innings", "inning"},
    {"inning", "inning"},
    {"outings", "outing"},
    {"outing", "outing"},
    {"cannings", "canning"},
    {"canning", "canning"},
    {"howe", "howe"},
    {"proceed", "proceed"},
    {"exceed", "exceed"},
    {"succeed", "succeed"},
}};

bool IsConsonant(std::string_view word, size_t i) {
  switch (word[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
      return false;
    case 'y': {
      // A y after a consonant is a vowel; in a run of them they alternate, the first one of a word is a
      // consonant.
      size_t first = i;
      while (first > 0 && word[first - 1] == 'y') --first;
      const bool starts_as_consonant = first == 0 || !IsConsonant(word, first - 1);
      return starts_as_consonant == ((i - first) % 2 == 0);
    }
    default:
      return true;
  }
}

// m in [C](VC)^m[V]: how often a vowel is followed by a consonant.
int Measure(std::string_view stem) {
  int measure = 0;
  for (size_t i = 1; i < stem.size(); ++i) measure += !IsConsonant(stem, i - 1) && IsConsonant(stem, i);
  return measure;
}

bool HasVowel(std::string_view stem) {
  for (size_t i = 0; i < stem.size(); ++i) {
    if (!IsConsonant(stem, i)) return true;
  }
  return false;
}

bool EndsInDoubleConsonant(std::string_view word) {
  const size_t n = word.size();
  return n >= 2 && word[n - 1] == word[n - 2] && IsConsonant(word, n - 1);
}

// A short syllable at the end: consonant, vowel, consonant other than w, x, y; or the whole word is vowel,
// consonant.
bool EndsInShortSyllable(std::string_view word) {
  const size_t n = word.size();
  if (n == 2) return !IsConsonant(word, 0) && IsConsonant(word, 1);
  if (n < 3 || !IsConsonant(word, n - 3) || IsConsonant(word, n - 2) || !IsConsonant(word, n - 1))
    return false;
  return word[n - 1] != 'w' && word[n - 1] != 'x' && word[n - 1] != 'y';
}

struct Rule {
  std::string_view suffix, replacement;
};

std::string_view Stem(std::string_view word, std::string_view suffix) {
  return word.substr(0, word.size() - suffix.size());
}

std::string Replace(std::string_view word, const Rule& rule) {
  return std::string(Stem(word, rule.suffix)).append(rule.replacement);
}

// The first rule whose suffix fits decides: applied when the stem's measure exceeds `above`, else nothing
// happens.
std::string ApplyFirst(std::string_view word, std::span<const Rule> rules, int above) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    return Measure(Stem(word, rule.suffix)) > above ? Replace(word, rule) : std::string(word);
  }
  return std::string(word);
}

std::string Step1a(std::string_view word) {
  if (word.size() == 4 && word.ends_with("ies")) return Replace(word, {"ies", "ie"});
  static constexpr Rule kRules[] = {{"sses", "ss"}, {"ies", "i"}, {"ss", "ss"}, {"s", ""}};
  for (const Rule& rule : kRules) {
    if (word.ends_with(rule.suffix)) return Replace(word, rule);
  }
  return std::string(word);
}

std::string Step1b(std::string_view word) {
  if (word.ends_with("ied")) return Replace(word, {"ied", word.size() == 4 ? "ie" : "i"});
  if (word.ends_with("eed")) {
    return Measure(Stem(word, "eed")) > 0 ? Replace(word, {"eed", "ee"}) : std::string(word);
  }
  std::string_view stem;
  if (word.ends_with("ed") && HasVowel(Stem(word, "ed"))) {
    stem = Stem(word, "ed");
  } else if (word.ends_with("ing") && HasVowel(Stem(word, "ing"))) {
    stem = Stem(word, "ing");
  } else {
    return std::string(word);
  }
  if (stem.ends_with("at") || stem.ends_with("bl") || stem.ends_with("iz")) return std::string(stem) + "e";
  if (EndsInDoubleConsonant(stem)) {
    const char last = stem.back();
    const bool keep = last == 'l' || last == 's' || last == 'z';
    return std::string(keep ? stem : stem.substr(0, stem.size() - 1));
  }
  if (Measure(stem) == 1 && EndsInShortSyllable(stem)) return std::string(stem) + "e";
  return std::string(stem);
}

std::string Step1c(std::string_view word) {
  const bool turns = word.ends_with("y") && word.size() > 2 && IsConsonant(word, word.size() - 2);
  return turns ? Replace(word, {"y", "i"}) : std::string(word);
}

std::string Step2(std::string_view word) {
  if (word.ends_with("alli") && Measure(Stem(word, "alli")) > 0) return Step2(Replace(word, {"alli", "al"}));
  static constexpr Rule kRules[] = {
      {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
      {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
      {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
      {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
      {"fulli", "ful"},
  };
  // Here the "l" of "log" belongs to the stem that is measured.
  if (word.ends_with("logi")) {
    return Measure(Stem(word, "ogi")) > 0 ? Replace(word, {"logi", "log"}) : std::string(word);
  }
  return ApplyFirst(word, kRules, 0);
}

std::string Step3(std::string_view word) {
  static constexpr Rule kRules[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
                                    {"ical", "ic"},  {"ful", ""},   {"ness", ""}};
  return ApplyFirst(word, kRules, 0);
}

std::string Step4(std::string_view word) {
  static constexpr Rule kRules[] = {{"al", ""},   {"ance", ""}, {"ence", ""}, {"er", ""},    {"ic", ""},
                                    {"able", ""}, {"ible", ""}, {"ant", ""},  {"ement", ""}, {"ment", ""},
                                    {"ent", ""},  {"ou", ""},   {"ism", ""},  {"ate", ""},   {"iti", ""},
                                    {"ous", ""},  {"ive", ""},  {"ize", ""}};
  if (word.ends_with("ion")) {
    const std::string_view stem = Stem(word, "ion");
    const bool fits = Measure(stem) > 1 && (stem.back() == 's' || stem.back() == 't');
    return std::string(fits ? stem : word);
  }
  return ApplyFirst(word, kRules, 1);
}

std::string Step5(std::string_view word) {
  std::string result(word);
  if (word.ends_with("e")) {
    const std::string_view stem = Stem(word, "e");
    const int measure = Measure(stem);
    if (measure > 1 || (measure == 1 && !EndsInShortSyllable(stem))) result = stem;
  }
  if (result.ends_with("ll") && Measure(std::string_view(result).substr(0, result.size() - 1)) > 1) {
    result.pop_back();
  }
  return result;
}

}  // namespace

std::string PorterStem(std::string_view word) {
  for (const auto& [irregular, stem] : kIrregular) {
    if (word == irregular) return std::string(stem);
  }
  if (word.size() <= 2) return std::string(word);
  return Step5(Step4(Step3(Step2(Step1c(Step1b(Step1a(word)))))));
}

}  // namespace tnb
