#include "reports/render.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>

#include "base/error.h"

namespace tnb {

ReportFormat ReportFormatFrom(const std::string& name) {
  static const std::map<std::string, ReportFormat> kFormats = {
      {"md", ReportFormat::kMarkdown}, {"text", ReportFormat::kTerminal}, {"csv", ReportFormat::kCsv},
      {"json", ReportFormat::kJson},   {"latex", ReportFormat::kLatex},   {"html", ReportFormat::kHtml}};
  const auto found = kFormats.find(name);
  if (found != kFormats.end()) return found->second;
  throw Error(ErrorKind::kUsage,
              {"unknown report format", "md, text, csv, json, latex or html", name, "--format", ""});
}

std::string RenderTables(const std::vector<Table>& tables, ReportFormat format, int width) {
  if (format == ReportFormat::kJson) {
    Json json = Json::array();
    for (const Table& table : tables) json.push_back(ToJson(table));
    // Names come from the user and need not be UTF-8.
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  if (format == ReportFormat::kHtml) return RenderHtml(tables);
  std::string text;
  for (const Table& table : tables) {
    if (!text.empty()) text += "\n";
    if (format == ReportFormat::kCsv) {
      text += "# " + table.caption + "\r\n";
      for (const std::string& note : table.notes) text += "# " + note + "\r\n";
      text += RenderCsv(table);
      continue;
    }
    const std::vector<Table> parts = SplitToWidth(table, width);
    for (const Table& part : parts) {
      if (&part != &parts.front()) text += "\n";
      text += format == ReportFormat::kLatex      ? RenderLatex(part)
              : format == ReportFormat::kMarkdown ? RenderMarkdown(part)
                                                  : RenderTerminal(part);
    }
  }
  return text;
}

namespace {

// pdflatex stops at characters that its fonts lack: beyond ASCII only the accented letters of Latin-1 pass,
// bars of an eighth to a whole of a line's height are drawn, anything else becomes its number. `point`: the
// bytes of one code point of UTF-8.
std::string Printable(const std::string& point) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(point[i]); };
  if (byte(0) < 0x80) return byte(0) < 0x20 || byte(0) == 0x7f || point.size() > 1 ? "?" : point;
  const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc2 ? 2 : 0;
  if (length == 0 || byte(0) > 0xf4 || point.size() != length) return "?";
  uint32_t code = byte(0) & (0xff >> (length + 1));
  for (size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3f);
  if (code >= 0x2581 && code <= 0x2588)
    return fmt::format("\\rule{{0.4em}}{{{:.3f}em}}", (code - 0x2580) / 8.0);
  const bool letter = code >= 0xc0 && code <= 0xff && code != 0xd0 && code != 0xde && code != 0xf0 &&
                      code != 0xf7 && code != 0xfe;
  return letter ? point : fmt::format("U+{:04X}", code);
}

}  // namespace

std::string EscapeXml(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return escaped;
}

std::string EscapeLatex(const std::string& text) {
  static const std::map<std::string, std::string> kSpecial = {{"\\", "\\textbackslash{}"},
                                                              {"{", "\\{"},
                                                              {"}", "\\}"},
                                                              {"$", "\\$"},
                                                              {"&", "\\&"},
                                                              {"#", "\\#"},
                                                              {"%", "\\%"},
                                                              {"_", "\\_"},
                                                              {"~", "\\textasciitilde{}"},
                                                              {"^", "\\textasciicircum{}"},
                                                              {"<", "\\textless{}"},
                                                              {">", "\\textgreater{}"},
                                                              {"|", "\\textbar{}"},
                                                              {"\n", " "},
                                                              {"\r", " "},
                                                              {"\"", "''"},
                                                              {"\u00b1", "$\\pm$"},
                                                              {"\u00d7", "$\\times$"},
                                                              {"\u2192", "$\\to$"}};
  std::string escaped;
  for (size_t i = 0; i < text.size();) {
    // A whole code point of UTF-8 at a time.
    size_t length = 1;
    while (i + length < text.size() && (static_cast<unsigned char>(text[i + length]) & 0xc0) == 0x80)
      ++length;
    const std::string point = text.substr(i, length);
    const auto special = kSpecial.find(point);
    escaped += special != kSpecial.end() ? special->second : Printable(point);
    i += length;
  }
  return escaped;
}

namespace {

// Running text: long canonical methods may be broken between their parts.
std::string Paragraph(const std::string& text) {
  std::string escaped, piece;
  for (size_t i = 0; i < text.size(); ++i) {
    piece += text[i];
    const bool inside = i + 1 < text.size() && text[i + 1] != ' ';
    if (!inside || std::string(",:+/@").find(text[i]) == std::string::npos) continue;
    escaped += EscapeLatex(piece) + "\\allowbreak{}";
    piece.clear();
  }
  return escaped + EscapeLatex(piece);
}

}  // namespace

std::string RenderLatex(const Table& table) {
  CheckTable(table);
  std::string columns, header, body;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    columns += table.columns[i].alignment == Alignment::kLeft ? 'l' : 'r';
    header += (i > 0 ? " & " : "") + EscapeLatex(table.columns[i].title);
  }
  for (const std::vector<Cell>& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string text = EscapeLatex(row[i].text);
      body += (i > 0 ? " & " : "") + (row[i].best ? "\\textbf{" + text + "}" : text);
    }
    body += " \\\\\n";
  }
  std::string text = "\\begin{table}\n\\centering\\footnotesize\n";
  if (!table.caption.empty()) text += "\\caption{" + Paragraph(table.caption) + "}\n";
  text += "\\begin{tabular}{" + columns + "}\n\\toprule\n" + header + " \\\\\n\\midrule\n" + body +
          "\\bottomrule\n\\end{tabular}\n";
  if (!table.notes.empty()) {
    text += "\\par\\smallskip\\raggedright\n";
    for (const std::string& note : table.notes) text += Paragraph(note) + "\\par\n";
  }
  return text + "\\end{table}\n";
}

}  // namespace tnb
