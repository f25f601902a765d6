// Normalization form C against CPython 3.11's unicodedata.normalize("NFC", ...).
#include "models/tokenizers/nfc.h"

#include "base/hash.h"
#include "models/tokenizers/utf8.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

TEST_CASE("NFC of every character") {
  Sha256 hash;
  for (int32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(code, &text);
    hash.Update(ToNfc(text));
  }
  CHECK(hash.Hex() == "1ffc8e6ce9e83df8e49fd62d6abb68f981775aed0b5101b88c213d4653e9b540");
}

TEST_CASE("NFC of 200,000 characters that compose, reorder and block each other") {
  constexpr int32_t kPool[32] = {0x41,   0x61,  0x6F,  0x45,   0x300,  0x301,   0x302,   0x304,
                                 0x308,  0x323, 0x328, 0x327,  0x345,  0x1100,  0x1161,  0x11A8,
                                 0xAC00, 0x9C7, 0x9BE, 0x1E0C, 0xF900, 0x2126,  0xC5,    0x3B1,
                                 0x313,  0x5D0, 0x5B7, 0x93C,  0x915,  0x1D157, 0x1D165, 0x20};
  uint32_t state = 1;
  std::string text;
  for (int i = 0; i < 200000; ++i) {
    state = state * 1664525 + 1013904223;
    AppendUtf8(kPool[state >> 27], &text);
  }
  CHECK(Sha256Hex(ToNfc(text)) == "91285a573a9fe1eede41c459ec135188cd09f0d8ae5743e35b89a4a4a41c9bb8");
  CHECK(ToNfc(ToNfc(text)) == ToNfc(text));
}

TEST_CASE("NFC leaves bytes that are not UTF-8 alone, and nothing composes across them") {
  CHECK(ToNfc("e\u0301") == "\u00E9");
  CHECK(ToNfc("e\xFF\u0301") == "e\xFF\u0301");
  CHECK(ToNfc("\xCC") == "\xCC");
  CHECK(ToNfc("").empty());
}

}  // namespace
}  // namespace tnb
