// Whether a text that a model is trained on holds what it is asked afterwards: runs of 13 words that occur in
// both, the measure by which GPT-3 (arXiv 2005.14165, appendix C) and most harnesses look for contamination.
//
// Words are runs of letters and digits (ASCII, lower-cased) and of bytes of other scripts; everything else
// separates them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_set>

namespace tnb {

struct Overlap {
  int64_t runs = 0;   // of words in the text that was looked at
  int64_t found = 0;  // of them, those that occur in the index too
};

class WordRuns {
 public:
  static constexpr size_t kWords = 13;

  // Adds all runs of a text; runs do not reach from one text into the next one.
  void Add(std::string_view text);
  Overlap Look(std::string_view text) const;
  bool empty() const { return runs_.empty(); }

 private:
  std::unordered_set<uint64_t> runs_;  // hashes: two different runs meet with a probability of 1e-19
};

}  // namespace tnb
