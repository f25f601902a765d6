// From a document, whatever its layout, to the named values that a task's templates use.
//
// A field is a list of sources; the first that the document can serve is taken, so that one task reads
// several layouts of a dataset. A source is one of
//   {"from": "choices/text"}                     a value of the document, by path; * takes every element of a
//                                                list: "question/choices/*/text"
//   {"from": "query", "regex": "...", "group": 1}  a part of it (not served when nothing matches)
//   {"from": "answerKey", "index_in": "choices/label"}  position of the value in a list of the document,
//                                                or in a list given here: ["1", "2"]
//                                                (also with "template")
//   {"from": "question", "map": {"cause": "because"}}  the text that stands for the value (not served for
//                                                a value that is not named)
//   {"template": "{ctx_a} {ctx_b}"}              text made of other fields
//   {"list": ["{sol1}", "{sol2}"]}               a list of such texts
// and may end with "then": [names of transforms], applied to each text. "path" alone is short for {"from":
// "path"}. In templates, {name} is a field of the task, else of the document; {{ and }} are braces.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tasks/located_json.h"
#include "tasks/regex.h"

namespace tnb {

struct Source {
  std::string from;  // empty: template or list
  std::optional<Regex> regex;
  size_t group = 0;
  std::string index_path;               // index_in as a path
  std::vector<std::string> index_list;  // index_in as a list
  std::vector<std::string> templates;   // one for "template", several for "list"
  bool is_list = false;
  std::vector<std::string> transforms;
  std::map<std::string, std::string> map;  // value -> text
};

using FieldMap = std::map<std::string, std::vector<Source>>;

// Reads and checks the object at `pointer` of a task file: unknown names, invalid patterns, circular
// templates.
FieldMap ReadFields(const LocatedJson& file, const std::string& pointer);

// The names that a template uses, in order. Throws Error{kData} on a malformed one.
std::vector<std::string> TemplateNames(const std::string& text, const std::string& where);

// The values of one document.
class DocumentFields {
 public:
  // `where` ("file:line") is named in errors. All arguments must outlive the object.
  DocumentFields(const FieldMap& fields, const Json& document, const std::string& where)
      : fields_(fields), document_(document), where_(where) {}

  // Throws Error{kData} when no source of the field can be served.
  Json Value(const std::string& name) const;
  std::string Text(const std::string& name) const;
  std::optional<std::string> TryText(const std::string& name) const;  // nothing when it cannot be served
  std::vector<std::string> Texts(const std::string& name) const;      // a text counts as a list of one
  int64_t Integer(const std::string& name) const;                     // also "3" and true
  std::string Render(const std::string& text) const;

 private:
  std::optional<Json> Find(const std::string& name) const;
  std::optional<Json> Serve(const Source& source, const std::string& name) const;
  std::optional<Json> At(const std::string& path) const;
  std::optional<Json> IndexOf(const Source& source, const std::string& text) const;
  std::optional<std::string> TryRender(const std::string& text, std::string* missing,
                                       const std::string& within) const;

  const FieldMap& fields_;
  const Json& document_;
  const std::string& where_;
};

}  // namespace tnb
