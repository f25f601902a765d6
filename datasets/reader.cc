#include "datasets/reader.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "base/counting_iterator.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "datasets/delimited.h"
#include "datasets/utf8.h"

namespace tnb {
namespace {

// Deeper values would end in a stack overflow when they are copied or compared; no dataset has such.
constexpr int kDeepest = 100;

std::string At(const std::string& path, int64_t line) { return path + ":" + std::to_string(line); }

int64_t LineOf(std::string_view text, size_t offset) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
}

// Parses JSON that begins on line `line` of the file; `opened` is told of every object and array: its depth
// (the outermost has 0), its line, and the name that it has in an enclosing object.
Json ParseLocated(std::string_view text, const std::string& path, int64_t line,
                  const std::function<void(int depth, int64_t line, const std::string& key)>& opened) {
  std::string key;  // at depth 1
  const auto callback = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::key && depth == 1) key = value.get<std::string>();
    if (event != Json::parse_event_t::object_start && event != Json::parse_event_t::array_start) return true;
    if (depth > kDeepest) {
      throw Error(ErrorKind::kData, {"values are nested too deeply",
                                     std::to_string(kDeepest) + " levels or fewer", "", At(path, line), ""});
    }
    if (opened) opened(depth, line, key);
    return true;
  };
  try {
    const char* begin = text.data();
    return Json::parse(CountingIterator(begin, &line), CountingIterator(begin + text.size(), &line),
                       callback);
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::kData,
                {"not valid JSON", "", error.what(), At(path, line), "is the file complete?"});
  }
}

void AddDocument(Dataset& data, Json document, int64_t line) {
  if (!document.is_object()) {
    throw Error(ErrorKind::kData, {"a document is not a JSON object", "{...}", document.dump().substr(0, 60),
                                   At(data.path, line), ""});
  }
  if (document.empty()) {
    throw Error(ErrorKind::kData, {"a document has no fields", "", "", At(data.path, line), ""});
  }
  data.documents.push_back(std::move(document));
  data.lines.push_back(line);
}

void ReadJsonLines(Dataset& data, std::string_view text) {
  int64_t line = 0, blank = 0;
  while (!text.empty()) {
    ++line;
    const size_t end = text.find('\n');
    const std::string_view row = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) {
      if (blank == 0) blank = line;
      continue;
    }
    if (blank != 0)
      throw Error(ErrorKind::kData, {"a blank line between documents", "", "", At(data.path, blank), ""});
    AddDocument(data, ParseLocated(row, data.path, line, nullptr), line);
  }
}

// [{...}, ...], or an object with exactly one field that holds such an array.
void ReadJsonRecords(Dataset& data, std::string_view text) {
  std::vector<int64_t> outer;                         // lines of the elements of the file's array
  std::map<std::string, std::vector<int64_t>> inner;  // by field of the file's object
  Json json = ParseLocated(text, data.path, 1, [&](int depth, int64_t line, const std::string& key) {
    if (depth == 1) outer.push_back(line);
    if (depth == 2) inner[key].push_back(line);
  });
  std::vector<int64_t>* lines = &outer;
  Json* array = &json;
  if (json.is_object()) {
    const auto holds_records = [](const Json& value) {
      return value.is_array() && !value.empty() &&
             std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_object(); });
    };
    std::string names;
    for (auto& [key, value] : json.items()) {
      if (!holds_records(value)) continue;
      names += (names.empty() ? "" : ", ") + key;
      array = &value;
      lines = &inner[key];
    }
    if (array == &json || names.find(", ") != std::string::npos) {
      throw Error(ErrorKind::kData, {"the file is an object, and it is not clear where its documents are",
                                     "exactly one field with an array of objects",
                                     names.empty() ? "none" : names, data.path, "write an array of objects"});
    }
  } else if (!json.is_array()) {
    throw Error(ErrorKind::kData,
                {"the file is not a JSON array of objects", "[{...}, ...]", json.type_name(), data.path, ""});
  }
  for (size_t i = 0; i < array->size(); ++i) {
    // Only objects and arrays have lines: at the first element that is neither, AddDocument throws.
    const bool located = i < lines->size() && (*array)[i].is_structured();
    AddDocument(data, std::move((*array)[i]),
                located              ? (*lines)[i]
                : data.lines.empty() ? 1
                                     : data.lines.back());
  }
}

void ReadLines(Dataset& data, std::string_view text) {
  int64_t line = 0;
  while (!text.empty()) {
    ++line;
    const size_t end = text.find('\n');
    std::string_view row = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (!StripPython(row).empty()) AddDocument(data, Json{{"text", row}}, line);
  }
}

// Built up, as GCC 12 takes std::string::replace for an overflow here.
std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    result.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return result.append(text);
}

// A page begins at a line "= Title =" with one sign of equality at each end; section titles have more.
bool IsPageTitle(std::string_view line) {
  const std::string joined = Replaced(Replaced(line, "= = =", "==="), "= =", "==");
  const std::string title = StripPython(joined);
  return title.size() >= 2 && title.starts_with("= ") && title.ends_with(" =");
}

void ReadWikiText(Dataset& data, std::string_view text) {
  std::string page;
  bool has_lines = false;
  int64_t line = 0, first = 1;
  const auto flush = [&] {
    if (!StripPython(page).empty()) AddDocument(data, Json{{"page", page}}, first);
    page.clear();
    has_lines = false;
  };
  for (bool more = true; more;) {
    ++line;
    const size_t end = text.find('\n');
    const std::string_view row = text.substr(0, end);
    more = end != std::string_view::npos;
    if (more) text.remove_prefix(end + 1);
    if (IsPageTitle(row)) {
      flush();
      first = line;
    }
    if (has_lines) page += '\n';
    page += row;
    has_lines = true;
  }
  flush();
}

// The rows of the Hugging Face dataset wikitext: a line with its line break, or nothing for a blank one.
void ReadWikiTextRows(Dataset& data, std::string_view text) {
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string row(text.substr(0, end));
    AddDocument(data, Json{{"text", StripPython(row).empty() ? "" : row}}, line);
    text.remove_prefix(end);
  }
}

std::string FormatByExtension(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  for (const char* known : {"jsonl", "json", "csv", "tsv"}) {
    if (extension == std::string(".") + known) return known;
  }
  return extension == ".ndjson" ? "jsonl" : "text";
}

// Containers that are often taken for the data itself, by their first bytes.
void RefuseContainers(std::string_view bytes, const std::string& path) {
  const auto refuse = [&](const char* what, const std::string& hint) {
    throw Error(ErrorKind::kData, {std::string("the file is ") + what + ", which is not read directly",
                                   "text (jsonl, json, csv, tsv)", "", path, hint});
  };
  const std::string stem = std::filesystem::path(path).stem().string();
  if (bytes.starts_with("PAR1")) {
    refuse("Parquet", "convert it: python3 -c \"import pandas; pandas.read_parquet('" + path +
                          "').to_json('" + stem +
                          ".jsonl', orient='records', lines=True)\" (needs pandas and pyarrow)");
  }
  if (bytes.starts_with("\x1F\x8B")) refuse("gzip-compressed", "gunzip " + path);
  if (bytes.starts_with("\x28\xB5\x2F\xFD")) refuse("Zstandard-compressed", "unzstd " + path);
  if (bytes.starts_with("PK\x03\x04")) refuse("a zip archive", "unzip " + path);
  if (bytes.starts_with("ARROW1")) refuse("an Arrow file", "convert it to jsonl");
}

// The file's text without byte order mark; `sha256` is that of its bytes.
std::string ReadUtf8File(const std::filesystem::path& path, std::string* sha256) {
  std::string text = ReadFile(path);
  *sha256 = Sha256Hex(text);
  RefuseContainers(text, path.string());
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // byte order mark
  const std::optional<size_t> bad = InvalidUtf8Offset(text);
  const size_t nul = text.find('\0');
  if (bad || nul != std::string::npos) {
    const size_t at = std::min(bad.value_or(text.size()), nul);
    throw Error(
        ErrorKind::kData,
        {"the file is not UTF-8 text", "",
         "byte " + std::to_string(at) + (at == nul ? " is NUL" : " is no character"),
         At(path.string(), LineOf(text, at)), "convert it with iconv -t UTF-8 (-f LATIN1, UTF-16 ...)"});
  }
  return text;
}

}  // namespace

std::string Dataset::Where(size_t document) const { return At(path, lines.at(document)); }

const std::vector<std::string>& DatasetFormats() {
  static const std::vector<std::string> formats = {"jsonl", "json",  "csv",      "tsv",
                                                   "text",  "lines", "wikitext", "wikitext_rows"};
  return formats;
}

Dataset ReadDataset(const std::filesystem::path& path, const std::string& format,
                    const std::vector<std::string>& columns) {
  const std::string kind = format.empty() ? FormatByExtension(path) : format;
  if (!columns.empty() && kind != "csv" && kind != "tsv") {
    throw Error(ErrorKind::kUsage,
                {"columns are named for a file that is no table", "csv or tsv", kind, path.string(), ""});
  }
  Dataset data;
  data.path = path.string();
  const std::string text = ReadUtf8File(path, &data.sha256);
  const auto add = [&](Json document, int64_t line) { AddDocument(data, std::move(document), line); };
  if (kind == "jsonl") {
    ReadJsonLines(data, text);
  } else if (kind == "json") {
    ReadJsonRecords(data, text);
  } else if (kind == "csv") {
    ReadDelimited(text, Delimited::kCsv, data.path, add, columns);
  } else if (kind == "tsv") {
    ReadDelimited(text, Delimited::kTsv, data.path, add, columns);
  } else if (kind == "lines") {
    ReadLines(data, text);
  } else if (kind == "text") {
    if (!StripPython(text).empty()) AddDocument(data, Json{{"text", text}}, 1);
  } else if (kind == "wikitext") {
    ReadWikiText(data, text);
  } else if (kind == "wikitext_rows") {
    ReadWikiTextRows(data, text);
  } else {
    throw Error(ErrorKind::kUsage,
                {"no dataset format '" + kind + "'",
                 "jsonl, json, csv, tsv, text, lines, wikitext or wikitext_rows", kind, data.path, ""});
  }
  if (data.documents.empty()) {
    throw Error(ErrorKind::kData,
                {"the dataset has no documents", "", "", data.path, "is the file complete?"});
  }
  return data;
}

void AddLinesAsField(Dataset& dataset, const std::string& field, const std::filesystem::path& path) {
  std::string sha256;
  const std::string text = ReadUtf8File(path, &sha256);
  std::vector<std::string> rows;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string row = text.substr(at, end - at);
    if (row.ends_with('\r')) row.pop_back();
    rows.push_back(std::move(row));
    at = end + 1;
  }
  if (rows.size() != dataset.documents.size()) {
    throw Error(ErrorKind::kData, {"'" + field + "' has another number of lines than there are documents",
                                   std::to_string(dataset.documents.size()) + " as in " + dataset.path,
                                   std::to_string(rows.size()), path.string(), ""});
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (dataset.documents[i].contains(field)) {
      throw Error(ErrorKind::kData,
                  {"the document has a field '" + field + "' already", "", "", dataset.Where(i), ""});
    }
    dataset.documents[i][field] = std::move(rows[i]);
  }
  dataset.sha256 = Sha256Hex(dataset.sha256 + field + sha256);
}

}  // namespace tnb
