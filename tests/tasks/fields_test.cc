#include "tasks/fields.h"

#include "base/error.h"
#include "tests/support/catch.h"

using namespace tnb;

namespace {

const std::string kWhere = "d.jsonl:3";

FieldMap Fields(const std::string& text) { return ReadFields(LocatedJson(text, "task.json"), ""); }

std::string Failure(const FieldMap& fields, const Json& document, const std::string& name) {
  try {
    DocumentFields(fields, document, kWhere).Value(name);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the first source that a document can serve is taken") {
  const FieldMap fields = Fields(R"({"choices": ["choices/text", "choices", {"list": ["{a}", "{b}"]}],
    "gold": ["gold", {"from": "answer", "index_in": "choices/label"}, {"from": "n", "index_in": ["1", "2"]}]})");
  const Json nested = {{"choices", {{"text", {"x", "y"}}, {"label", {"A", "B"}}}}, {"answer", "B"}};
  const Json flat = {{"choices", {"x", "y", "z"}}, {"gold", 2}};
  const Json apart = {{"a", "x"}, {"b", 7}, {"n", 2}, {"gold", nullptr}};
  CHECK(DocumentFields(fields, nested, kWhere).Texts("choices") == std::vector<std::string>{"x", "y"});
  CHECK(DocumentFields(fields, nested, kWhere).Integer("gold") == 1);
  CHECK(DocumentFields(fields, flat, kWhere).Texts("choices") == std::vector<std::string>{"x", "y", "z"});
  CHECK(DocumentFields(fields, flat, kWhere).Integer("gold") == 2);
  CHECK(DocumentFields(fields, apart, kWhere).Texts("choices") == std::vector<std::string>{"x", "7"});
  CHECK(DocumentFields(fields, apart, kWhere).Integer("gold") == 1);
}

TEST_CASE("templates use fields of the task, then of the document") {
  const FieldMap fields = Fields(R"({"b": {"from": "b", "then": ["strip", "capitalize"]},
    "part": {"from": "q", "regex": "(?s)^Q: (.*)\\?$", "group": 1}, "self": {"template": "<{self}>"}})");
  const Json document = {{"a", 1}, {"b", " hOME "}, {"q", "Q: what\nnow?"}, {"self", "s"}, {"braces", "{a}"}};
  const DocumentFields values(fields, document, kWhere);
  CHECK(values.Render("{a}-{b}-{a} {{x}} {part}") == "1-Home-1 {x} what\nnow");
  CHECK(values.Render("{self}") == "<s>");
  CHECK(values.Render("{braces}") == "{a}");  // a document's braces are text
  CHECK(values.Render("") == "");
}

TEST_CASE("maps, lists of elements, and places in lists") {
  const FieldMap fields =
      Fields(R"({"why": [{"from": "kind", "map": {"c": "because"}}, {"from": "kind", "map": {"e": "so"}}],
    "labels": "q/choices/*/label", "one": {"template": "1", "index_in": "marks"}, "all": "marks/*"})");
  const Json document = {
      {"kind", "e"}, {"marks", {0, 1, 0}}, {"q", {{"choices", {{{"label", "A"}}, {{"label", "B"}}}}}}};
  const DocumentFields values(fields, document, kWhere);
  CHECK(values.Text("why") == "so");
  CHECK(values.Texts("labels") == std::vector<std::string>{"A", "B"});
  CHECK(values.Integer("one") == 1);
  CHECK(values.Value("all") == Json({0, 1, 0}));
  CHECK_THAT(
      Failure(fields, {{"kind", "x"}, {"q", {{"choices", {{{"label", "A"}}, {{"text", "B"}}}}}}}, "labels"),
      Catch::Matchers::Contains("'labels'"));
  CHECK_THAT(Failure(fields, {{"kind", "x"}}, "why"), Catch::Matchers::Contains("'why'"));
  CHECK_THAT(Failure(fields, {{"marks", {0, 0}}}, "one"),
             Catch::Matchers::Contains("not one of the choices"));
  CHECK_THROWS_AS(Fields(R"({"x": {"template": "a", "map": {"a": "b"}}})"), Error);
  CHECK_THROWS_AS(Fields(R"({"x": {"from": "a", "map": {"a": 1}}})"), Error);
}

TEST_CASE("what a document lacks is an error with its place") {
  const FieldMap fields =
      Fields(R"({"x": ["a", {"from": "b", "regex": "z"}], "g": {"from": "k", "index_in": "l"}})");
  const std::string message = Failure(fields, {{"b", "y"}, {"c", 1}}, "x");
  CHECK(message.find("'x'") != std::string::npos);
  CHECK(message.find("fields b, c") != std::string::npos);
  CHECK(message.find(kWhere) != std::string::npos);
  CHECK(Failure(fields, {{"k", "Z"}, {"l", {"A", "B"}}}, "g").find("not one of the choices") !=
        std::string::npos);
  const Json document = {
      {"list", {"a"}}, {"deep", Json::array({Json::array()})}, {"t", "3x"}, {"yes", true}, {"n", "-4"}};
  const DocumentFields values(fields, document, kWhere);
  CHECK_THROWS_AS(values.Render("{list}"), Error);
  CHECK_THROWS_AS(values.Render("{none}"), Error);
  CHECK_THROWS_AS(values.Text("list"), Error);
  CHECK_THROWS_AS(values.Texts("deep"), Error);
  CHECK_THROWS_AS(values.Integer("t"), Error);
  CHECK(values.Integer("yes") == 1);
  CHECK(values.Integer("n") == -4);
}
