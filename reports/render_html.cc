// Tables and their plots as one page of HTML.
#include <fmt/format.h>

#include "reports/render.h"

namespace tnb {
namespace {

constexpr char kHead[] = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>tnbench report</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 sans-serif; margin: 1.5em auto; padding: 0 1.5em; }
h2 { font-size: 1em; }
section { margin-bottom: 3em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25em 0.7em; border-bottom: 1px solid #8886; text-align: right; vertical-align: top; }
th { border-bottom-width: 2px; }
.left { text-align: left; position: sticky; left: 0; background: Canvas; min-width: 12em; max-width: 24em; overflow-wrap: anywhere; }
td:not(.left) { white-space: nowrap; }
ul { font-size: 13px; max-width: 90em; padding-left: 1.3em; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; display: block; }
</style>
</head>
<body>
)";

std::string CellsOf(const Table& table, const std::vector<Cell>& row) {
  std::string html = "<tr>";
  for (size_t i = 0; i < row.size(); ++i) {
    const std::string text = EscapeXml(row[i].text);
    html +=
        fmt::format("<td{}>{}</td>", table.columns[i].alignment == Alignment::kLeft ? " class=\"left\"" : "",
                    row[i].best ? "<b>" + text + "</b>" : text);
  }
  return html + "</tr>\n";
}

std::string SectionOf(const Table& table) {
  CheckTable(table);
  std::string html = "<section>\n";
  if (!table.caption.empty()) html += "<h2>" + EscapeXml(table.caption) + "</h2>\n";
  html += "<div class=\"wide\"><table>\n<thead><tr>";
  for (const Column& column : table.columns) {
    html += fmt::format("<th{}>{}</th>", column.alignment == Alignment::kLeft ? " class=\"left\"" : "",
                        EscapeXml(column.title));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const std::vector<Cell>& row : table.rows) html += CellsOf(table, row);
  html += "</tbody></table></div>\n";
  if (!table.notes.empty()) {
    html += "<ul>\n";
    for (const std::string& note : table.notes) html += "<li>" + EscapeXml(note) + "</li>\n";
    html += "</ul>\n";
  }
  for (const LinePlot& plot : table.plots) html += "<figure>\n" + RenderSvg(plot) + "</figure>\n";
  return html + "</section>\n";
}

}  // namespace

std::string RenderHtml(const std::vector<Table>& tables) {
  std::string html = kHead;
  for (const Table& table : tables) html += SectionOf(table);
  return html + "</body>\n</html>\n";
}

}  // namespace tnb
