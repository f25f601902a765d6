// Porter's suffix stripper in the dialect that ROUGE numbers are computed with: the steps of M. F. Porter,
// "An algorithm for suffix stripping" (Program 14(3), 1980), with the departures of Porter's own later
// implementation (words of one or two letters stay, "bli" for "abli", "logi") and those that NLTK made its
// default (a list of irregular words, "ies"/"ied" in four-letter words, another condition for y -> i,
// "fulli", "alli" tried twice, a vowel and a consonant count as a short syllable). The dialects differ on
// common words ("enjoy", "skies", "flies"), hence this one and no stemmer from a library.
#pragma once

#include <string>
#include <string_view>

namespace tnb {

// The stem of one lower-case word of ASCII letters and digits (digits count as consonants). Pure; never
// fails.
std::string PorterStem(std::string_view word);

}  // namespace tnb
