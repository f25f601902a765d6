// base/ holds what every other folder may use and what knows none of them: errors, hashing, JSON
// helpers, files, progress, random numbers. It never includes a header of another folder.
//
// Error is the one exception type of tnbench. Library code throws it (or lets it pass) and never
// exits; the program prints Message() as one line on stderr and ends with ExitCode().
#pragma once

#include <stdexcept>
#include <string>

namespace tnb {

enum class ErrorKind {
  kUsage,        // the caller asked for something that does not exist: unknown name, value out of range
  kData,         // a file, dataset or database does not hold what it should
  kIo,           // the operating system refused: missing file, full disk, no permission
  kUnsupported,  // legal, but not possible here (no CUDA, a format without this operation)
  kInternal,     // a broken invariant: a bug
};

// The parts of a good message. Empty parts are left out.
struct ErrorDetail {
  std::string what;      // "shard model-00001.safetensors is truncated"
  std::string expected;  // "268435456 bytes"
  std::string found;     // "1048576 bytes"
  std::string where;     // file[:line], tensor or parameter name
  std::string hint;      // what to do
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, ErrorDetail detail);
  // Shorthand for an error that needs no more than one sentence and a hint.
  Error(ErrorKind kind, const std::string& what, const std::string& hint = "");

  ErrorKind kind() const { return kind_; }
  const ErrorDetail& detail() const { return detail_; }
  // 2 for kUsage, 1 for everything else.
  int ExitCode() const { return kind_ == ErrorKind::kUsage ? 2 : 1; }

 private:
  ErrorKind kind_;
  ErrorDetail detail_;
};

}  // namespace tnb
