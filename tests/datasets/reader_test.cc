#include "datasets/reader.h"

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
  CHECK(Contains(Failure("{\"a\": 1}", "d.json"), "array"));
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

TEST_CASE("csv: malformed files name the line") {
  CHECK(Contains(Failure("q,a\n1,2\n1\n", "d.csv"), "d.csv:3"));
  CHECK(Contains(Failure("q,a\n\"1,2\n", "d.csv"), "not closed"));
  CHECK(Contains(Failure("q,a\n\"1\"x,2\n", "d.csv"), "after a closing quote"));
  CHECK(Contains(Failure("q,a\n1\"2,2\n", "d.csv"), "unquoted"));
  CHECK(Contains(Failure("q,q\n1,2\n", "d.csv"), "repeated"));
  CHECK(Contains(Failure("q,a\n", "d.csv"), "no documents"));
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
  CHECK(LocateFile({"a.jsonl", "b.jsonl"}, {"", folder.path()}, "task t") == folder / "b.jsonl");
  try {
    LocateFile({"a.jsonl", "c.jsonl"}, {folder.path()}, "task t");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(Contains(error.what(), "a.jsonl, c.jsonl"));
    CHECK(Contains(error.what(), "--data-dir"));
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
