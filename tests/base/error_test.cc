#include "base/error.h"

#include "tests/support/catch.h"

TEST_CASE("an error is one line with expected, found, where and hint") {
  const tnb::Error error(tnb::ErrorKind::kData,
                         {"shard is\ntruncated", "8 bytes", "4 bytes", "a.bin", "copy it again"});
  CHECK(std::string(error.what()) ==
        "shard is truncated: expected 8 bytes, found 4 bytes [a.bin]; hint: copy it again");
  CHECK(error.ExitCode() == 1);
}

TEST_CASE("usage errors end with 2") {
  CHECK(tnb::Error(tnb::ErrorKind::kUsage, "no method 'mpx'", "did you mean 'mpo'?").ExitCode() == 2);
}
