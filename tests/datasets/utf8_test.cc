#include "datasets/utf8.h"

#include "tests/support/catch.h"

using namespace tnb;

TEST_CASE("invalid UTF-8 is found where it begins") {
  CHECK_FALSE(InvalidUtf8Offset("plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"));
  CHECK(InvalidUtf8Offset("ab\xFFz") == 2u);
  CHECK(InvalidUtf8Offset("a\xC3") == 1u);             // cut
  CHECK(InvalidUtf8Offset("\xC0\xAF") == 0u);          // overlong
  CHECK(InvalidUtf8Offset("x\xED\xA0\x80") == 1u);     // surrogate
  CHECK(InvalidUtf8Offset("\xF4\x90\x80\x80") == 0u);  // beyond U+10FFFF
}

TEST_CASE("repair replaces each maximal invalid part, as Python does") {
  // b"a\xe2\x82b\xff\xf0\x9f\x98".decode(errors="replace")
  CHECK(RepairUtf8("a\xE2\x82"
                   "b\xFF\xF0\x9F\x98") == "a\uFFFDb\uFFFD\uFFFD");
  // b"\xc0\xaf\xed\xa0\x80".decode(errors="replace") has one replacement a byte
  CHECK(RepairUtf8("\xC0\xAF\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  CHECK(RepairUtf8("fine \u20AC") == "fine \u20AC");
}

TEST_CASE("code points, not bytes, are counted") {
  CHECK(CodePointCount("") == 0);
  CHECK(CodePointCount("na\u00EFve \U0001F600") == 7);
  CHECK(FromCodePoints(CodePoints("na\u00EFve \U0001F600")) == "na\u00EFve \U0001F600");
}

TEST_CASE("white space and case are Python's") {
  CHECK(StripPython("\u00A0\x1C a b\u3000\n") == "a b");
  CHECK(LeftStripPython(" a ") == "a ");
  CHECK(RightStripPython(" a \u2003") == " a");
  CHECK(StripPython("\u200B") == "\u200B");  // zero width space is not white space
  CHECK(CapitalizePython("then the MAN") == "Then the man");
  CHECK(CapitalizePython("\u00E9COLE \u00C4") == "\u00C9cole \u00E4");
  CHECK(CapitalizePython("") == "");
  CHECK(LowerPython("\u0416A\u00D6") == "\u0436a\u00F6");
}

TEST_CASE("words are those of re.split, empty ones at the ends included") {
  CHECK(SplitWordCount("") == 1);
  CHECK(SplitWordCount("a") == 1);
  CHECK(SplitWordCount(" a  b\n") == 4);
  CHECK(SplitWordCount(" ") == 2);
}
