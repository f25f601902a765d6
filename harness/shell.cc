// Command lines as text: quoted as a POSIX shell reads them.
#include <fstream>

#include "base/error.h"
#include "harness/command.h"

namespace tnb {

std::string ShellQuoted(const std::string& text) {
  static const char kPlain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string CommandLine() {
  std::ifstream input("/proc/self/cmdline", std::ios::binary);
  std::string text, line;
  while (std::getline(input, text, '\0')) line += line.empty() ? "tnbench" : " " + ShellQuoted(text);
  return line;
}

std::vector<std::string> ShellWords(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false, quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      if (c == '\'') {
        quoted = false;
      } else {
        word += c;
      }
    } else if (c == '\'') {
      quoted = in_word = true;
    } else if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      in_word = true;
    } else if (c == ' ') {
      if (in_word) words.push_back(word);
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quoted) throw Error(ErrorKind::kData, {"a command line has an open quote", "", "", line, ""});
  if (in_word) words.push_back(word);
  return words;
}

}  // namespace tnb
