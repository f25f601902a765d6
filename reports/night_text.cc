// A night for people (Markdown) and for continuous integration (JUnit XML).
#include <fmt/format.h>

#include <algorithm>

#include "reports/night.h"
#include "reports/numbers.h"
#include "reports/render.h"
#include "reports/run_data.h"
#include "reports/table.h"

namespace tnb {
namespace {

std::string Value(const std::optional<double>& value, const std::string& unit) {
  if (!value) return "";
  if (unit == "bytes") return FormatBytes(*value);
  if (unit == "fraction") return fmt::format("{:.1f} %", 100 * *value);
  return FormatNumber(*value) + " " + unit;
}

// Of shares in points, of all else in per cent of the level.
std::string Change(const NightRow& row) {
  if (!row.change) return "";
  if (row.unit == "fraction") return fmt::format("{:+.1f} points", 100 * *row.change);
  if (row.series.rfind("quality.", 0) == 0) return fmt::format("{:+.3g}", *row.change);
  return fmt::format("{:+.1f} %", 100 * *row.change);
}

std::string Nights(size_t count) { return fmt::format("{} night{}", count, count == 1 ? "" : "s"); }

int64_t Count(const Night& night, NightVerdict verdict) {
  return std::count_if(night.rows.begin(), night.rows.end(),
                       [&](const NightRow& row) { return row.verdict == verdict; });
}

}  // namespace

std::string NightMarkdown(const NightOptions& options, const Night& night) {
  std::string text = fmt::format("# {}: {}\n\n", options.suite,
                                 NightExitCode(night) == 1   ? "regression"
                                 : NightExitCode(night) == 3 ? "not comparable"
                                                             : "fine");
  for (const NightVerdict verdict :
       {NightVerdict::kRegression, NightVerdict::kImprovement, NightVerdict::kWatch,
        NightVerdict::kNotComparable, NightVerdict::kTooFewNights, NightVerdict::kFine}) {
    if (const int64_t count = Count(night, verdict); count != 0)
      text += fmt::format("{}: {}. ", ToString(verdict), count);
  }
  text += "\n\n";
  // What needs attention first; the order of the verdicts' enumeration otherwise.
  std::vector<NightRow> rows = night.rows;
  const auto rank = [](const NightRow& row) {
    switch (row.verdict) {
      case NightVerdict::kRegression:
        return 0;
      case NightVerdict::kNotComparable:
        return 1;
      case NightVerdict::kWatch:
        return 2;
      case NightVerdict::kImprovement:
        return 3;
      default:
        return 4;
    }
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const NightRow& a, const NightRow& b) { return rank(a) < rank(b); });
  Table table;
  for (const char* title : {"verdict", "model", "method", "number"})
    table.columns.push_back({title, Alignment::kLeft});
  for (const char* title : {"tonight", "level", "change"})
    table.columns.push_back({title, Alignment::kRight});
  table.columns.push_back({"n", Alignment::kRight});
  table.columns.push_back({"compared", Alignment::kLeft});
  table.columns.push_back({"protocol", Alignment::kLeft});
  table.columns.push_back({"run", Alignment::kRight});
  ProtocolNames protocols;
  for (const NightRow& row : rows) {
    table.rows.push_back({{.text = ToString(row.verdict)},
                          {.text = row.model},
                          {.text = row.method},
                          {.text = row.series},
                          {.text = Value(row.tonight, row.unit)},
                          {.text = Value(row.level, row.unit)},
                          {.text = Change(row)},
                          {.text = row.tonight ? std::to_string(row.n) : ""},
                          {.text = row.text},
                          {.text = protocols.Name(row.protocol)},
                          {.text = std::to_string(row.run)}});
  }
  std::string steps;
  for (const NightChange& change : night.changes) {
    const ChangePointRow& row = change.row;
    steps += fmt::format("- {} from {} ({}) to {} ({}, {:+.1f} %) at run {}, {}\n", row.series,
                         Value(row.level_before, row.unit), Nights(change.nights_before),
                         Value(row.level_after, row.unit), Nights(change.nights_after),
                         100 * (row.level_after / row.level_before - 1), row.run_id,
                         protocols.Name(change.protocol));
  }
  table.notes = protocols.notes();
  text += RenderMarkdown(table);
  if (!steps.empty()) text += "\nSteps in the history (medians):\n\n" + steps;
  return text;
}

std::string NightJUnit(const NightOptions& options, const Night& night) {
  const int64_t skipped =
      Count(night, NightVerdict::kNotComparable) + Count(night, NightVerdict::kTooFewNights);
  std::string xml = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
      "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n",
      EscapeXml(options.suite), night.rows.size(), Count(night, NightVerdict::kRegression), skipped);
  for (const NightRow& row : night.rows) {
    xml += fmt::format("    <testcase classname=\"{}\" name=\"{}\"", EscapeXml(row.model + " " + row.method),
                       EscapeXml(row.series));
    std::string said = ToString(row.verdict);
    if (row.tonight)
      said += fmt::format(": {} (n={}, {})", Value(row.tonight, row.unit), row.n, row.protocol);
    if (row.level) said += ", " + Value(row.level, row.unit) + " before (" + Change(row) + ")";
    said += "; " + row.text;
    if (row.verdict == NightVerdict::kRegression) {
      xml += fmt::format(">\n      <failure message=\"{}\"/>\n    </testcase>\n", EscapeXml(said));
    } else if (row.verdict == NightVerdict::kNotComparable || row.verdict == NightVerdict::kTooFewNights) {
      xml += fmt::format(">\n      <skipped message=\"{}\"/>\n    </testcase>\n", EscapeXml(said));
    } else {
      xml += fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n", EscapeXml(said));
    }
  }
  return xml + "  </testsuite>\n</testsuites>\n";
}

}  // namespace tnb
