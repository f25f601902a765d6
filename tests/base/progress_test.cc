#include "base/progress.h"

#include <vector>

#include "tests/support/catch.h"

namespace tnb {
namespace {

// Collects what is written and moves the clock by hand.
struct Screen {
  double time = 100;
  std::vector<std::string> lines;

  ProgressOptions Options(bool terminal) {
    ProgressOptions options;
    options.terminal = terminal;
    options.width = 60;
    options.write = [this](const std::string& text) { lines.push_back(text); };
    options.now = [this] { return time; };
    return options;
  }
};

TEST_CASE("a log gets a line every five seconds and one at the end") {
  Screen screen;
  {
    Progress progress("quality", 200, "items", screen.Options(false));
    for (int i = 0; i < 200; ++i) {
      screen.time += 0.1;
      progress.Advance();
    }
  }
  REQUIRE(screen.lines.size() >= 4);
  CHECK(screen.lines.size() <= 5);
  CHECK(screen.lines.front().find("ETA 15 s\n") != std::string::npos);
  CHECK(screen.lines.front().find("10 items/s") != std::string::npos);
  CHECK(screen.lines.back() == "quality 200/200 100 % 10 items/s in 20 s\n");
}

TEST_CASE("the last of the work is one line in a log, however long it took") {
  Screen screen;
  {
    Progress progress("quality", 2, "items", screen.Options(false));
    for (int i = 0; i < 2; ++i) {
      screen.time += 10;
      progress.Advance();
    }
  }
  REQUIRE(screen.lines.size() == 2);
  CHECK(screen.lines[0] == "quality 1/2  50 % 0.1 items/s ETA 10 s\n");
  CHECK(screen.lines[1] == "quality 2/2 100 % 0.1 items/s in 20 s\n");
}

TEST_CASE("a terminal line is rewritten in place and cut to the width") {
  Screen screen;
  Progress progress(std::string(100, 'x'), 10, "items", screen.Options(true));
  screen.time += 1;
  progress.Advance();
  screen.time += 0.01;  // too early for another rewrite
  progress.Advance();
  REQUIRE(screen.lines.size() == 1);
  CHECK(screen.lines[0] == "\r" + std::string(59, 'x') + "\x1b[K");
  progress.Finish();
  progress.Finish();
  progress.Advance();
  REQUIRE(screen.lines.size() == 2);
  CHECK(screen.lines[1].back() == '\n');
}

TEST_CASE("an unknown total shows neither percentage nor ETA") {
  Screen screen;
  Progress progress("download", 0, "MiB", screen.Options(false));
  screen.time += 6;
  progress.Set(12);
  REQUIRE(screen.lines.size() == 1);
  CHECK(screen.lines[0] == "download 12 2 MiB/s\n");
}

TEST_CASE("nothing done in no time is shown without a rate") {
  Screen screen;
  Progress progress("empty", 0, "items", screen.Options(false));
  progress.Finish();
  CHECK(screen.lines.at(0) == "empty 0 in 0.0 s\n");
}

TEST_CASE("durations") {
  CHECK(FormatDuration(0.44) == "0.4 s");
  CHECK(FormatDuration(9.96) == "10 s");
  CHECK(FormatDuration(59.6) == "1 min 0 s");
  CHECK(FormatDuration(185) == "3 min 5 s");
  CHECK(FormatDuration(7440) == "2 h 4 min");
  CHECK(FormatDuration(1e300) == "very long");
  CHECK(FormatDuration(-1) == "0.0 s");
}

}  // namespace
}  // namespace tnb
