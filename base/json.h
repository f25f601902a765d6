// JSON as used everywhere in tnbench: nlohmann::json (keys sorted, so that a dump is canonical and
// can be hashed) and checked access whose errors name the file or record and the field.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/nlohmann.h"

namespace tnb {

using Json = nlohmann::json;

// Parses `text`; `where` (a file name, "line 12 of x.jsonl") is named in the error.
Json ParseJson(const std::string& text, const std::string& where);
// Reads and parses a whole file.
Json ReadJsonFile(const std::filesystem::path& path);

// The field `key` of `object` as T. Throws Error{kData} naming `where`, the field, the expected type
// and what was found, when the field is missing or has another type.
template <typename T>
T Require(const Json& object, const std::string& key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) {
    throw Error(ErrorKind::kData, {"missing field '" + key + "'", "", "", where, ""});
  }
  try {
    return object.at(key).get<T>();
  } catch (const Json::exception&) {
    throw Error(ErrorKind::kData, {"field '" + key + "' has the wrong type", "",
                                   object.at(key).dump().substr(0, 80), where, ""});
  }
}

// As Require, but `fallback` when the field is missing (a wrong type is still an error).
template <typename T>
T Optional(const Json& object, const std::string& key, T fallback, const std::string& where) {
  if (!object.is_object() || !object.contains(key) || object.at(key).is_null()) return fallback;
  return Require<T>(object, key, where);
}

}  // namespace tnb
