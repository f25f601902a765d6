// Progress of a long piece of work: "quality arc_easy 120/500  24 % 31.2 items/s  ETA 12 s". On a terminal
// one line is rewritten in place; elsewhere (a log file, a pipe) whole lines are written, at most one every
// few seconds. Written to stderr, because results go to stdout.
//
//   Progress progress("quality arc_easy", 500, "items");
//   for (...) progress.Advance();
//   progress.Finish();
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace tnb {

// Where and when a Progress writes. The default is stderr and the steady clock; tests give their own.
struct ProgressOptions {
  bool terminal = false;
  int width = 80;                  // columns; a line on a terminal is cut to one less
  double terminal_interval = 0.1;  // seconds between two rewrites
  double plain_interval = 5.0;     // seconds between two plain lines
  std::function<void(const std::string&)> write;
  std::function<double()> now;  // seconds, monotonic

  // stderr as it is: whether it is a terminal and how wide.
  static ProgressOptions Standard();
};

// Not thread-safe. The destructor finishes the line.
class Progress {
 public:
  // `total` 0: unknown; then neither percentage nor ETA is shown. `unit` is the plural of what is counted.
  Progress(std::string title, int64_t total, std::string unit,
           ProgressOptions options = ProgressOptions::Standard());
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(int64_t count = 1) { Set(done_ + count); }
  void Set(int64_t done);
  // Writes the last state, with the total time instead of the ETA. Later calls do nothing.
  void Finish();

 private:
  std::string Line(double elapsed, bool last) const;
  void Write(bool last);

  std::string title_;
  int64_t total_;
  std::string unit_;
  ProgressOptions options_;
  double start_;
  double written_ = 0;  // when a line was last written, seconds after start
  int64_t done_ = 0;
  bool finished_ = false;
};

// Readable durations: "0.4 s", "12 s", "3 min 5 s", "2 h 4 min".
std::string FormatDuration(double seconds);

}  // namespace tnb
