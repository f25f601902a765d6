// Tables of nfc.cc, sorted by their first column; written by nfc_data.py.
#pragma once

#include <cstdint>
#include <span>

namespace tnb {

// A character that is canonically two others. `excluded`: never made from them (UAX #15, composition
// exclusion).
struct NfcPair {
  int32_t composed, first, second;
  bool excluded;
};
// A character that is canonically another one.
struct NfcSingle {
  int32_t from, to;
};
// Canonical combining class of begin..end; 0 elsewhere.
struct NfcClass {
  int32_t begin, end, combining_class;
};

std::span<const NfcPair> NfcPairs();
std::span<const NfcSingle> NfcSingles();
std::span<const NfcClass> NfcClasses();

}  // namespace tnb
