#include "datasets/reader.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "datasets/locate.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;

namespace {

Dataset Read(const std::string& content, const std::string& name, const std::string& format = "") {
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / name, content);
  return ReadDataset(folder / name, format);
}

std::string Failure(const std::string& content, const std::string& name, const std::string& format = "") {
  try {
    Read(content, name, format);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("jsonl: documents, lines and hash") {
  const std::string content = "{\"a\": 1}\r\n{\"a\": \"\xC3\xA9\"}\n\n";
  const Dataset data = Read(content, "d.jsonl");
  REQUIRE(data.documents.size() == 2);
  CHECK(data.documents[1].at("a") == "\u00E9");
  CHECK(data.lines == std::vector<int64_t>{1, 2});
  CHECK(data.sha256 == Sha256Hex(content));
  CHECK(Contains(data.Where(1), "d.jsonl:2"));
}

TEST_CASE("jsonl: errors name the line") {
  CHECK(Contains(Failure("{\"a\": 1}\n{\"a\": \n", "d.jsonl"), "d.jsonl:2"));
  CHECK(Contains(Failure("{\"a\": 1}\n\n{\"a\": 1}\n", "d.jsonl"), "blank line"));
  CHECK(Contains(Failure("{\"a\": 1}\n[1]\n", "d.jsonl"), "d.jsonl:2"));
  CHECK(Contains(Failure("{}\n", "d.jsonl"), "no fields"));
  CHECK(Contains(Failure("", "d.jsonl"), "no documents"));
  CHECK(Contains(Failure("{\"a\": 1}\n{\"a\": \"\xFF\"}\n", "d.jsonl"), "d.jsonl:2"));
  CHECK(Contains(Failure("{\"a\": 1}\n", "d.jsonl", "parquet"), "parquet"));
  CHECK_THROWS_AS(ReadDataset("no_such_file.jsonl"), Error);
}

TEST_CASE("json: an array of objects") {
  CHECK(Read("[{\"a\": 1}, {\"a\": 2}]", "d.json").documents[1].at("a") == 2);
  CHECK(Contains(Failure("\"a\"", "d.json"), "array"));
  CHECK(Contains(Failure("[1]", "d.json"), "not a JSON object"));
}

TEST_CASE("csv: quotes, commas and line breaks in fields") {
  const Dataset data = Read("\xEF\xBB\xBFq,a\r\n\"one, \"\"two\"\"\nthree\",x\r\n,\"\"\nlast,y", "d.csv");
  REQUIRE(data.documents.size() == 3);
  CHECK(data.documents[0] == Json{{"q", "one, \"two\"\nthree"}, {"a", "x"}});
  CHECK(data.documents[1] == Json{{"q", ""}, {"a", ""}});
  CHECK(data.documents[2] == Json{{"q", "last"}, {"a", "y"}});
  CHECK(data.lines == std::vector<int64_t>{2, 4, 5});
}

TEST_CASE("csv: columns are named where a file has no header row") {
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "x.csv", "a,1\nb,2\n");
  const Dataset data = ReadDataset(folder / "x.csv", "", {"letter", "number"});
  REQUIRE(data.documents.size() == 2);
  CHECK(data.documents[0] == Json{{"letter", "a"}, {"number", "1"}});
  CHECK(data.lines[1] == 2);
  CHECK_THROWS_AS(ReadDataset(folder / "x.csv", "", {"letter"}), Error);
  CHECK_THROWS_AS(ReadDataset(folder / "x.csv", "jsonl", {"letter", "number"}), Error);
}

TEST_CASE("csv: malformed files name the line") {
  CHECK(Contains(Failure("q,a\n1,2\n1\n", "d.csv"), "d.csv:3"));
  CHECK(Contains(Failure("q,a\n\"1,2\n", "d.csv"), "not closed"));
  CHECK(Contains(Failure("q,a\n\"1\"x,2\n", "d.csv"), "after a closing quote"));
  CHECK(Contains(Failure("q,a\n1\"2,2\n", "d.csv"), "unquoted"));
  CHECK(Contains(Failure("q,q\n1,2\n", "d.csv"), "repeated"));
  CHECK(Contains(Failure("q,a\n", "d.csv"), "no documents"));
}

TEST_CASE("json: an object with one field of records; documents know their lines") {
  const Dataset data =
      Read("{\"version\": [1, 2],\n \"data\": [{\"a\": {\"b\": 1}},\n\n {\"a\": [{}]}], \"n\": 2}", "d.json");
  REQUIRE(data.documents.size() == 2);
  CHECK(data.documents[1] == Json{{"a", Json::array({Json::object()})}});
  CHECK(data.lines == std::vector<int64_t>{2, 4});
  CHECK(Read("[{\"a\": 1},\n{\"a\": [1,\n2]},\n{\"a\": 3}]", "d.json").lines ==
        std::vector<int64_t>{1, 2, 4});
  CHECK(Contains(Failure("{\"a\": 1}", "d.json"), "found none"));
  CHECK(Contains(Failure("{\"a\": [{\"x\": 1}], \"b\": [{\"x\": 1}]}", "d.json"), "found a, b"));
  CHECK(Contains(Failure("[{\"a\": 1},\n{\"a\": 2},\n{\"a\": 3\n", "d.json"), "d.json:4"));
  CHECK(Contains(Failure("[\n{\"a\": 1},\n7]", "d.json"), "not a JSON object"));
}

TEST_CASE("json: what RFC 8259 does not know is an error; of two fields of one name the last counts") {
  CHECK(Contains(Failure("{\"a\": 1}\n{\"a\": NaN}\n", "d.jsonl"), "d.jsonl:2"));
  CHECK(Contains(Failure("{\"a\": \"\\ud800\"}\n", "d.jsonl"), "d.jsonl:1"));
  CHECK(Contains(Failure("{\"a\": 1e999}\n", "d.jsonl"), "d.jsonl:1"));
  CHECK(Contains(Failure("{\"a\": \"tab\there\"}\n", "d.jsonl"), "d.jsonl:1"));
  CHECK(Read("{\"a\": 1, \"a\": 2}\n", "d.jsonl").documents[0].at("a") == 2);
  CHECK(Read("{\"a\": \"x\\u0000y\"}", "d.jsonl").documents[0].at("a") == std::string("x\0y", 3));
}

TEST_CASE("json: hostile nesting and huge lines do not end the program") {
  const size_t deep = 1000000;
  CHECK(Contains(Failure("{\"a\": " + std::string(deep, '['), "d.jsonl"), "nested too deeply"));
  CHECK(Contains(Failure("{\"a\": " + std::string(deep, '[') + std::string(deep, ']') + "}", "d.jsonl"),
                 "d.jsonl:1"));
  CHECK(Contains(Failure(std::string(deep, '['), "d.json"), "nested too deeply"));
  const std::string huge(20 << 20, 'x');
  CHECK(Read("{\"a\": \"" + huge + "\"}\n{\"a\": 1}\n", "d.jsonl").documents[0].at("a") == huge);
}

TEST_CASE("bytes that are no UTF-8 text are refused with line and hint") {
  CHECK(Contains(Failure(std::string("a\nb\0c", 5), "d.txt"), "d.txt:2"));
  CHECK(Contains(Failure(std::string("\xFF\xFE{\0", 4), "d.jsonl"), "iconv"));
  CHECK(Contains(Failure("q\nna\xEFve\n", "d.csv"), "d.csv:2"));
  CHECK(Read("\xEF\xBB\xBF{\"a\": 1}\n", "d.jsonl").documents.size() == 1);
  CHECK(Read("\xEF\xBB\xBF[{\"a\": 1}]", "d.json").documents.size() == 1);
}

TEST_CASE("containers are refused with the way to convert them") {
  const std::string parquet = Failure(std::string("PAR1\x15\0\x15", 7), "d.parquet");
  CHECK(Contains(parquet, "read_parquet"));
  CHECK(Contains(parquet, "d.jsonl"));
  CHECK(Contains(Failure("\x1F\x8B\x08", "d.jsonl.gz"), "gunzip"));
  CHECK(Contains(Failure("\x28\xB5\x2F\xFD", "d.jsonl.zst"), "unzstd"));
  CHECK(Contains(Failure("PK\x03\x04", "d.json"), "unzip"));
}

TEST_CASE("csv: line ends of all kinds, blank lines, empty files") {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const auto lines = [&](std::string text) {
      for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += end.size()) {
        text.replace(at, 1, end);
      }
      return text;
    };
    const Dataset data = Read(lines("q,a|\"one|two\",1|x,|||"), "d.csv");
    REQUIRE(data.documents.size() == 2);
    CHECK(data.documents[0].at("q") == lines("one|two"));
    CHECK(data.documents[1] == Json{{"q", "x"}, {"a", ""}});
    CHECK(data.lines == std::vector<int64_t>{2, 4});
    CHECK(Contains(Failure(lines("q,a|1,2||3,4|"), "d.csv"), "d.csv:3"));
    CHECK(Contains(Failure(lines("q,a|1,2||3,4|"), "d.csv"), "blank line"));
    CHECK(Contains(Failure(lines("q,a|1,2|\"3|4,5|"), "d.csv"), "d.csv:3"));  // where the quote opened
  }
  CHECK(Read("q\none\n\nthree\n", "d.csv").documents[1].at("q") == "");
  CHECK(Contains(Failure("", "d.csv"), "empty or repeated name"));
  CHECK(Contains(Failure("q,\n1,2\n", "d.csv"), "column 2"));
  CHECK(Contains(Failure("q,a\n1,2,3\n", "d.csv"), "expected 2"));
}

TEST_CASE("tsv: quotes are characters, tabs always separate") {
  const Dataset data = Read("q\ta\r\n\"one\t2\r\nx,y\t\"\"\n", "d.tsv");
  REQUIRE(data.documents.size() == 2);
  CHECK(data.documents[0] == Json{{"q", "\"one"}, {"a", "2"}});
  CHECK(data.documents[1] == Json{{"q", "x,y"}, {"a", "\"\""}});
  CHECK(Contains(Failure("q\ta\n1\t2\t3\n", "d.tsv"), "d.tsv:2"));
}

TEST_CASE("lines: each one is a document, blank ones are left out but counted") {
  const Dataset data = Read("one\r\n\n  \n two\n", "d.txt", "lines");
  REQUIRE(data.documents.size() == 2);
  CHECK(data.documents[0].at("text") == "one");
  CHECK(data.documents[1].at("text") == " two");
  CHECK(data.lines == std::vector<int64_t>{1, 4});
  CHECK(Contains(Failure("\n\n", "d.txt", "lines"), "no documents"));
}

TEST_CASE("every format has the hash of the file's bytes; a byte order mark counts") {
  for (const std::string& format : DatasetFormats()) {
    CAPTURE(format);
    const std::string content = format == "jsonl"  ? "{\"a\": 1}"
                                : format == "json" ? "[{\"a\": 1}]"
                                                   : "a\nb\n";
    CHECK(Read(content, "d", format).sha256 == Sha256Hex(content));
    CHECK(Read("\xEF\xBB\xBF" + content, "d", format).sha256 == Sha256Hex("\xEF\xBB\xBF" + content));
  }
}

TEST_CASE("fuzz: no bytes crash a reader; what it takes has documents and lines in order") {
  std::mt19937 random(20240611);
  // Pieces that the formats care about, so that random files get past the first byte.
  const std::vector<std::string> pieces = {"{",         "}",
                                           "[",         "]",
                                           "\"",        "\"a\"",
                                           ":",         ",",
                                           "\n",        "\r",
                                           "\r\n",      "\t",
                                           "1",         "x",
                                           " ",         "=",
                                           " = A = \n", "{\"a\": 1}\n",
                                           "\"\"",      "a,b\n",
                                           "a\tb\n",    "[{\"a\": 2}]",
                                           "\xC3\xA9",  "\\u00",
                                           "\\",        "\xFF",
                                           "null"};
  testing::TemporaryFolder folder;
  size_t accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string content;
    const size_t usual = pieces.size() - (random() % 4 != 0 ? 4 : 0);
    for (unsigned i = random() % 24; i > 0; --i) {
      content +=
          random() % 50 == 0 ? std::string(1, static_cast<char>(random() % 256)) : pieces[random() % usual];
    }
    std::ofstream(folder / "f", std::ios::binary) << content;
    for (const std::string& format : DatasetFormats()) {
      try {
        const Dataset data = ReadDataset(folder / "f", format);
        ++accepted;
        bool good = data.documents.size() == data.lines.size() && !data.lines.empty() && data.lines[0] >= 1 &&
                    std::is_sorted(data.lines.begin(), data.lines.end());
        for (const Json& document : data.documents) good = good && document.is_object() && !document.empty();
        if (!good) FAIL(format << " read " << Json(content).dump());
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kData || error.detail().where.empty()) {
          FAIL(format << ": " << error.what());
        }
      }
    }
  }
  CHECK(accepted > 1000);  // the fuzz reaches behind the first check
}

TEST_CASE("text: one document, not empty") {
  CHECK(Read(" a\nb\n", "d.txt").documents[0].at("text") == " a\nb\n");
  CHECK(Contains(Failure(" \n", "d.txt"), "no documents"));
}

TEST_CASE("wikitext: pages begin at titles of the first level") {
  const Dataset data = Read(" \n = One = \n \n text = = x \n = = Part = = \n more \n \n = Two = \n end \n",
                            "w.raw", "wikitext");
  REQUIRE(data.documents.size() == 2);
  CHECK(data.documents[0].at("page") == " = One = \n \n text = = x \n = = Part = = \n more \n ");
  CHECK(data.documents[1].at("page") == " = Two = \n end \n");
  CHECK(data.lines == std::vector<int64_t>{2, 8});
}

TEST_CASE("lines become a field, one each") {
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "d.jsonl", "{\"a\": 1}\n{\"a\": 2}\n");
  WriteFileAtomically(folder / "labels", "1\r\n0\r\n");
  Dataset data = ReadDataset(folder / "d.jsonl");
  const std::string before = data.sha256;
  AddLinesAsField(data, "label", folder / "labels");
  CHECK(data.documents[0] == Json{{"a", 1}, {"label", "1"}});
  CHECK(data.documents[1].at("label") == "0");
  CHECK(data.sha256 != before);
  CHECK_THROWS_AS(AddLinesAsField(data, "label", folder / "labels"), Error);
  WriteFileAtomically(folder / "labels", "1\n");
  CHECK_THROWS_AS(AddLinesAsField(data, "other", folder / "labels"), Error);
}

TEST_CASE("the first file that exists is taken; a missing one names what was looked for") {
  testing::TemporaryFolder folder;
  WriteFileAtomically(folder / "b.jsonl", "{\"a\": 1}\n");
  CHECK(LocateFile({"a.jsonl", "b.jsonl"}, {"", folder.path()}, "task t", "") == folder / "b.jsonl");
  try {
    LocateFile({"a.jsonl", "c.jsonl"}, {folder.path()}, "task t", "look elsewhere");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(Contains(error.what(), "a.jsonl, c.jsonl"));
    CHECK(Contains(error.what(), "look elsewhere"));
  }
}

TEST_CASE("shared data: WikiText-2 has 62 articles, MMLU's CSV has line breaks in fields") {
  if (const auto path = testing::SharedData("wikitext2/wiki.test.raw")) {
    const Dataset data = ReadDataset(*path, "wikitext");
    CHECK(data.documents.size() == 62);
    size_t bytes = 0;
    for (const Json& page : data.documents) bytes += page.at("page").get_ref<const std::string&>().size();
    CHECK(bytes == 1290527);  // the file without the breaks between articles and its first line
  }
  if (const auto folder = testing::SharedData("mmlu/test")) {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
      count += ReadDataset(entry.path()).documents.size();
    }
    CHECK(count == 14042);
  }
}
