// Tables as text in the formats of --format. JSON is an array of tables; CSV tables are separated by an
// empty line, each after its caption and notes in lines that begin with "# ": a number does not travel
// without its n and protocol.
#pragma once

#include <string>
#include <vector>

#include "reports/table.h"

namespace tnb {

enum class ReportFormat { kMarkdown, kTerminal, kCsv, kJson, kLatex };
// "md" "text" "csv" "json" "latex"; Error{kUsage} names them for anything else.
ReportFormat ReportFormatFrom(const std::string& name);

// Markdown, terminal and LaTeX tables wider than `width` columns are split (SplitToWidth); 0: never.
std::string RenderTables(const std::vector<Table>& tables, ReportFormat format, int width);

// A table environment: needs the package booktabs and nothing else, and is UTF-8. Cells with `best` are bold,
// notes stand below in footnote size.
std::string RenderLatex(const Table& table);
// Text with LaTeX's special characters escaped, and those that pdflatex's fonts lack as "U+4E2D".
std::string EscapeLatex(const std::string& text);
// For XML 1.0 (JUnit, SVG): markup is escaped, control characters that it does not allow become "?".
std::string EscapeXml(const std::string& text);

}  // namespace tnb
