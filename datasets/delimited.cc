#include "datasets/delimited.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace tnb {
namespace {

class Records {
 public:
  Records(std::string_view text, Delimited kind, const std::string& path)
      : text_(text), kind_(kind), separator_(kind == Delimited::kCsv ? ',' : '\t'), path_(path) {
    // Line ends behind the last record say nothing.
    while (!text_.empty() && (text_.back() == '\n' || text_.back() == '\r')) text_.remove_suffix(1);
  }

  bool done() const { return done_; }
  // Line on which the next record begins, from 1.
  int64_t line() const { return line_; }

  std::vector<std::string> Next() {
    std::vector<std::string> fields;
    do {
      fields.push_back(kind_ == Delimited::kCsv && Here() == '"' ? Quoted() : Plain());
    } while (Here() == separator_ && ++at_ > 0);
    if (at_ < text_.size()) {
      SkipLineEnd();
    } else {
      done_ = true;
    }
    return fields;
  }

 private:
  // The next character; -1 at the end.
  int Here() const { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : -1; }
  bool AtLineEnd() const { return text_[at_] == '\n' || text_[at_] == '\r'; }

  void SkipLineEnd() {
    at_ += text_.substr(at_, 2) == "\r\n" ? 2 : 1;
    ++line_;
  }

  std::string Plain() {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != separator_ && !AtLineEnd()) {
      if (kind_ == Delimited::kCsv && text_[at_] == '"') {
        Fail("a quote inside an unquoted CSV field", "", "", "quote the whole field, and write \" as \"\"");
      }
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string Quoted() {
    const int64_t opened = line_;
    std::string field;
    for (++at_;;) {
      if (at_ >= text_.size()) {
        line_ = opened;
        Fail("a quoted CSV field is not closed", "\"", "end of file", "is the file complete?");
      }
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
        field += '"';
        at_ += 2;
      } else if (AtLineEnd()) {
        const size_t begin = at_;
        SkipLineEnd();
        field += text_.substr(begin, at_ - begin);
      } else {
        field += text_[at_++];
      }
    }
    ++at_;
    if (at_ < text_.size() && text_[at_] != separator_ && !AtLineEnd()) {
      Fail("text after a closing quote in CSV", "comma or line break", std::string(1, text_[at_]),
           "write \" as \"\"");
    }
    return field;
  }

  [[noreturn]] void Fail(const std::string& what, const std::string& expected, const std::string& found,
                         const std::string& hint) const {
    throw Error(ErrorKind::kData, {what, expected, found, path_ + ":" + std::to_string(line_), hint});
  }

  std::string_view text_;
  Delimited kind_;
  char separator_;
  const std::string& path_;
  size_t at_ = 0;
  int64_t line_ = 1;
  bool done_ = false;
};

}  // namespace

void ReadDelimited(std::string_view text, Delimited kind, const std::string& path,
                   const std::function<void(Json, int64_t)>& add, const std::vector<std::string>& columns) {
  Records records(text, kind, path);
  const std::vector<std::string> header = columns.empty() ? records.Next() : columns;
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i].empty() || std::count(header.begin(), header.end(), header[i]) > 1) {
      throw Error(ErrorKind::kData,
                  {"column " + std::to_string(i + 1) + " has an empty or repeated name",
                   "a header row of distinct names", "'" + header[i] + "'", path + ":1", ""});
    }
  }
  while (!records.done()) {
    const int64_t line = records.line();
    std::vector<std::string> record = records.Next();
    if (record.size() != header.size()) {
      const bool blank = record.size() == 1 && record[0].empty();
      throw Error(
          ErrorKind::kData,
          {blank ? "a blank line between records" : "a record has another number of fields than the header",
           std::to_string(header.size()), std::to_string(record.size()), path + ":" + std::to_string(line),
           blank ? "" : "quote fields that hold separators"});
    }
    Json document = Json::object();
    for (size_t i = 0; i < header.size(); ++i) document[header[i]] = std::move(record[i]);
    add(std::move(document), line);
  }
}

}  // namespace tnb
