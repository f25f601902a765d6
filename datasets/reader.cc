#include "datasets/reader.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "datasets/utf8.h"

namespace tnb {
namespace {

std::string At(const std::string& path, int64_t line) { return path + ":" + std::to_string(line); }

int64_t LineOf(std::string_view text, size_t offset) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
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
    AddDocument(data, ParseJson(std::string(row), At(data.path, line)), line);
  }
}

void ReadJsonArray(Dataset& data, const std::string& text) {
  Json array = ParseJson(text, data.path);
  if (!array.is_array()) {
    throw Error(ErrorKind::kData,
                {"the file is not a JSON array of objects", "[...]", array.type_name(), data.path, ""});
  }
  // An array has no lines of its own: documents are counted instead.
  int64_t number = 0;
  for (Json& document : array) AddDocument(data, std::move(document), ++number);
}

// Reads one CSV record from `at` on; `at` is moved behind it.
std::vector<std::string> CsvRecord(std::string_view text, size_t& at, const std::string& path) {
  std::vector<std::string> fields(1);
  const size_t begin = at;
  while (at < text.size()) {
    if (text[at] == '"' && fields.back().empty() && (at == begin || text[at - 1] == ',')) {
      for (++at;; ++at) {
        if (at >= text.size()) {
          throw Error(ErrorKind::kData, {"a quoted CSV field is not closed", "\"", "end of file",
                                         At(path, LineOf(text, begin)), ""});
        }
        if (text[at] != '"') {
          fields.back() += text[at];
        } else if (at + 1 < text.size() && text[at + 1] == '"') {
          fields.back() += text[at++];
        } else {
          break;
        }
      }
      ++at;
      if (at < text.size() && text[at] != ',' && text[at] != '\n' && text[at] != '\r') {
        throw Error(ErrorKind::kData,
                    {"text after a closing quote in CSV", "comma or line break", std::string(1, text[at]),
                     At(path, LineOf(text, at)), "write \" as \"\""});
      }
    } else if (text[at] == ',') {
      fields.emplace_back();
      ++at;
    } else if (text[at] == '\n' || text[at] == '\r') {
      at += text.substr(at, 2) == "\r\n" ? 2 : 1;
      return fields;
    } else if (text[at] == '"') {
      throw Error(ErrorKind::kData, {"a quote inside an unquoted CSV field", "", "",
                                     At(path, LineOf(text, at)), "quote the whole field"});
    } else {
      fields.back() += text[at++];
    }
  }
  return fields;
}

void ReadCsv(Dataset& data, std::string_view text) {
  size_t at = 0;
  int64_t line = 1;
  const auto next = [&] {
    const size_t begin = at;
    std::vector<std::string> record = CsvRecord(text, at, data.path);
    const int64_t first = line;
    line += std::count(text.begin() + static_cast<std::ptrdiff_t>(begin),
                       text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    return std::make_pair(first, std::move(record));
  };
  const std::vector<std::string> header = next().second;
  for (size_t i = 0; i < header.size(); ++i) {
    if (header[i].empty() || std::count(header.begin(), header.end(), header[i]) > 1) {
      throw Error(ErrorKind::kData, {"CSV column " + std::to_string(i + 1) + " has an empty or repeated name",
                                     "a header row of distinct names", header[i], At(data.path, 1), ""});
    }
  }
  while (at < text.size()) {
    auto [first, record] = next();
    if (record.size() != header.size()) {
      throw Error(ErrorKind::kData,
                  {"a CSV record has another number of fields than the header", std::to_string(header.size()),
                   std::to_string(record.size()), At(data.path, first), ""});
    }
    Json document = Json::object();
    for (size_t i = 0; i < header.size(); ++i) document[header[i]] = std::move(record[i]);
    AddDocument(data, std::move(document), first);
  }
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// A page begins at a line "= Title =" with one sign of equality at each end; section titles have more.
bool IsPageTitle(std::string_view line) {
  std::string title(line);
  ReplaceAll(title, "= = =", "===");
  ReplaceAll(title, "= =", "==");
  title = StripPython(title);
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

std::string FormatByExtension(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".jsonl" || extension == ".json" || extension == ".csv") return extension.substr(1);
  return "text";
}

std::string ReadUtf8File(const std::filesystem::path& path) {
  std::string text = ReadFile(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // byte order mark
  if (const auto bad = InvalidUtf8Offset(text)) {
    throw Error(ErrorKind::kData,
                {"the file is not UTF-8", "", "byte " + std::to_string(*bad) + " is no character",
                 At(path.string(), LineOf(text, *bad)), "convert it with iconv -t UTF-8"});
  }
  return text;
}

}  // namespace

std::string Dataset::Where(size_t document) const { return At(path, lines.at(document)); }

const std::vector<std::string>& DatasetFormats() {
  static const std::vector<std::string> formats = {"jsonl", "json", "csv", "text", "wikitext"};
  return formats;
}

Dataset ReadDataset(const std::filesystem::path& path, const std::string& format) {
  const std::string kind = format.empty() ? FormatByExtension(path) : format;
  const std::string text = ReadUtf8File(path);
  Dataset data;
  data.path = path.string();
  data.sha256 = Sha256File(path);
  if (kind == "jsonl") {
    ReadJsonLines(data, text);
  } else if (kind == "json") {
    ReadJsonArray(data, text);
  } else if (kind == "csv") {
    ReadCsv(data, text);
  } else if (kind == "text") {
    if (!StripPython(text).empty()) AddDocument(data, Json{{"text", text}}, 1);
  } else if (kind == "wikitext") {
    ReadWikiText(data, text);
  } else {
    throw Error(ErrorKind::kUsage, {"no dataset format '" + kind + "'", "jsonl, json, csv, text or wikitext",
                                    kind, data.path, ""});
  }
  if (data.documents.empty()) {
    throw Error(ErrorKind::kData,
                {"the dataset has no documents", "", "", data.path, "is the file complete?"});
  }
  return data;
}

void AddLinesAsField(Dataset& dataset, const std::string& field, const std::filesystem::path& path) {
  std::string text = ReadUtf8File(path);
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
  dataset.sha256 = Sha256Hex(dataset.sha256 + field + Sha256File(path));
}

}  // namespace tnb
