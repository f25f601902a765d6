#include "models/tokenizers/nfc.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "models/tokenizers/nfc_data.h"
#include "models/tokenizers/utf8.h"

namespace tnb {
namespace {

// Hangul is composed by arithmetic (Unicode 3.12).
constexpr int32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11A7;
constexpr int32_t kVowelCount = 21, kTrailingCount = 28, kSyllableCount = 19 * kVowelCount * kTrailingCount;

int CombiningClass(int32_t code) {
  const auto classes = NfcClasses();
  const auto after = std::upper_bound(classes.begin(), classes.end(), code,
                                      [](int32_t value, const NfcClass& row) { return value < row.begin; });
  if (after == classes.begin()) return 0;
  const NfcClass& row = *std::prev(after);
  return code <= row.end ? row.combining_class : 0;
}

void Decompose(int32_t code, std::vector<int32_t>* out) {
  if (code < 0xC0) {
    out->push_back(code);
    return;
  }
  if (code >= kSyllables && code < kSyllables + kSyllableCount) {
    const int32_t index = code - kSyllables;
    out->push_back(kLeading + index / (kVowelCount * kTrailingCount));
    out->push_back(kVowels + index / kTrailingCount % kVowelCount);
    if (index % kTrailingCount != 0) out->push_back(kTrailing + index % kTrailingCount);
    return;
  }
  const auto pairs = NfcPairs();
  const auto pair = std::lower_bound(pairs.begin(), pairs.end(), code,
                                     [](const NfcPair& row, int32_t value) { return row.composed < value; });
  if (pair != pairs.end() && pair->composed == code) {
    Decompose(pair->first, out);
    Decompose(pair->second, out);
    return;
  }
  const auto singles = NfcSingles();
  const auto single = std::lower_bound(singles.begin(), singles.end(), code,
                                       [](const NfcSingle& row, int32_t value) { return row.from < value; });
  if (single != singles.end() && single->from == code) {
    Decompose(single->to, out);
    return;
  }
  out->push_back(code);
}

// What two characters compose to, -1 for nothing.
int32_t Compose(int32_t first, int32_t second) {
  if (first >= kLeading && first < kLeading + 19 && second >= kVowels && second < kVowels + kVowelCount) {
    return kSyllables + ((first - kLeading) * kVowelCount + (second - kVowels)) * kTrailingCount;
  }
  if (first >= kSyllables && first < kSyllables + kSyllableCount &&
      (first - kSyllables) % kTrailingCount == 0 && second > kTrailing &&
      second < kTrailing + kTrailingCount) {
    return first + (second - kTrailing);
  }
  static const auto* const kComposed = [] {
    auto* map = new std::unordered_map<int64_t, int32_t>;  // never freed: used until the program ends
    for (const NfcPair& row : NfcPairs()) {
      if (!row.excluded) map->emplace(static_cast<int64_t>(row.first) << 32 | row.second, row.composed);
    }
    return map;
  }();
  const auto found = kComposed->find(static_cast<int64_t>(first) << 32 | second);
  return found == kComposed->end() ? -1 : found->second;
}

// Normalizes decomposed characters between two invalid bytes and appends them.
void AppendComposed(std::vector<int32_t>* codes, std::string* out) {
  for (size_t begin = 0; begin < codes->size();) {  // canonical ordering
    size_t end = begin;
    while (end < codes->size() && CombiningClass((*codes)[end]) != 0) ++end;
    std::stable_sort(codes->begin() + begin, codes->begin() + end,
                     [](int32_t a, int32_t b) { return CombiningClass(a) < CombiningClass(b); });
    begin = end + 1;
  }
  size_t starter = codes->size();  // of the composed sequence, none yet
  size_t size = 0;
  int last_class = 0;
  for (size_t i = 0; i < codes->size(); ++i) {
    const int32_t code = (*codes)[i];
    const int combining_class = CombiningClass(code);
    // Blocked by a character between of the same or a higher class, or by any starter.
    const bool adjacent = starter < size && starter + 1 == size;
    const bool blocked = starter >= size || (!adjacent && last_class >= combining_class);
    const int32_t composed = blocked ? -1 : Compose((*codes)[starter], code);
    if (composed >= 0) {
      (*codes)[starter] = composed;
      continue;
    }
    if (combining_class == 0) starter = size;
    last_class = combining_class;
    (*codes)[size++] = code;
  }
  for (size_t i = 0; i < size; ++i) AppendUtf8((*codes)[i], out);
  codes->clear();
}

}  // namespace

std::string ToNfc(std::string_view text) {
  // Everything below U+0300 (lead byte 0xCC) is in form C in every order.
  if (std::none_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) >= 0xCC; })) {
    return std::string(text);
  }
  std::string normalized;
  normalized.reserve(text.size());
  std::vector<int32_t> codes;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char character = DecodeUtf8(text, i);
    if (character.code < 0) {
      AppendComposed(&codes, &normalized);
      normalized += text[i];
    } else {
      Decompose(character.code, &codes);
    }
    i += character.length;
  }
  AppendComposed(&codes, &normalized);
  return normalized;
}

}  // namespace tnb
