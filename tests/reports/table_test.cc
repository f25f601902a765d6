#include "reports/table.h"

#include <limits>

#include "reports/numbers.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

Table Sample() {
  return {.caption = "Two methods",
          .columns = {{"method", Alignment::kLeft, "method", 0},
                      {"stored", Alignment::kRight, "size.stored", 1},
                      {"acc [%]", Alignment::kRight, "acc", 1},
                      {"decode [tokens/s]", Alignment::kRight, "decode", 2}},
          .rows = {{{.text = "fp32"},
                    {.text = "257 MiB", .value = 269484032},
                    {.text = "34.2 ± 1.3", .value = 0.3421, .se = 0.0131},
                    {.text = "12.0", .value = 12}},
                   {{.text = "a|b, \"c\""},
                    {.text = "64.2 MiB (0.250x)", .value = 67371008, .relative = 0.25},
                    {.text = "crashed"},
                    {.text = "not measured"}}},
          .notes = {"± is one standard error"}};
}

TEST_CASE("Markdown is aligned and escaped") {
  CHECK(RenderMarkdown(Sample()) ==
        "Two methods\n\n"
        "| method    |            stored |    acc [%] | decode [tokens/s] |\n"
        "| --------- | ----------------: | ---------: | ----------------: |\n"
        "| fp32      |           257 MiB | 34.2 ± 1.3 |              12.0 |\n"
        "| a\\|b, \"c\" | 64.2 MiB (0.250x) |    crashed |      not measured |\n"
        "\n- ± is one standard error\n");
}

TEST_CASE("terminal text has no bars") {
  CHECK(RenderTerminal(Sample()).find("fp32                 257 MiB  34.2 ± 1.3               12.0\n") !=
        std::string::npos);
}

TEST_CASE("CSV holds full precision and quotes what must be quoted") {
  CHECK(RenderCsv(Sample()) ==
        "method,size.stored,size.stored relative,acc,acc se,decode\r\n"
        "fp32,269484032,,0.3421,0.0131,12\r\n"
        "\"a|b, \"\"c\"\"\",67371008,0.25,crashed,,not measured\r\n");
}

TEST_CASE("JSON tells numbers from words") {
  Table table = Sample();
  table.rows[0][3].value = std::numeric_limits<double>::infinity();
  const Json json = ToJson(table);
  CHECK(json["caption"] == "Two methods");
  CHECK(json["rows"][0]["acc"]["value"] == 0.3421);
  CHECK(json["rows"][0]["acc"]["se"] == 0.0131);
  CHECK(json["rows"][1]["acc"] == "crashed");
  CHECK(json["rows"][1]["size.stored"]["relative"] == 0.25);
  CHECK(json["rows"][0]["decode"]["value"] == "inf");
}

TEST_CASE("a table that is too wide is split between groups, then between columns") {
  const auto titles = [](const Table& table) {
    std::string text;
    for (const Column& column : table.columns) text += column.title + ";";
    return text;
  };
  CHECK(SplitToWidth(Sample(), 0).size() == 1);
  CHECK(SplitToWidth(Sample(), 66).size() == 1);  // just fits
  const std::vector<Table> two = SplitToWidth(Sample(), 65);
  REQUIRE(two.size() == 2);
  CHECK(titles(two[0]) == "method;stored;acc [%];");
  CHECK(titles(two[1]) == "method;decode [tokens/s];");
  CHECK(two[0].caption == "Two methods");
  CHECK(two[0].notes.empty());
  CHECK(two[1].caption.empty());
  CHECK(two[1].notes.size() == 1);
  CHECK(two[1].rows[1][1].text == "not measured");
  CHECK(SplitToWidth(Sample(), 10).size() == 3);  // one column each, although even that is too wide
  for (const Table& table : two) {
    const std::string text = RenderMarkdown(table);
    const size_t line = text.find("| fp32");
    CHECK(DisplayWidth(text.substr(line, text.find('\n', line) - line)) <= 65);
  }
}

TEST_CASE("SQL has numbers in full precision, NULL where there is none, and quotes") {
  const Table table{.columns = {{.title = "it's", .key = "na\"me"}, {.title = "GB/s", .key = "read"}},
                    .rows = {{{.text = "it's"}, {.text = "0.333", .value = 1.0 / 3}},
                             {{.text = "b"}, {.text = "not available"}},
                             {{.text = "c"}, {.text = "infinite", .value = INFINITY}}}};
  CHECK(RenderSql(table, "t") ==
        "CREATE TABLE IF NOT EXISTS \"t\" (\"na\"\"me\" TEXT, \"read\" REAL);\n"
        "INSERT INTO \"t\" VALUES ('it''s', 0.3333333333333333);\n"
        "INSERT INTO \"t\" VALUES ('b', NULL);\n"
        "INSERT INTO \"t\" VALUES ('c', NULL);\n");
}

TEST_CASE("a ragged table is an error") {
  Table table = Sample();
  table.rows[1].pop_back();
  CHECK_THROWS_AS(RenderSql(table, "t"), Error);
  CHECK_THROWS_AS(RenderMarkdown(table), Error);
  CHECK_THROWS_AS(RenderCsv(table), Error);
  CHECK_THROWS_AS(ToJson(table), Error);
  CHECK_THROWS_AS(SplitToWidth(table, 10), Error);
}

TEST_CASE("numbers have three significant digits") {
  CHECK(FormatNumber(0) == "0");
  CHECK(FormatNumber(0.012345) == "0.0123");
  CHECK(FormatNumber(4.5678) == "4.57");
  CHECK(FormatNumber(9.996) == "10.0");
  CHECK(FormatNumber(99.96) == "100");
  CHECK(FormatNumber(0.99949) == "0.999");
  CHECK(FormatNumber(-34.25) == "-34.2");
  CHECK(FormatNumber(123456) == "123456");
  CHECK(FormatNumber(1.5e-7) == "1.50e-07");
  CHECK(FormatNumber(std::numeric_limits<double>::infinity()) == "infinite");
  CHECK(FormatBytes(0) == "0 B");
  CHECK(FormatBytes(1023) == "1023 B");
  CHECK(FormatBytes(1024) == "1.00 KiB");
  CHECK(FormatBytes(269484032) == "257 MiB");
  CHECK(FormatBytes(1048575) == "1.00 MiB");  // not "1024 KiB"
  CHECK(FormatBytes(26957811712.0) == "25.1 GiB");
  CHECK(FormatCount(960) == "960");
  CHECK(FormatCount(134515008) == "135 M");
  CHECK(FormatCount(6738415616) == "6.74 G");
}

}  // namespace
}  // namespace tnb
