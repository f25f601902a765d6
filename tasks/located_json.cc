#include "tasks/located_json.h"

#include <algorithm>
#include <numeric>

#include "base/counting_iterator.h"

namespace tnb {
namespace {

std::string Escaped(const std::string& key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

}  // namespace

std::string Nearest(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < name.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i + 1;
      for (size_t j = 0; j < candidate.size(); ++j) {
        const size_t substituted = diagonal + (name[i] != candidate[j]);
        diagonal = row[j + 1];
        row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) best_distance = row.back(), best = candidate;
  }
  return best;
}

LocatedJson::LocatedJson(const std::string& text, const std::string& file) : file_(file) {
  struct Level {
    std::string pointer;  // of the container
    bool is_array;
    size_t next = 0;  // next index of an array
    std::string key;  // current key of an object
  };
  std::vector<Level> levels;
  int64_t line = 1;
  // The pointer of the value that begins or ends now.
  const auto place = [&]() -> std::string {
    if (levels.empty()) return "";
    Level& level = levels.back();
    return level.pointer + "/" + (level.is_array ? std::to_string(level.next++) : Escaped(level.key));
  };
  const auto callback = [&](int, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start: {
        const std::string pointer = place();
        lines_.emplace(pointer, line);
        levels.push_back({pointer, event == Json::parse_event_t::array_start, 0, ""});
        break;
      }
      case Json::parse_event_t::key:
        levels.back().key = value.get<std::string>();
        if (!lines_.emplace(levels.back().pointer + "/" + Escaped(levels.back().key), line).second) {
          throw Error(ErrorKind::kData, {"field '" + levels.back().key + "' is given twice", "", "",
                                         file_ + ":" + std::to_string(line), ""});
        }
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        levels.pop_back();
        break;
      case Json::parse_event_t::value:
        lines_.emplace(place(), line);
        break;
    }
    return true;
  };
  try {
    const char* begin = text.data();
    root_ =
        Json::parse(CountingIterator(begin, &line), CountingIterator(begin + text.size(), &line), callback);
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::kData,
                {"not valid JSON", "", error.what(), file_ + ":" + std::to_string(line), ""});
  }
}

std::string LocatedJson::Where(const std::string& pointer) const {
  for (std::string at = pointer;; at.resize(at.rfind('/'))) {
    const auto found = lines_.find(at);
    if (found != lines_.end()) return file_ + ":" + std::to_string(found->second);
    if (at.empty() || at.rfind('/') == std::string::npos) return file_;
  }
}

void LocatedJson::Fail(const std::string& pointer, const std::string& what, const std::string& expected,
                       const std::string& found, const std::string& hint) const {
  const std::string field = pointer.empty() ? "" : " '" + pointer.substr(1) + "'";
  throw FieldError(pointer, {"field" + field + ": " + what, expected, found, Where(pointer), hint});
}

void LocatedJson::CheckFields(const std::string& pointer, const std::vector<std::string>& allowed) const {
  const Json& object = root_.at(Json::json_pointer(pointer));
  if (!object.is_object()) Fail(pointer, "not an object", "{...}", object.dump().substr(0, 60));
  for (const auto& [key, value] : object.items()) {
    if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) continue;
    const std::string near = Nearest(key, allowed);
    std::string list;
    for (const std::string& name : allowed) list += (list.empty() ? "" : ", ") + name;
    Fail(pointer + "/" + Escaped(key), "there is no such field", list, "",
         near.empty() ? "" : "did you mean '" + near + "'?");
  }
}

bool LocatedJson::Has(const std::string& pointer) const {
  return root_.contains(Json::json_pointer(pointer));
}

void LocatedJson::Remove(const std::string& pointer) {
  const Json::json_pointer at(pointer);
  Json& parent = root_.at(at.parent_pointer());
  if (parent.is_array()) {
    parent.erase(std::stoul(at.back()));
  } else {
    parent.erase(at.back());
  }
}

std::vector<std::string> LocatedJson::Strings(const std::string& pointer, const std::string& expected) const {
  if (Has(pointer) && root_.at(Json::json_pointer(pointer)).is_string()) {
    return {Get<std::string>(pointer, expected)};
  }
  return Get<std::vector<std::string>>(pointer, expected);
}

template <>
bool LocatedJson::Fits<std::string>(const Json& value) {
  return value.is_string();
}
template <>
bool LocatedJson::Fits<bool>(const Json& value) {
  return value.is_boolean();
}
template <>
bool LocatedJson::Fits<int64_t>(const Json& value) {
  return value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
}
template <>
bool LocatedJson::Fits<std::vector<std::string>>(const Json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_string(); });
}

}  // namespace tnb
