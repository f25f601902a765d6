// A JSON file whose fields are read strictly and whose errors name file, line and field: what a user who
// writes a task file needs to see.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace tnb {

// The nearest of `known` to `name` by edit distance, or "" when nothing is near.
std::string Nearest(const std::string& name, const std::vector<std::string>& known);

// An error at a field of a file.
class FieldError : public Error {
 public:
  FieldError(std::string pointer, ErrorDetail detail)
      : Error(ErrorKind::kData, std::move(detail)), pointer_(std::move(pointer)) {}
  const std::string& pointer() const { return pointer_; }  // may name a field that is missing

 private:
  std::string pointer_;
};

// A file parsed together with the line of every field. Field addresses are JSON pointers ("/dataset/file").
class LocatedJson {
 public:
  // Throws Error{kData} for invalid JSON and for a field given twice.
  LocatedJson(const std::string& text, const std::string& file);

  const Json& root() const { return root_; }
  const std::string& file() const { return file_; }
  // "file:line" of a field, or of the nearest enclosing one that exists.
  std::string Where(const std::string& pointer) const;

  // Throws FieldError with the place of the field.
  [[noreturn]] void Fail(const std::string& pointer, const std::string& what,
                         const std::string& expected = "", const std::string& found = "",
                         const std::string& hint = "") const;
  // Every field of the object at `pointer` must be one of `allowed`.
  void CheckFields(const std::string& pointer, const std::vector<std::string>& allowed) const;

  bool Has(const std::string& pointer) const;
  // Takes a field out, as if the file did not have it; lines stay what they are.
  void Remove(const std::string& pointer);
  // The field as T; Fail when it is missing or of another type.
  template <typename T>
  T Get(const std::string& pointer, const std::string& expected) const {
    if (!Has(pointer)) Fail(pointer, "a field is missing", expected);
    const Json& value = root_.at(Json::json_pointer(pointer));
    if (!Fits<T>(value)) Fail(pointer, "a field has the wrong type", expected, value.dump().substr(0, 60));
    return value.get<T>();
  }
  template <typename T>
  T Get(const std::string& pointer, const std::string& expected, T fallback) const {
    return Has(pointer) ? Get<T>(pointer, expected) : fallback;
  }
  // A string, or a list of strings.
  std::vector<std::string> Strings(const std::string& pointer, const std::string& expected) const;

 private:
  template <typename T>
  static bool Fits(const Json& value);

  Json root_;
  std::string file_;
  std::map<std::string, int64_t> lines_;
};

}  // namespace tnb
