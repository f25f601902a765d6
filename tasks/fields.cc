#include "tasks/fields.h"

#include <fmt/args.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

#include "base/error.h"
#include "tasks/transforms.h"

namespace tnb {
namespace {

constexpr char kSourceHelp[] = "a path, or {\"from\"|\"template\"|\"list\": ...}";

bool IsName(const std::string& name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

Source ReadSource(const LocatedJson& file, const std::string& at) {
  Source source;
  const Json& json = file.root().at(Json::json_pointer(at));
  if (json.is_string()) {
    source.from = json.get<std::string>();
    if (source.from.empty()) file.Fail(at, "an empty path", kSourceHelp);
    return source;
  }
  file.CheckFields(at, {"from", "regex", "group", "index_in", "map", "template", "list", "then"});
  if (json.contains("from") + json.contains("template") + json.contains("list") != 1) {
    file.Fail(at, "a source has exactly one of from, template, list", kSourceHelp);
  }
  if (json.contains("from")) {
    source.from = file.Get<std::string>(at + "/from", "a path");
    if (source.from.empty()) file.Fail(at + "/from", "an empty path", "a path");
  } else if (json.contains("regex") || json.contains("map")) {
    file.Fail(at, "regex and map go with from");
  } else if (json.contains("index_in") && json.contains("list")) {
    file.Fail(at, "index_in goes with from or template");
  }
  if (json.contains("regex")) {
    source.regex.emplace(file.Get<std::string>(at + "/regex", "a regular expression"),
                         file.Where(at + "/regex"));
  }
  const int64_t group = file.Get<int64_t>(at + "/group", "a group number", 0);
  if (group < 0 ||
      (group > 0 && (!source.regex || static_cast<size_t>(group) > source.regex->group_count()))) {
    file.Fail(at + "/group", "the regular expression has no such group", "", std::to_string(group));
  }
  source.group = static_cast<size_t>(group);
  if (json.contains("index_in")) {
    if (json.at("index_in").is_string()) {
      source.index_path = file.Get<std::string>(at + "/index_in", "a path or a list");
    } else {
      source.index_list = file.Get<std::vector<std::string>>(at + "/index_in", "a path or a list of texts");
    }
  }
  if (json.contains("map")) {
    if (!json.at("map").is_object() || json.at("map").empty())
      file.Fail(at + "/map", "not an object", "{\"value\": \"text\"}");
    for (const auto& [value, text] : json.at("map").items()) {
      if (!text.is_string()) file.Fail(at + "/map", "not a text", "{\"value\": \"text\"}", text.dump());
      source.map[value] = text.get<std::string>();
    }
  }
  if (json.contains("template")) source.templates = {file.Get<std::string>(at + "/template", "a template")};
  if (json.contains("list")) {
    source.is_list = true;
    source.templates = file.Get<std::vector<std::string>>(at + "/list", "a list of templates");
  }
  for (const std::string& text : source.templates) TemplateNames(text, file.Where(at));
  if (json.contains("then")) source.transforms = file.Strings(at + "/then", "names of transforms");
  for (const std::string& name : source.transforms) {
    if (FindTransform(name) != nullptr) continue;
    std::vector<std::string> known;
    std::string list;
    for (const Transform& transform : Transforms()) {
      known.push_back(transform.name);
      list += (list.empty() ? "" : ", ") + known.back();
    }
    const std::string near = Nearest(name, known);
    file.Fail(at + "/then", "no transform '" + name + "'", list, "",
              near.empty() ? "" : "did you mean '" + near + "'?");
  }
  return source;
}

std::string AsText(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

bool HasIndex(const Source& source) { return !source.index_path.empty() || !source.index_list.empty(); }

std::string Transformed(std::string text, const std::vector<std::string>& transforms) {
  for (const std::string& name : transforms) text = FindTransform(name)->apply(text);
  return text;
}

// What lies at path[begin..] of a value.
std::optional<Json> Resolve(const Json& value, const std::string& path, size_t begin) {
  if (begin > path.size()) return value.is_null() ? std::nullopt : std::optional<Json>(value);
  const size_t end = std::min(path.find('/', begin), path.size());
  const std::string key = path.substr(begin, end - begin);
  if (key == "*" && value.is_array()) {
    Json all = Json::array();
    for (const Json& element : value) {
      std::optional<Json> found = Resolve(element, path, end + 1);
      if (!found) return std::nullopt;
      all.push_back(std::move(*found));
    }
    return all;
  }
  if (value.is_object() && value.contains(key)) return Resolve(value.at(key), path, end + 1);
  if (value.is_array() && !key.empty() && key.size() < 10 &&
      key.find_first_not_of("0123456789") == std::string::npos && std::stoul(key) < value.size()) {
    return Resolve(value.at(std::stoul(key)), path, end + 1);
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> TemplateNames(const std::string& text, const std::string& where) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kData, {what + " in template " + Json(text).dump(), "{name}, {{ or }}", "", where,
                                   "write a brace as {{ or }}"});
  };
  std::vector<std::string> names;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' && text[i] != '}') continue;
    if (i + 1 < text.size() && text[i + 1] == text[i]) {
      ++i;
      continue;
    }
    if (text[i] == '}') fail("a single closing brace");
    const size_t end = text.find('}', i);
    if (end == std::string::npos) fail("an open brace");
    const std::string name = text.substr(i + 1, end - i - 1);
    if (!IsName(name)) fail("'" + name + "' is not a field name");
    names.push_back(name);
    i = end;
  }
  return names;
}

FieldMap ReadFields(const LocatedJson& file, const std::string& pointer) {
  FieldMap fields;
  if (!file.Has(pointer)) return fields;
  const Json& object = file.root().at(Json::json_pointer(pointer));
  if (!object.is_object()) file.Fail(pointer, "not an object", "{\"name\": source, ...}");
  for (const auto& [name, value] : object.items()) {
    const std::string at = pointer + "/" + name;
    if (!IsName(name))
      file.Fail(pointer, "'" + name + "' cannot be used in a template", "letters, digits, _");
    if (value.is_array()) {
      if (value.empty()) file.Fail(at, "no sources", kSourceHelp);
      for (size_t i = 0; i < value.size(); ++i) {
        fields[name].push_back(ReadSource(file, at + "/" + std::to_string(i)));
      }
    } else {
      fields[name].push_back(ReadSource(file, at));
    }
  }
  // A field whose template mentions its own name means the document's value; longer circles are errors.
  std::set<std::string> open, closed;
  const std::function<void(const std::string&)> visit = [&](const std::string& name) {
    if (closed.count(name) || !fields.count(name)) return;
    if (!open.insert(name).second) file.Fail(pointer + "/" + name, "fields refer to each other in a circle");
    for (const Source& source : fields.at(name)) {
      for (const std::string& text : source.templates) {
        for (const std::string& used : TemplateNames(text, file.file())) {
          if (used != name) visit(used);
        }
      }
    }
    closed.insert(name);
  };
  for (const auto& [name, sources] : fields) visit(name);
  return fields;
}

std::optional<Json> DocumentFields::At(const std::string& path) const { return Resolve(document_, path, 0); }

std::optional<std::string> DocumentFields::TryRender(const std::string& text, std::string* missing,
                                                     const std::string& within) const {
  fmt::dynamic_format_arg_store<fmt::format_context> values;
  std::set<std::string> seen;
  for (const std::string& name : TemplateNames(text, where_)) {
    if (!seen.insert(name).second) continue;
    const std::optional<Json> value = name == within ? At(name) : Find(name);
    if (!value) {
      if (missing != nullptr) *missing = name;
      return std::nullopt;
    }
    if (value->is_structured()) {
      throw Error(ErrorKind::kData, {"field '" + name + "' is used in a template", "a text or number",
                                     value->dump().substr(0, 60), where_, ""});
    }
    values.push_back(fmt::arg(name.c_str(), AsText(*value)));
  }
  return fmt::vformat(text, values);
}

std::optional<Json> DocumentFields::Serve(const Source& source, const std::string& name) const {
  if (source.from.empty()) {
    Json texts = Json::array();
    for (const std::string& text : source.templates) {
      const std::optional<std::string> rendered = TryRender(text, nullptr, name);
      if (!rendered) return std::nullopt;
      texts.push_back(Transformed(*rendered, source.transforms));
    }
    if (source.is_list) return texts;
    if (HasIndex(source)) return IndexOf(source, texts.at(0).get<std::string>());
    return texts.at(0);
  }
  std::optional<Json> value = At(source.from);
  if (!value) return std::nullopt;
  const auto each = [&](Json& item) {
    if (source.regex) {
      const auto groups = source.regex->Search(AsText(item));
      if (!groups) return false;
      item = groups->at(source.group);
    }
    if (!source.transforms.empty()) item = Transformed(AsText(item), source.transforms);
    if (!source.map.empty()) {
      const auto found = source.map.find(AsText(item));
      if (found == source.map.end()) return false;
      item = found->second;
    }
    return true;
  };
  if (value->is_array()) {
    for (Json& item : *value) {
      if (!each(item)) return std::nullopt;
    }
  } else if (!each(*value)) {
    return std::nullopt;
  }
  return HasIndex(source) ? IndexOf(source, AsText(*value)) : value;
}

std::optional<Json> DocumentFields::IndexOf(const Source& source, const std::string& text) const {
  std::optional<Json> list = source.index_path.empty() ? Json(source.index_list) : At(source.index_path);
  if (!list || !list->is_array()) return std::nullopt;
  for (size_t i = 0; i < list->size(); ++i) {
    if (AsText(list->at(i)) == text) return Json(i);
  }
  const std::string what = source.from.empty() ? "'" + text + "'" : "field '" + source.from + "'";
  throw Error(ErrorKind::kData, {what + " is not one of the choices", list->dump().substr(0, 60),
                                 text.substr(0, 60), where_, ""});
}

std::optional<Json> DocumentFields::Find(const std::string& name) const {
  const auto field = fields_.find(name);
  if (field == fields_.end()) return At(name);
  for (const Source& source : field->second) {
    if (std::optional<Json> value = Serve(source, name)) return value;
  }
  return std::nullopt;
}

Json DocumentFields::Value(const std::string& name) const {
  if (std::optional<Json> value = Find(name)) return *value;
  std::string has;
  for (const auto& [key, value] : document_.items()) has += (has.empty() ? "" : ", ") + key;
  throw Error(ErrorKind::kData, {"the document has nothing for field '" + name + "'", "", "fields " + has,
                                 where_, "another layout needs another source in the task file"});
}

std::string DocumentFields::Text(const std::string& name) const {
  const Json value = Value(name);
  if (value.is_structured()) {
    throw Error(ErrorKind::kData,
                {"field '" + name + "' is not a text", "a text", value.dump().substr(0, 60), where_, ""});
  }
  return AsText(value);
}

std::optional<std::string> DocumentFields::TryText(const std::string& name) const {
  if (!Find(name)) return std::nullopt;
  return Text(name);
}

std::vector<std::string> DocumentFields::Texts(const std::string& name) const {
  const Json value = Value(name);
  if (value.is_string()) return {value.get<std::string>()};
  std::vector<std::string> texts;
  if (value.is_array()) {
    for (const Json& item : value) {
      if (item.is_structured() || item.is_null()) break;
      texts.push_back(AsText(item));
    }
  }
  if (!value.is_array() || texts.size() != value.size() || texts.empty()) {
    throw Error(ErrorKind::kData, {"field '" + name + "' is not a list of texts", "[\"...\", ...]",
                                   value.dump().substr(0, 60), where_, ""});
  }
  return texts;
}

int64_t DocumentFields::Integer(const std::string& name) const {
  const Json value = Value(name);
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX)) {
    return value.get<int64_t>();
  }
  const std::string text = AsText(value);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return number;
  throw Error(ErrorKind::kData,
              {"field '" + name + "' is not an integer", "", text.substr(0, 60), where_, ""});
}

std::string DocumentFields::Render(const std::string& text) const {
  std::string missing;
  if (const auto rendered = TryRender(text, &missing, "")) return *rendered;
  Value(missing);  // throws
  return "";
}

}  // namespace tnb
