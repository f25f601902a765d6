#include "datasets/overlap.h"

#include <array>

namespace tnb {
namespace {

bool IsWordByte(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

// FNV-1a, then the finalizer of SplitMix64.
uint64_t Mixed(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

template <typename Take>
void ForEachRun(std::string_view text, const Take& take) {
  std::array<uint64_t, WordRuns::kWords> words{};
  size_t count = 0;
  for (size_t i = 0; i < text.size();) {
    if (!IsWordByte(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    uint64_t hash = 0xcbf29ce484222325;
    for (; i < text.size() && IsWordByte(static_cast<unsigned char>(text[i])); ++i) {
      const char c = text[i];
      const auto lower = static_cast<unsigned char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      hash = (hash ^ lower) * 0x100000001b3;
    }
    words[count++ % WordRuns::kWords] = Mixed(hash);
    if (count < WordRuns::kWords) continue;
    uint64_t run = 0;
    for (size_t j = 0; j < WordRuns::kWords; ++j) run = Mixed(run + words[(count + j) % WordRuns::kWords]);
    take(run);
  }
}

}  // namespace

void WordRuns::Add(std::string_view text) {
  ForEachRun(text, [&](uint64_t run) { runs_.insert(run); });
}

Overlap WordRuns::Look(std::string_view text) const {
  Overlap overlap;
  ForEachRun(text, [&](uint64_t run) {
    ++overlap.runs;
    overlap.found += runs_.count(run) > 0 ? 1 : 0;
  });
  return overlap;
}

}  // namespace tnb
