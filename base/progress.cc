#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace tnb {

ProgressOptions ProgressOptions::Standard() {
  ProgressOptions options;
  options.terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (options.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.width = size.ws_col;
  }
  options.write = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
  options.now = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  return options;
}

Progress::Progress(std::string title, int64_t total, std::string unit, ProgressOptions options)
    : title_(std::move(title)),
      total_(std::max<int64_t>(total, 0)),
      unit_(std::move(unit)),
      options_(std::move(options)),
      start_(options_.now()) {}

Progress::~Progress() {
  try {
    Finish();
  } catch (...) {
    // Progress is an aid: failing to show it must not end the work.
  }
}

void Progress::Set(int64_t done) {
  if (finished_) return;
  done_ = done;
  // On plain output the last line is Finish's, so that it does not stand there twice.
  if (!options_.terminal && total_ > 0 && done_ >= total_) return;
  const double interval = options_.terminal ? options_.terminal_interval : options_.plain_interval;
  if (options_.now() - start_ - written_ >= interval) Write(false);
}

void Progress::Finish() {
  if (finished_) return;
  finished_ = true;
  Write(true);
}

void Progress::Write(bool last) {
  const double elapsed = options_.now() - start_;
  written_ = elapsed;
  std::string line = Line(elapsed, last);
  if (options_.terminal) {
    line.resize(std::min(line.size(), static_cast<size_t>(std::max(options_.width - 1, 1))));
    // Return to the first column and clear what a longer line left behind.
    line = "\r" + line + "\x1b[K";
  }
  options_.write(!options_.terminal || last ? line + "\n" : line);
}

std::string Progress::Line(double elapsed, bool last) const {
  std::string line = title_ + " " + std::to_string(done_);
  if (total_ > 0) line += fmt::format("/{} {:3} %", total_, std::min<int64_t>(100, 100 * done_ / total_));
  const double rate = elapsed > 0 ? done_ / elapsed : 0;
  if (rate > 0) line += fmt::format(" {:.3g} {}/s", rate, unit_);
  if (last) return line + " in " + FormatDuration(elapsed);
  if (total_ > done_ && rate > 0) line += " ETA " + FormatDuration((total_ - done_) / rate);
  return line;
}

std::string FormatDuration(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e9) return "very long";
  if (seconds < 9.95) return fmt::format("{:.1f} s", std::max(seconds, 0.0));
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace tnb
