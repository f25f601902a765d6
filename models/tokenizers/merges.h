// The merging of byte-pair encoding (Sennrich et al., arXiv 1508.07909): of all neighboring pairs the one
// with the lowest rank becomes one symbol, the leftmost among equals, until no pair can be merged.
// O(n log n) in the symbols of a word, so that a whole text may be one word (SentencePiece).
#pragma once

#include <cstdint>
#include <queue>
#include <string>
#include <vector>

#include "models/tokenizer.h"

namespace tnb {

// `left` `right` -> `result`; lower ranks first.
struct MergeRule {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
  int32_t rank = 0;
};

// All rules by their pair: a hash table with open addressing. Immutable and thread-safe.
class MergeTable {
 public:
  // Of several rules for a pair the one with the lowest rank counts.
  explicit MergeTable(const std::vector<MergeRule>& rules);
  // nullptr: this pair does not merge.
  const MergeRule* Find(TokenId left, TokenId right) const;
  // SHA-256 of the rules as given.
  const std::string& hash() const { return hash_; }

 private:
  size_t Slot(TokenId left, TokenId right) const;

  std::vector<MergeRule> slots_;  // left < 0: empty
  size_t mask_ = 0;
  std::string hash_;
};

// Merges words one after another, keeping its buffers. One object a thread.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}
  // Replaces the symbols of a word by what they merge into. Symbols below 0 merge with nothing.
  void Merge(std::vector<TokenId>* symbols);

 private:
  struct Symbol {
    TokenId id;
    int64_t previous;
    int64_t next;
  };
  struct Candidate {
    int32_t rank;
    int64_t position;  // of the left symbol
    TokenId left, right, result;
    bool operator<(const Candidate& other) const {  // the queue's top is the largest
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  void Propose(int64_t position);

  const MergeTable& table_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace tnb
