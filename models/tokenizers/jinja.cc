#include "models/tokenizers/jinja.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/error.h"
#include "models/tokenizers/jinja_syntax.h"
#include "models/tokenizers/utf8.h"

namespace tnb {
namespace {

using jinja::Expression;
using jinja::Statement;
using Kind = Expression::Kind;

constexpr int64_t kMostSteps = 300'000;
constexpr size_t kMostItems = 1'000'000;
constexpr size_t kMostBytes = size_t{1} << 26;

// What a name without value has; not the same as none.
const Json kUndefined(Json::value_t::discarded);

bool Truth(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return (value.is_array() || value.is_object()) && !value.empty();
}

std::vector<std::string> Characters(const std::string& text) {
  std::vector<std::string> characters;
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::max<size_t>(1, DecodeUtf8(text, i).length);
    characters.push_back(text.substr(i, length));
    i += length;
  }
  return characters;
}

// str.strip of Python; `characters` empty: white space.
std::string Strip(const std::string& text, bool left, bool right, const std::string& characters = "") {
  std::vector<std::string> all = Characters(text);
  const std::vector<std::string> wanted = Characters(characters);
  const auto goes = [&](const std::string& c) {
    if (!wanted.empty()) return std::find(wanted.begin(), wanted.end(), c) != wanted.end();
    return IsWhiteSpace(DecodeUtf8(c, 0).code) || (c[0] >= 0x1C && c[0] <= 0x1F);
  };
  size_t begin = 0, end = all.size();
  while (left && begin < end && goes(all[begin])) ++begin;
  while (right && end > begin && goes(all[end - 1])) --end;
  std::string out;
  for (size_t i = begin; i < end; ++i) out += all[i];
  return out;
}

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  if (from.empty()) return text;
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

class Renderer {
 public:
  Renderer(const Json& variables, const std::string& where) : where_(where) {
    scopes_.emplace_back();
    for (const auto& [name, value] : variables.items()) scopes_[0][name] = value;
  }

  std::string Run(const std::vector<Statement>& statements) {
    Execute(statements);
    return out_;
  }

 private:
  enum class Flow { kOn, kBreak, kContinue };

  [[noreturn]] void Fail(const std::string& what, const std::string& found = "") const {
    throw Error(ErrorKind::kData, {what, "", found.substr(0, 200), where_, ""});
  }
  [[noreturn]] void Unsupported(const std::string& what, const std::string& name) const {
    throw Error(ErrorKind::kUnsupported,
                {"the chat template uses " + what + " that is not known here", "", name, where_,
                 "leave --apply-chat-template out, or simplify the template"});
  }
  void Count() {
    if (++steps_ > kMostSteps) Fail("the chat template does not come to an end");
  }

  void Print(const Json& value) {
    if (value.is_discarded()) return;
    out_ += Text(value);
    if (out_.size() > kMostBytes) Fail("the chat template makes too much text");
  }
  std::string Text(const Json& value) const {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
    if (value.is_null()) return "None";
    if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
    Unsupported("a value in text", value.type_name());
  }

  Flow Execute(const std::vector<Statement>& statements) {
    for (const Statement& statement : statements) {
      Count();
      Flow flow = Flow::kOn;
      switch (statement.kind) {
        case Statement::Kind::kText:
          out_ += statement.text;
          break;
        case Statement::Kind::kOutput:
          Print(Value(*statement.expressions[0]));
          break;
        case Statement::Kind::kFor:
          flow = Loop(statement);
          break;
        case Statement::Kind::kIf: {
          size_t branch = 0;
          while (branch < statement.expressions.size() && !Truth(Value(*statement.expressions[branch])))
            ++branch;
          flow = Execute(statement.bodies[branch]);
          break;
        }
        case Statement::Kind::kSet:
          Set(statement);
          break;
        case Statement::Kind::kBreak:
          return Flow::kBreak;
        case Statement::Kind::kContinue:
          return Flow::kContinue;
      }
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

  void Set(const Statement& statement) {
    Json value = Value(*statement.expressions[0]);
    if (statement.names.size() == 1) {
      scopes_.back()[statement.names[0]] = std::move(value);
      return;
    }
    Json* object = Find(statement.names[0]);
    if (object == nullptr || !object->is_object()) Fail("not a namespace", statement.names[0]);
    (*object)[statement.names[1]] = std::move(value);
  }

  Flow Loop(const Statement& statement) {
    const Json over = Value(*statement.expressions[0]);
    std::vector<Json> items;
    if (over.is_array()) {
      items.assign(over.begin(), over.end());
    } else if (over.is_object()) {
      for (const auto& [key, unused] : over.items()) items.emplace_back(key);
    } else if (over.is_string()) {
      for (const std::string& c : Characters(over.get<std::string>())) items.emplace_back(c);
    } else if (!over.is_discarded()) {
      Fail("not something to loop over", over.type_name());
    }
    scopes_.emplace_back();
    if (statement.expressions[1] != nullptr) {
      std::erase_if(items, [&](const Json& item) {
        Bind(statement.names, item);
        return !Truth(Value(*statement.expressions[1]));
      });
    }
    for (size_t i = 0; i < items.size(); ++i) {
      Count();
      scopes_.back().clear();
      Bind(statement.names, items[i]);
      const auto count = static_cast<int64_t>(items.size()), index = static_cast<int64_t>(i);
      Json loop = {{"index", index + 1},
                   {"index0", index},
                   {"first", i == 0},
                   {"last", i + 1 == items.size()},
                   {"length", count},
                   {"revindex", count - index},
                   {"revindex0", count - index - 1}};
      if (i > 0) loop["previtem"] = items[i - 1];
      if (i + 1 < items.size()) loop["nextitem"] = items[i + 1];
      scopes_.back()["loop"] = std::move(loop);
      if (Execute(statement.bodies[0]) == Flow::kBreak) break;
    }
    scopes_.pop_back();
    return items.empty() ? Execute(statement.bodies[1]) : Flow::kOn;
  }

  void Bind(const std::vector<std::string>& names, const Json& item) {
    if (names.size() == 1) {
      scopes_.back()[names[0]] = item;
      return;
    }
    if (!item.is_array() || item.size() != names.size()) Fail("a loop's values do not fit its names");
    for (size_t n = 0; n < names.size(); ++n) scopes_.back()[names[n]] = item[n];
  }

  Json* Find(const std::string& name) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto found = scope->find(name); found != scope->end()) return &found->second;
    }
    return nullptr;
  }

  std::vector<Json> Arguments(const Expression& call) {
    std::vector<Json> values;
    for (size_t i = 1; i < call.children.size(); ++i) values.push_back(Value(*call.children[i]));
    return values;
  }

  Json Value(const Expression& node) {
    Count();
    switch (node.kind) {
      case Kind::kLiteral:
        return node.value;
      case Kind::kName: {
        const Json* value = Find(node.name);
        return value != nullptr ? *value : kUndefined;
      }
      case Kind::kList: {
        Json list = Json::array();
        for (const auto& child : node.children) list.push_back(Value(*child));
        return list;
      }
      case Kind::kDict: {
        Json dict = Json::object();
        for (size_t i = 0; i + 1 < node.children.size(); i += 2)
          dict[Text(Value(*node.children[i]))] = Value(*node.children[i + 1]);
        return dict;
      }
      case Kind::kAttribute:
        return Item(Value(*node.children[0]), node.name);
      case Kind::kItem:
        return Item(Value(*node.children[0]), Value(*node.children[1]));
      case Kind::kSlice:
        return Slice(node);
      case Kind::kCall:
        return Call(node);
      case Kind::kFilter:
        return Filter(node.name, Value(*node.children[0]), Arguments(node));
      case Kind::kTest:
        return Test(node.name, Value(*node.children[0]), Arguments(node));
      case Kind::kUnary: {
        const Json value = Value(*node.children[0]);
        if (node.name == "not") return !Truth(value);
        return -Integer(value);
      }
      case Kind::kBinary:
        return Binary(node);
      case Kind::kChoice:
        if (Truth(Value(*node.children[1]))) return Value(*node.children[0]);
        return node.children[2] != nullptr ? Value(*node.children[2]) : kUndefined;
    }
    return kUndefined;
  }

  int64_t Integer(const Json& value) const {
    if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
    if (!value.is_number_integer()) Fail("not an integer", value.type_name());
    return value.get<int64_t>();
  }

  Json Item(const Json& value, const Json& key) const {
    if (value.is_discarded()) Fail("the chat template looks into something that is not defined", key.dump());
    if (value.is_object() && key.is_string()) {
      const auto found = value.find(key.get<std::string>());
      return found != value.end() ? *found : kUndefined;
    }
    if (!key.is_number_integer()) return kUndefined;
    Json list = value;
    if (value.is_string()) list = Characters(value.get<std::string>());
    if (!list.is_array()) return kUndefined;
    int64_t index = key.get<int64_t>();
    if (index < 0) index += static_cast<int64_t>(list.size());
    if (index < 0 || index >= static_cast<int64_t>(list.size())) return kUndefined;
    return list[static_cast<size_t>(index)];
  }

  Json Slice(const Expression& node) {
    const Json value = Value(*node.children[0]);
    const auto part = [&](size_t i) { return node.children[i] ? Value(*node.children[i]) : Json(nullptr); };
    const Json from = part(1), to = part(2), by = part(3);
    std::vector<Json> items;
    if (value.is_string()) {
      for (const std::string& c : Characters(value.get<std::string>())) items.emplace_back(c);
    } else if (value.is_array()) {
      items.assign(value.begin(), value.end());
    } else {
      Fail("not something to slice", value.type_name());
    }
    const auto size = static_cast<int64_t>(items.size());
    const int64_t step = by.is_null() ? 1 : Integer(by);
    if (step == 0) Fail("a slice's step is 0");
    const auto bound = [&](const Json& given, int64_t fallback) {
      if (given.is_null()) return fallback;
      int64_t index = Integer(given);
      if (index < 0) index += size;
      return std::clamp<int64_t>(index, step > 0 ? 0 : -1, step > 0 ? size : size - 1);
    };
    const int64_t begin = bound(from, step > 0 ? 0 : size - 1), end = bound(to, step > 0 ? size : -1);
    Json list = Json::array();
    std::string text;
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
      Count();
      if (value.is_string()) text += items[static_cast<size_t>(i)].get<std::string>();
      list.push_back(items[static_cast<size_t>(i)]);
    }
    return value.is_string() ? Json(text) : list;
  }

  static bool Equal(const Json& a, const Json& b) {
    if (a.is_discarded() || b.is_discarded()) return a.is_discarded() && b.is_discarded();
    return a == b;
  }

  bool In(const Json& needle, const Json& hay) const {
    if (hay.is_string() && needle.is_string())
      return hay.get_ref<const std::string&>().find(needle.get<std::string>()) != std::string::npos;
    if (hay.is_object()) return needle.is_string() && hay.contains(needle.get<std::string>());
    if (hay.is_array())
      return std::any_of(hay.begin(), hay.end(), [&](const Json& item) { return Equal(item, needle); });
    if (hay.is_discarded()) return false;
    Fail("not something to look into", hay.type_name());
  }

  Json Binary(const Expression& node) {
    const std::string& sign = node.name;
    Json a = Value(*node.children[0]);
    if (sign == "and") return Truth(a) ? Value(*node.children[1]) : a;
    if (sign == "or") return Truth(a) ? a : Value(*node.children[1]);
    const Json b = Value(*node.children[1]);
    if (sign == "==") return Equal(a, b);
    if (sign == "!=") return !Equal(a, b);
    if (sign == "in") return In(a, b);
    if (sign == "~") return (a.is_discarded() ? "" : Text(a)) + (b.is_discarded() ? "" : Text(b));
    if (sign == "+" && a.is_string() && b.is_string()) {
      std::string sum = a.get<std::string>() + b.get<std::string>();
      if (sum.size() > kMostBytes) Fail("the chat template makes too much text");
      return sum;
    }
    if (sign == "+" && a.is_array() && b.is_array()) {
      if (a.size() + b.size() > kMostItems) Fail("the chat template makes too long a list");
      for (const Json& item : b) a.push_back(item);
      return a;
    }
    if (a.is_string() && b.is_string()) {
      const int order = a.get<std::string>().compare(b.get<std::string>());
      if (sign == "<") return order < 0;
      if (sign == "<=") return order <= 0;
      if (sign == ">") return order > 0;
      if (sign == ">=") return order >= 0;
    }
    const auto number = [](const Json& value) { return value.is_number_integer() || value.is_boolean(); };
    if (!number(a) || !number(b)) {
      Fail("the chat template combines values that do not go together",
           std::string(a.type_name()) + " " + sign + " " + b.type_name());
    }
    const int64_t x = Integer(a), y = Integer(b);
    int64_t result = 0;
    if (sign == "<") return x < y;
    if (sign == "<=") return x <= y;
    if (sign == ">") return x > y;
    if (sign == ">=") return x >= y;
    if (sign == "+" && !__builtin_add_overflow(x, y, &result)) return result;
    if (sign == "-" && !__builtin_sub_overflow(x, y, &result)) return result;
    if (sign == "*" && !__builtin_mul_overflow(x, y, &result)) return result;
    if ((sign == "//" || sign == "%") && y > 0) {  // of Python: rounded down
      const int64_t rest = (x % y + y) % y;
      return sign == "%" ? rest : (x - rest) / y;
    }
    Unsupported("arithmetic", Text(a) + " " + sign + " " + Text(b));
  }

  Json Call(const Expression& node) {
    const Expression& callee = *node.children[0];
    const std::vector<Json> values = Arguments(node);
    if (callee.kind == Kind::kAttribute) return Method(callee.name, Value(*callee.children[0]), values);
    if (callee.kind != Kind::kName) Unsupported("a call", "");
    if (callee.name == "raise_exception") {
      Fail("the chat template refuses these messages", values.empty() ? "" : Text(values[0]));
    }
    if (callee.name == "namespace") {
      Json object = Json::object();
      for (size_t i = 0; i < node.names.size(); ++i)
        object[node.names[i]] = values[values.size() - node.names.size() + i];
      return object;
    }
    if (callee.name == "range" && !values.empty() && node.names.empty()) {
      const int64_t begin = values.size() > 1 ? Integer(values[0]) : 0;
      const int64_t end = Integer(values[values.size() > 1 ? 1 : 0]);
      if (values.size() > 2 || end - begin > 100000) Unsupported("a range", "");
      Json list = Json::array();
      for (int64_t i = begin; i < end; ++i) list.push_back(i);
      return list;
    }
    Unsupported("a function", callee.name);
  }

  Json Method(const std::string& name, const Json& value, const std::vector<Json>& values) {
    const auto text = [&](size_t i) {
      if (i >= values.size() || !values[i].is_string()) Fail("not a text", name);
      return values[i].get<std::string>();
    };
    if (value.is_string()) {
      const auto self = value.get<std::string>();
      if (name == "strip") return Strip(self, true, true, values.empty() ? "" : text(0));
      if (name == "lstrip") return Strip(self, true, false, values.empty() ? "" : text(0));
      if (name == "rstrip") return Strip(self, false, true, values.empty() ? "" : text(0));
      if (name == "startswith") return self.starts_with(text(0));
      if (name == "endswith") return self.ends_with(text(0));
      if (name == "replace" && values.size() == 2) return Replace(self, text(0), text(1));
      if (name == "split" && values.size() == 1 && !text(0).empty()) {
        Json parts = Json::array();
        const std::string by = text(0);
        size_t at = 0;
        for (size_t next; (next = self.find(by, at)) != std::string::npos; at = next + by.size())
          parts.push_back(self.substr(at, next - at));
        parts.push_back(self.substr(at));
        return parts;
      }
      if (name == "upper" || name == "lower" || name == "title") return Filter(name, value, values);
    } else if (value.is_object()) {
      if (name == "get" && !values.empty()) {
        const auto found = value.find(text(0));
        return found != value.end() ? *found : values.size() > 1 ? values[1] : Json(nullptr);
      }
      Json list = Json::array();
      for (const auto& [key, item] : value.items()) {
        if (name == "items") list.push_back({key, item});
        if (name == "keys") list.push_back(key);
        if (name == "values") list.push_back(item);
      }
      if (name == "items" || name == "keys" || name == "values") return list;
    }
    Unsupported("a method", name);
  }

  Json Filter(const std::string& name, const Json& value, const std::vector<Json>& values) {
    if (name == "default" || name == "d") {
      const bool also_false = values.size() > 1 && Truth(values[1]);
      const bool absent = value.is_discarded() || (also_false && !Truth(value));
      return absent ? (values.empty() ? Json("") : values[0]) : value;
    }
    if (name == "length" || name == "count") {
      if (value.is_string()) return Characters(value.get<std::string>()).size();
      if (value.is_array() || value.is_object()) return value.size();
      if (value.is_discarded()) return 0;
      Fail("not something with a length", value.type_name());
    }
    if (name == "trim" && values.empty()) return Strip(value.is_discarded() ? "" : Text(value), true, true);
    if (name == "string") return value.is_discarded() ? "" : Text(value);
    if ((name == "first" || name == "last") && value.is_array()) {
      return value.empty() ? kUndefined : name == "first" ? value.front() : value.back();
    }
    if (name == "list" && value.is_array()) return value;
    if (name == "join" && value.is_array()) {
      std::string joined;
      for (const Json& item : value) {
        if (&item != &value.front() && !values.empty()) joined += Text(values[0]);
        joined += Text(item);
      }
      return joined;
    }
    if (name == "replace" && value.is_string() && values.size() == 2)
      return Replace(value.get<std::string>(), Text(values[0]), Text(values[1]));
    if ((name == "upper" || name == "lower") && value.is_string()) {
      std::string text = value.get<std::string>();
      for (char& c : text) {
        if (static_cast<unsigned char>(c) >= 0x80)
          Unsupported("upper or lower case of a letter beyond ASCII", text);
        if (name == "upper" && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
        if (name == "lower" && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      }
      return text;
    }
    Unsupported("a filter", name);
  }

  Json Test(const std::string& name, const Json& value, const std::vector<Json>& values) const {
    if (name == "defined") return !value.is_discarded();
    if (name == "undefined") return value.is_discarded();
    if (name == "none") return value.is_null();
    if (name == "string") return value.is_string();
    if (name == "mapping") return value.is_object();
    if (name == "boolean") return value.is_boolean();
    if (name == "number") return value.is_number();
    if (name == "integer") return value.is_number_integer();
    if (name == "true") return value.is_boolean() && value.get<bool>();
    if (name == "false") return value.is_boolean() && !value.get<bool>();
    if (name == "iterable" || name == "sequence")
      return value.is_string() || value.is_array() || value.is_object();
    if (name == "even") return Integer(value) % 2 == 0;
    if (name == "odd") return Integer(value) % 2 != 0;
    if ((name == "equalto" || name == "eq") && values.size() == 1) return Equal(value, values[0]);
    if (name == "divisibleby" && values.size() == 1 && Integer(values[0]) > 0)
      return Integer(value) % Integer(values[0]) == 0;
    Unsupported("a test", name);
  }

  std::string where_;
  std::vector<std::map<std::string, Json>> scopes_;
  std::string out_;
  int64_t steps_ = 0;
};

}  // namespace

struct JinjaTemplate::Program {
  std::vector<Statement> statements;
};

JinjaTemplate::JinjaTemplate(const std::string& text, const std::string& where)
    : program_(std::make_unique<Program>()), where_(where) {
  program_->statements = jinja::Parse(text, where);
}

JinjaTemplate::~JinjaTemplate() = default;

std::string JinjaTemplate::Render(const Json& variables) const {
  return Renderer(variables, where_).Run(program_->statements);
}

}  // namespace tnb
