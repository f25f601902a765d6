#include "methods/recipe.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "methods/presets_json.h"
#include "models/formats/nearest.h"

namespace tnb {
namespace {

bool IsName(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (std::isalnum(static_cast<unsigned char>(c)) != 0) || c == '-' || c == '_' || c == '.';
  });
}

[[noreturn]] void BadValue(const ParameterDescription& parameter, const std::string& stage,
                           const std::string& value) {
  std::string expected;
  if (parameter.type == ParameterDescription::Type::kChoice) {
    for (const std::string& choice : parameter.choices) expected += (expected.empty() ? "" : ", ") + choice;
  } else {
    const auto number = [](double x) {
      char text[32];
      std::snprintf(text, sizeof text, "%g", x);
      return std::string(text);
    };
    expected =
        (parameter.type == ParameterDescription::Type::kInteger ? "a whole number from " : "a number from ") +
        number(parameter.least) + " to " + number(parameter.most);
  }
  throw Error(ErrorKind::kUsage, {"parameter '" + parameter.name + "' of " + stage + " is out of range",
                                  expected, value, "", parameter.help});
}

// Checks a value and gives its canonical text (numbers without superfluous digits).
std::string Canonical(const ParameterDescription& parameter, const std::string& stage,
                      const std::string& value) {
  using Type = ParameterDescription::Type;
  if (parameter.type == Type::kText) {
    if (value.empty()) BadValue(parameter, stage, value);
    return value;
  }
  if (parameter.type == Type::kChoice) {
    if (std::find(parameter.choices.begin(), parameter.choices.end(), value) == parameter.choices.end()) {
      BadValue(parameter, stage, value);
    }
    return value;
  }
  double number = 0;
  const char* const last = value.data() + value.size();
  auto [end, error] = std::from_chars(value.data(), last, number);
  if (error == std::errc() && parameter.type == Type::kInteger && end + 1 == last) {  // 57k, 2M
    const double factor = *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 0;
    if (factor > 0) {
      number = std::round(number * factor);
      ++end;
    }
  }
  if (error != std::errc() || end != last || !std::isfinite(number) || number < parameter.least ||
      number > parameter.most || (parameter.type == Type::kInteger && number != std::floor(number))) {
    BadValue(parameter, stage, value);
  }
  if (parameter.type == Type::kInteger) return std::to_string(static_cast<int64_t>(number));
  char text[64];
  const auto written = std::to_chars(text, text + sizeof text, number);
  return std::string(text, written.ptr);
}

using Given = std::vector<std::pair<std::string, std::string>>;

bool Has(const Given& given, const std::string& name) {
  return std::any_of(given.begin(), given.end(), [&](const auto& pair) { return pair.first == name; });
}

// Does the condition of a parameter hold among the values given?
bool Applies(const ParameterDescription& parameter, const Given& given) {
  if (parameter.when.empty()) return true;
  const size_t equals = parameter.when.find('=');
  const bool other = equals > 0 && parameter.when[equals - 1] == '!';
  const std::string name = parameter.when.substr(0, equals - (other ? 1 : 0));
  const std::vector<std::string> values = SplitOutsideParentheses(parameter.when.substr(equals + 1), '|');
  return std::any_of(given.begin(), given.end(), [&](const auto& pair) {
    return pair.first == name &&
           (std::find(values.begin(), values.end(), pair.second) == values.end()) == other;
  });
}

// The values as written, checked one by one.
Given ReadValues(const StageDescription& description, const std::string& text) {
  Given given;
  const std::string& name = description.name;
  for (const std::string& part : SplitOutsideParentheses(text, ',')) {
    const size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    const auto parameter = std::find_if(description.parameters.begin(), description.parameters.end(),
                                        [&](const ParameterDescription& p) { return p.name == key; });
    if (equals == std::string::npos || parameter == description.parameters.end()) {
      std::vector<std::string> names;
      for (const ParameterDescription& p : description.parameters) names.push_back(p.name);
      std::string nearest;
      for (const std::string& known : NearestNames(key, names, names.size()))
        nearest += (nearest.empty() ? "" : ", ") + known;
      throw Error(ErrorKind::kUsage,
                  {"unknown parameter '" + key + "' of " + name,
                   "key=value with one of: " + (nearest.empty() ? "(none)" : nearest), "'" + part + "'", "",
                   "`tnbench list methods` shows ranges and defaults"});
    }
    if (Has(given, key)) {
      throw Error(ErrorKind::kUsage,
                  {"parameter '" + key + "' of " + name + " is given twice", "", "", "", ""});
    }
    given.emplace_back(key, Canonical(*parameter, name, part.substr(equals + 1)));
  }
  return given;
}

// Parameters of this set of alternatives that are given, joined by " and ".
std::string Alternatives(const StageDescription& description, const Given& given, const std::string& set) {
  std::string names;
  for (const ParameterDescription& parameter : description.parameters) {
    if (parameter.alternatives == set && Has(given, parameter.name))
      names += (names.empty() ? "" : " and ") + parameter.name;
  }
  return names;
}

// Defaults, refusal of what has no meaning beside the other values, and the shortest form.
void FillDefaults(const StageDescription& description, Given& given) {
  for (const ParameterDescription& parameter : description.parameters) {
    if (Has(given, parameter.name) || parameter.fallback.empty() || !Applies(parameter, given)) continue;
    if (!parameter.alternatives.empty() && !Alternatives(description, given, parameter.alternatives).empty())
      continue;
    given.emplace_back(parameter.name, parameter.fallback);
  }
  Given shortest;
  for (const auto& pair : given) {
    std::string condition;
    bool applies = false, omitted = false;
    for (const ParameterDescription& parameter : description.parameters) {
      if (parameter.name != pair.first) continue;
      condition = parameter.when;
      if (!Applies(parameter, given)) continue;
      applies = true;
      omitted = omitted || (!parameter.omitted.empty() && parameter.omitted == pair.second);
    }
    if (!applies) {
      throw Error(ErrorKind::kUsage,
                  {"parameter '" + pair.first + "' of " + description.name + " has no meaning here",
                   "it goes with " + condition, pair.first + "=" + pair.second, "", ""});
    }
    if (!omitted) shortest.push_back(pair);
  }
  given = std::move(shortest);
}

RecipeStage ParseStage(const std::string& text) {
  const std::vector<std::string> at = SplitOutsideParentheses(text, '@');
  if (at.size() > 2)
    throw Error(ErrorKind::kUsage,
                {"a stage has one selector", "NAME[:key=value,...][@selector]", text, "", ""});
  const size_t colon = at[0].find(':');
  const std::string name = at[0].substr(0, colon);
  if (!IsName(name)) {
    throw Error(ErrorKind::kUsage, {"not a method", "NAME[:key=value,...][@selector], joined by '+'",
                                    "'" + text + "'", "", "for example mpo:keep=0.6+int8"});
  }
  RecipeStage stage;
  stage.entry = &FindStage(name);
  const StageDescription& description = stage.entry->description;
  Given given;
  if (colon != std::string::npos) given = ReadValues(description, at[0].substr(colon + 1));
  FillDefaults(description, given);
  for (const ParameterDescription& parameter : description.parameters) {
    if (parameter.alternatives.empty()) continue;
    const std::string names = Alternatives(description, given, parameter.alternatives);
    if (names.find(" and ") != std::string::npos) {
      throw Error(ErrorKind::kUsage,
                  {name + " is told twice " + parameter.alternatives, "one of them", names, text, ""});
    }
  }
  std::sort(given.begin(), given.end());
  stage.selector = Selector::Parse(at.size() == 2 ? at[1] : description.selector);
  if (stage.selector.MentionsEmbedding() && !description.takes_embedding) {
    throw Error(ErrorKind::kUsage, {name + " cannot be applied to the embedding matrix", "",
                                    stage.selector.text(), "", "leave embed out of the selector"});
  }
  stage.text = name;
  for (size_t i = 0; i < given.size(); ++i)
    stage.text += (i == 0 ? ":" : ",") + given[i].first + "=" + given[i].second;
  stage.text += "@" + stage.selector.text();
  stage.values = StageValues(given);
  stage.stage = stage.entry->make(stage.values);
  return stage;
}

}  // namespace

std::vector<std::string> SplitOutsideParentheses(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  int depth = 0;
  for (const char c : text) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == separator && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool StageValues::Has(const std::string& name) const {
  return std::any_of(values_.begin(), values_.end(), [&](const auto& pair) { return pair.first == name; });
}

const std::string& StageValues::Text(const std::string& name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return value;
  }
  throw Error(ErrorKind::kInternal, "a stage asks for parameter '" + name + "', which it does not describe");
}

int64_t StageValues::Integer(const std::string& name) const { return std::stoll(Text(name)); }
double StageValues::Real(const std::string& name) const { return std::stod(Text(name)); }

std::vector<Preset> Presets() {
  const char* const where = "methods/presets.json";
  std::vector<Preset> presets;
  const Json file = ParseJson(kPresetsJson, where);
  for (const auto& [name, preset] : file.items()) {
    presets.push_back(
        {name, Require<std::string>(preset, "recipe", where), Require<std::string>(preset, "about", where)});
  }
  return presets;
}

Recipe ParseRecipe(const std::string& text) {
  std::string expanded = text;
  for (const Preset& preset : Presets()) {
    if (preset.name == text) expanded = preset.recipe;
  }
  Recipe recipe;
  std::string compressed;  // a stage before that is not a rewriting one
  for (const std::string& part : SplitOutsideParentheses(expanded, '+')) {
    recipe.stages.push_back(ParseStage(part));
    const RecipeStage& stage = recipe.stages.back();
    const std::string& name = stage.entry->description.name;
    if (stage.cache() != nullptr) {
      const auto others = std::count_if(recipe.stages.begin(), recipe.stages.end(),
                                        [](const RecipeStage& s) { return s.cache() != nullptr; });
      if (others > 1 || stage.selector.text() != "all") {
        throw Error(ErrorKind::kUsage, {name + " is for the whole key-value cache",
                                        "one such stage, without a selector", expanded, "", ""});
      }
    } else if (stage.rewriting() == nullptr) {
      compressed = name;
    } else if (!compressed.empty()) {
      throw Error(ErrorKind::kUsage, {name + " rewrites the whole model, so it comes first",
                                      name + "+" + compressed, expanded, "", ""});
    } else if (stage.selector.text() != "all") {
      throw Error(ErrorKind::kUsage,
                  {name + " rewrites the whole model", "no selector", "@" + stage.selector.text(), "", ""});
    }
    recipe.text += (recipe.text.empty() ? "" : "+") + recipe.stages.back().text;
  }
  return recipe;
}

std::vector<std::string> SplitMethodList(const std::string& text) {
  std::vector<std::string> methods;
  for (const std::string& part : SplitOutsideParentheses(text, ',')) {
    const size_t equals = part.find('=');
    const bool continues =
        !methods.empty() && equals != std::string::npos && part.find_first_of(":+@") > equals;
    if (continues) {
      methods.back() += "," + part;
    } else {
      methods.push_back(part);
    }
  }
  return methods;
}

std::string ShortRecipe(const std::string& canonical) {
  // Whatever can be left out without changing the canonical text is a default.
  const auto means_the_same = [](const std::string& text, const std::string& stage) {
    try {
      return ParseRecipe(text).text == stage;
    } catch (const Error&) {
      return false;
    }
  };
  std::string text;
  for (const std::string& stage : SplitOutsideParentheses(canonical, '+')) {
    if (!means_the_same(stage, stage)) return canonical;
    std::string shorter = stage;
    if (const size_t at = shorter.rfind('@');
        at != std::string::npos && means_the_same(shorter.substr(0, at), stage)) {
      shorter.resize(at);
    }
    const std::string rest = shorter.find('@') == std::string::npos ? "" : shorter.substr(shorter.find('@'));
    const size_t colon = shorter.find(':');
    if (colon != std::string::npos && colon < shorter.size() - rest.size()) {
      std::vector<std::string> parameters =
          SplitOutsideParentheses(shorter.substr(colon + 1, shorter.size() - rest.size() - colon - 1), ',');
      const auto joined = [&](size_t without) {
        std::string list;
        for (size_t i = 0; i < parameters.size(); ++i) {
          if (i != without) list += (list.empty() ? ":" : ",") + parameters[i];
        }
        return shorter.substr(0, colon) + list + rest;
      };
      for (size_t i = parameters.size(); i-- > 0;) {
        if (means_the_same(joined(i), stage))
          parameters.erase(parameters.begin() + static_cast<std::ptrdiff_t>(i));
      }
      shorter = joined(parameters.size());
    }
    text += (text.empty() ? "" : "+") + shorter;
  }
  return means_the_same(text, canonical) ? text : canonical;
}

}  // namespace tnb
