#include "base/hash.h"

#include "base/error.h"
#include "base/files.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

namespace tnb {
namespace {

// FIPS 180-2, appendix B, and the empty message.
const char kEmpty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const char kMillionA[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST_CASE("SHA-256 of the standard's messages") {
  CHECK(Sha256Hex("") == kEmpty);
  CHECK(Sha256Hex("abc") == kAbc);
  CHECK(Sha256Hex(std::string(1000000, 'a')) == kMillionA);
}

TEST_CASE("parts hash as the whole") {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  CHECK(hash.Hex() == kAbc);
}

TEST_CASE("files hash as their content") {
  const testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "a", std::string(1000000, 'a'));
  WriteFileAtomically(folder / "empty", "");
  CHECK(Sha256File(folder / "a") == kMillionA);
  CHECK(Sha256File(folder / "empty") == kEmpty);
  CHECK_THROWS_AS(Sha256File(folder / "absent"), Error);
}

}  // namespace
}  // namespace tnb
