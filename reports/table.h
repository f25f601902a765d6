// A small table and its renderings. Markdown and terminal show the readable text of each cell; CSV and JSON
// give the number in full precision. A cell without a number says in words why ("crashed", "not measured").
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "reports/line_plot.h"

namespace tnb {

enum class Alignment { kLeft, kRight };

struct Column {
  std::string title{};  // with its unit: "decode_64 [tokens/s]"
  Alignment alignment = Alignment::kRight;
  std::string key{};  // name in CSV and JSON
  // When a table is too wide, columns of different groups go to different tables; group 0 is repeated in
  // each.
  int group = 0;
};

struct Cell {
  std::string text{};                // for people
  std::string full{};                // a longer name for CSV and JSON; empty: text
  std::optional<double> value{};     // full precision, in the column's unit of record; none: text says why
  std::optional<double> se{};        // standard error
  std::optional<double> relative{};  // to the base row
  bool best = false;                 // surely the best of its column: bold in Markdown and LaTeX
};

struct Table {
  std::string caption{};
  std::vector<Column> columns{};
  std::vector<std::vector<Cell>> rows{};  // each as long as columns
  std::vector<std::string> notes{};
  std::vector<LinePlot> plots{};  // HTML draws them; what they say in short stands in the notes
};

// Error{kInternal} when a row is not as long as the columns.
void CheckTable(const Table& table);

// All renderings throw Error{kInternal} when a row is not as long as the columns.
std::string RenderMarkdown(const Table& table);
// Aligned plain text, cut nowhere; give it a table that fits (SplitToWidth).
std::string RenderTerminal(const Table& table);
// RFC 4180. Columns key, and where some cell has them "key se" and "key relative".
std::string RenderCsv(const Table& table);
// {"caption", "notes", "rows": [{key: text | {"value", "se", "relative", "text"}}]}
Json ToJson(const Table& table);
// CREATE TABLE IF NOT EXISTS `name` and its rows. A column of numbers is REAL, with NULL for cells without
// one; every other column is TEXT.
std::string RenderSql(const Table& table, const std::string& name);

// The table itself when its Markdown fits `width` columns (0: no limit); else several, with the columns of
// group 0 repeated: first one a group, and where that is still too wide as many columns as fit. The caption
// goes with the first, the notes with the last.
std::vector<Table> SplitToWidth(const Table& table, int width);

// Columns that a text takes on a terminal: code points of UTF-8.
size_t DisplayWidth(const std::string& text);

}  // namespace tnb
