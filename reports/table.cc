#include "reports/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tnb {
namespace {

// One line; a bar would end the Markdown cell.
std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c == '\n' || c == '\r' ? ' ' : c;
  }
  return escaped;
}

std::string Padded(const std::string& text, size_t width, Alignment alignment) {
  const std::string space(width - std::min(width, DisplayWidth(text)), ' ');
  return alignment == Alignment::kLeft ? text + space : space + text;
}

std::vector<size_t> Widths(const Table& table) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    size_t width = std::max<size_t>(3, DisplayWidth(Escaped(table.columns[i].title)));
    for (const std::vector<Cell>& row : table.rows)
      width = std::max(width, DisplayWidth(Escaped(row[i].text)));
    widths.push_back(width);
  }
  return widths;
}

std::string Notes(const Table& table) {
  std::string text;
  for (const std::string& note : table.notes) text += "- " + note + "\n";
  return text;
}

std::string Quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

// The shortest text that reads back as the same number.
std::string Exact(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }

const std::string& Name(const Cell& cell) { return cell.full.empty() ? cell.text : cell.full; }

// JSON has no infinity.
Json Number(const std::optional<double>& value) {
  if (!value) return nullptr;
  if (!std::isfinite(*value)) return Exact(value);
  return *value;
}

Table Select(const Table& table, const std::vector<size_t>& columns) {
  Table selected;
  for (const size_t i : columns) selected.columns.push_back(table.columns[i]);
  for (const std::vector<Cell>& row : table.rows) {
    std::vector<Cell>& cells = selected.rows.emplace_back();
    for (const size_t i : columns) cells.push_back(row[i]);
  }
  return selected;
}

}  // namespace

void CheckTable(const Table& table) {
  for (const std::vector<Cell>& row : table.rows) {
    if (row.size() != table.columns.size()) {
      throw Error(ErrorKind::kInternal,
                  {"a table row has the wrong length", std::to_string(table.columns.size()),
                   std::to_string(row.size()), table.caption, ""});
    }
  }
}

size_t DisplayWidth(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string RenderMarkdown(const Table& table) {
  CheckTable(table);
  const std::vector<size_t> widths = Widths(table);
  std::string header, rule, body;
  for (size_t i = 0; i < widths.size(); ++i) {
    const Alignment alignment = table.columns[i].alignment;
    header += "| " + Padded(Escaped(table.columns[i].title), widths[i], alignment) + " ";
    rule += "| " + std::string(widths[i] - 1, '-') + (alignment == Alignment::kRight ? ": " : "- ");
  }
  for (const std::vector<Cell>& row : table.rows) {
    for (size_t i = 0; i < widths.size(); ++i) {
      body += "| " + Padded(Escaped(row[i].text), widths[i], table.columns[i].alignment) + " ";
    }
    body += "|\n";
  }
  std::string text = table.caption.empty() ? "" : table.caption + "\n\n";
  text += header + "|\n" + rule + "|\n" + body;
  return table.notes.empty() ? text : text + "\n" + Notes(table);
}

std::string RenderTerminal(const Table& table) {
  CheckTable(table);
  const std::vector<size_t> widths = Widths(table);
  std::string text = table.caption.empty() ? "" : table.caption + "\n";
  const auto add_line = [&](const auto& field) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
      if (i > 0) line += "  ";
      line += Padded(field(i), widths[i], table.columns[i].alignment);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line([&](size_t i) { return table.columns[i].title; });
  for (const std::vector<Cell>& row : table.rows) add_line([&](size_t i) { return row[i].text; });
  return text + Notes(table);
}

std::string RenderCsv(const Table& table) {
  CheckTable(table);
  std::vector<std::string> lines(table.rows.size() + 1);
  const auto add = [&](const std::string& title, const auto& field) {
    const std::string comma = lines[0].empty() ? "" : ",";
    lines[0] += comma + Quoted(title);
    for (size_t r = 0; r < table.rows.size(); ++r) lines[r + 1] += comma + Quoted(field(table.rows[r]));
  };
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const std::string& key = table.columns[i].key;
    const auto any = [&](const auto& has) {
      return std::any_of(table.rows.begin(), table.rows.end(), [&](const auto& row) { return has(row[i]); });
    };
    add(key, [&](const auto& row) { return row[i].value ? Exact(row[i].value) : Name(row[i]); });
    if (any([](const Cell& cell) { return cell.se.has_value(); })) {
      add(key + " se", [&](const auto& row) { return Exact(row[i].se); });
    }
    if (any([](const Cell& cell) { return cell.relative.has_value(); })) {
      add(key + " relative", [&](const auto& row) { return Exact(row[i].relative); });
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\r\n";
  return text;
}

Json ToJson(const Table& table) {
  CheckTable(table);
  Json rows = Json::array();
  for (const std::vector<Cell>& row : table.rows) {
    Json object = Json::object();
    for (size_t i = 0; i < row.size(); ++i) {
      const Cell& cell = row[i];
      if (!cell.value) {
        object[table.columns[i].key] = Name(cell);
        continue;
      }
      Json& number = object[table.columns[i].key];
      number = {{"value", Number(cell.value)}, {"text", cell.text}};
      if (cell.se) number["se"] = Number(cell.se);
      if (cell.relative) number["relative"] = Number(cell.relative);
    }
    rows.push_back(std::move(object));
  }
  return {{"caption", table.caption}, {"notes", table.notes}, {"rows", std::move(rows)}};
}

std::string RenderSql(const Table& table, const std::string& name) {
  CheckTable(table);
  const auto quoted = [](const std::string& text, char quote) {
    std::string result(1, quote);
    for (const char c : text) result += c == quote ? std::string(2, quote) : std::string(1, c);
    return result + quote;
  };
  std::string columns;
  std::vector<bool> numbers;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const auto has_value = [&](const auto& row) { return row[i].value.has_value(); };
    numbers.push_back(std::any_of(table.rows.begin(), table.rows.end(), has_value));
    columns += (i == 0 ? "" : ", ") + quoted(table.columns[i].key, '"') + (numbers[i] ? " REAL" : " TEXT");
  }
  std::string text = "CREATE TABLE IF NOT EXISTS " + quoted(name, '"') + " (" + columns + ");\n";
  for (const std::vector<Cell>& row : table.rows) {
    std::string values;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) values += ", ";
      if (!numbers[i]) {
        values += quoted(Name(row[i]), '\'');
      } else {
        values += row[i].value && std::isfinite(*row[i].value) ? Exact(row[i].value) : "NULL";
      }
    }
    text += "INSERT INTO " + quoted(name, '"') + " VALUES (" + values + ");\n";
  }
  return text;
}

std::vector<Table> SplitToWidth(const Table& table, int width) {
  CheckTable(table);
  const std::vector<size_t> widths = Widths(table);
  // A Markdown cell takes "| " and " ", the line one more bar.
  const auto taken = [&](const std::vector<size_t>& columns) {
    return std::accumulate(columns.begin(), columns.end(), size_t{1},
                           [&](size_t sum, size_t i) { return sum + widths[i] + 3; });
  };
  const size_t limit = width > 0 ? static_cast<size_t>(width) : SIZE_MAX;
  std::vector<size_t> all(table.columns.size());
  std::iota(all.begin(), all.end(), 0);
  if (taken(all) <= limit) return {table};

  std::vector<size_t> repeated;
  for (const size_t i : all) {
    if (table.columns[i].group == 0) repeated.push_back(i);
  }
  std::vector<Table> parts;
  std::vector<size_t> chosen = repeated;
  int group = 0;
  const auto close = [&] {
    if (chosen.size() > repeated.size()) parts.push_back(Select(table, chosen));
    chosen = repeated;
  };
  for (const size_t i : all) {
    if (table.columns[i].group == 0) continue;
    std::vector<size_t> longer = chosen;
    longer.push_back(i);
    if (table.columns[i].group != group || taken(longer) > limit) close();
    group = table.columns[i].group;
    chosen.push_back(i);
  }
  close();
  if (parts.empty()) return {table};
  parts.front().caption = table.caption;
  parts.back().notes = table.notes;
  return parts;
}

}  // namespace tnb
