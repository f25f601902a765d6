#include "tasks/rouge.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tasks/porter.h"

namespace tnb {
namespace {

using Words = std::vector<std::string>;

Words SplitWords(std::string_view text, bool stem) {
  Words words;
  std::string word;
  const auto finish = [&] {
    if (word.empty()) return;
    words.push_back(stem && word.size() > 3 ? PorterStem(word) : word);
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      word += c;
    } else if (c >= 'A' && c <= 'Z') {
      word += static_cast<char>(c - 'A' + 'a');
    } else if (text.substr(i, 3) == "\xE2\x84\xAA") {
      word += 'k';  // U+212A KELVIN SIGN and the next one: Unicode's only capitals with a lower case in a-z
      i += 2;
    } else if (text.substr(i, 2) == "\xC4\xB0") {
      word += 'i';  // U+0130, whose lower case is an i and a combining dot; the dot ends the word
      finish();
      i += 1;
    } else {
      finish();
    }
  }
  finish();
  return words;
}

RougeScore Score(size_t hits, size_t reference_units, size_t prediction_units) {
  RougeScore score;
  score.precision = static_cast<double>(hits) / static_cast<double>(std::max<size_t>(prediction_units, 1));
  score.recall = static_cast<double>(hits) / static_cast<double>(std::max<size_t>(reference_units, 1));
  const double sum = score.precision + score.recall;
  if (sum > 0) score.f1 = 2 * score.precision * score.recall / sum;
  return score;
}

using Counts = std::map<Words, size_t>;

Counts CountNgrams(const Words& words, size_t n) {
  Counts counts;
  for (size_t i = 0; i + n <= words.size(); ++i) {
    ++counts[Words(words.begin() + static_cast<std::ptrdiff_t>(i),
                   words.begin() + static_cast<std::ptrdiff_t>(i + n))];
  }
  return counts;
}

RougeScore RougeN(const Words& reference, const Words& prediction, size_t n) {
  const Counts counts = CountNgrams(reference, n), predicted = CountNgrams(prediction, n);
  size_t hits = 0;
  for (const auto& [ngram, count] : counts) {
    const auto found = predicted.find(ngram);
    if (found != predicted.end()) hits += std::min(count, found->second);
  }
  const auto units = [n](const Words& words) { return words.size() + 1 > n ? words.size() + 1 - n : 0; };
  return Score(hits, units(reference), units(prediction));
}

// Lengths of the longest common subsequences of all pairs of prefixes: (|a| + 1) x (|b| + 1), row major.
std::vector<uint32_t> LcsTable(const Words& a, const Words& b) {
  const size_t width = b.size() + 1;
  std::vector<uint32_t> table((a.size() + 1) * width, 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j < width; ++j) {
      table[i * width + j] = a[i - 1] == b[j - 1]
                                 ? table[(i - 1) * width + j - 1] + 1
                                 : std::max(table[(i - 1) * width + j], table[i * width + j - 1]);
    }
  }
  return table;
}

RougeScore RougeL(const Words& reference, const Words& prediction) {
  if (reference.empty() || prediction.empty()) return {};
  return Score(LcsTable(reference, prediction).back(), reference.size(), prediction.size());
}

// Marks the words of `reference` that lie on one longest common subsequence. Where several are equally long,
// the walk from the end leaves out a word of the reference first; the union over sentences depends on that
// choice.
void MarkLcs(const Words& reference, const Words& sentence, std::vector<bool>& marks) {
  const std::vector<uint32_t> table = LcsTable(reference, sentence);
  const size_t width = sentence.size() + 1;
  size_t i = reference.size(), j = sentence.size();
  while (i > 0 && j > 0) {
    if (reference[i - 1] == sentence[j - 1]) {
      marks[i - 1] = true;
      --i;
      --j;
    } else if (table[i * width + j - 1] > table[(i - 1) * width + j]) {
      --j;
    } else {
      --i;
    }
  }
}

struct Sentences {
  std::vector<Words> lines;
  std::map<std::string, size_t> counts;
  size_t words = 0;
};

Sentences SplitSentences(std::string_view text, bool stem) {
  Sentences result;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    result.lines.push_back(SplitWords(text.substr(0, end), stem));
    for (const std::string& word : result.lines.back()) ++result.counts[word];
    result.words += result.lines.back().size();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

// Lin's summary-level ROUGE-L: each reference sentence against the union of its common subsequences with all
// predicted sentences; no word is counted more often than it stands in either text.
RougeScore RougeLsum(std::string_view reference_text, std::string_view prediction_text, bool stem) {
  Sentences reference = SplitSentences(reference_text, stem);
  Sentences prediction = SplitSentences(prediction_text, stem);
  if (reference.words == 0 || prediction.words == 0) return {};
  size_t hits = 0;
  for (const Words& line : reference.lines) {
    std::vector<bool> marks(line.size(), false);
    for (const Words& sentence : prediction.lines) MarkLcs(line, sentence, marks);
    for (size_t i = 0; i < line.size(); ++i) {
      if (!marks[i]) continue;
      size_t& left_in_reference = reference.counts[line[i]];
      size_t& left_in_prediction = prediction.counts[line[i]];
      if (left_in_reference == 0 || left_in_prediction == 0) continue;
      --left_in_reference;
      --left_in_prediction;
      ++hits;
    }
  }
  return Score(hits, reference.words, prediction.words);
}

}  // namespace

RougeScores Rouge(std::string_view reference, std::string_view prediction, bool stem) {
  const Words a = SplitWords(reference, stem), b = SplitWords(prediction, stem);
  return {RougeN(a, b, 1), RougeN(a, b, 2), RougeL(a, b), RougeLsum(reference, prediction, stem)};
}

}  // namespace tnb
