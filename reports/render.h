// Tables as text in the formats of --format. JSON is an array of tables; CSV tables are separated by an
// empty line, each after its caption and notes in lines that begin with "# ": a number does not travel
// without its n and protocol. HTML is a page of its own, with the plots of each table below its notes.
#pragma once

#include <string>
#include <vector>

#include "reports/table.h"

namespace tnb {

enum class ReportFormat { kMarkdown, kTerminal, kCsv, kJson, kLatex, kHtml };
// "md" "text" "csv" "json" "latex" "html"; Error{kUsage} names them for anything else.
ReportFormat ReportFormatFrom(const std::string& name);

// Markdown, terminal and LaTeX tables wider than `width` columns are split (SplitToWidth); 0: never.
std::string RenderTables(const std::vector<Table>& tables, ReportFormat format, int width);

// A self-contained page, for light and dark screens. Wide tables scroll.
std::string RenderHtml(const std::vector<Table>& tables);

// A table environment: needs the package booktabs and nothing else, and is UTF-8. Cells with `best` are bold,
// notes stand below in footnote size.
std::string RenderLatex(const Table& table);
// Text with LaTeX's special characters escaped, and those that pdflatex's fonts lack as "U+4E2D".
std::string EscapeLatex(const std::string& text);
// For XML 1.0 (JUnit, SVG) and HTML: markup is escaped, control characters that it does not allow become "?".
std::string EscapeXml(const std::string& text);

}  // namespace tnb
