#include "models/tokenizers/merges.h"

#include <bit>

#include "base/hash.h"

namespace tnb {

MergeTable::MergeTable(const std::vector<MergeRule>& rules) {
  const size_t size = std::bit_ceil(rules.size() * 2 + 2);  // never full: Find always meets an empty slot
  slots_.assign(size, MergeRule{-1, -1, -1, 0});
  mask_ = size - 1;
  for (const MergeRule& rule : rules) {
    MergeRule& slot = slots_[Slot(rule.left, rule.right)];
    if (slot.left < 0 || rule.rank < slot.rank) slot = rule;
  }
  Sha256 hash;
  hash.Update(rules.data(), rules.size() * sizeof(MergeRule));
  hash_ = hash.Hex();
}

size_t MergeTable::Slot(TokenId left, TokenId right) const {
  uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  key *= 0x9E3779B97F4A7C15;  // Fibonacci hashing: the high bits are the mixed ones
  size_t slot = (key >> 32) & mask_;
  while (slots_[slot].left >= 0 && (slots_[slot].left != left || slots_[slot].right != right)) {
    slot = (slot + 1) & mask_;
  }
  return slot;
}

const MergeRule* MergeTable::Find(TokenId left, TokenId right) const {
  if (left < 0 || right < 0) return nullptr;
  const MergeRule& rule = slots_[Slot(left, right)];
  return rule.left < 0 ? nullptr : &rule;
}

void Merger::Propose(int64_t position) {
  if (position < 0 || symbols_[position].next < 0) return;
  const MergeRule* rule = table_.Find(symbols_[position].id, symbols_[symbols_[position].next].id);
  if (rule != nullptr) queue_.push({rule->rank, position, rule->left, rule->right, rule->result});
}

void Merger::Merge(std::vector<TokenId>* symbols) {
  const auto count = static_cast<int64_t>(symbols->size());
  if (count < 2) return;
  symbols_.resize(count);
  for (int64_t i = 0; i < count; ++i) symbols_[i] = {(*symbols)[i], i - 1, i + 1 < count ? i + 1 : -1};
  for (int64_t i = 0; i + 1 < count; ++i) Propose(i);
  constexpr TokenId kGone = -2;  // a symbol that became part of its left neighbor
  while (!queue_.empty()) {
    const Candidate best = queue_.top();
    queue_.pop();
    Symbol& left = symbols_[best.position];
    if (left.id != best.left || left.next < 0 || symbols_[left.next].id != best.right) continue;  // outdated
    Symbol& right = symbols_[left.next];
    left.id = best.result;
    left.next = right.next;
    right.id = kGone;
    if (left.next >= 0) symbols_[left.next].previous = best.position;
    Propose(left.previous);
    Propose(best.position);
  }
  symbols->clear();
  for (int64_t i = 0; i >= 0; i = symbols_[i].next) symbols->push_back(symbols_[i].id);
}

}  // namespace tnb
