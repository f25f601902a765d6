#include <charconv>
#include <map>
#include <regex>
#include <set>

#include "methods/recipe.h"

namespace tnb {

struct Selector::Rules {
  bool all = false;
  std::set<LinearKind> kinds;
  bool untouched = false;
  std::vector<std::pair<int64_t, int64_t>> blocks;
  std::vector<std::regex> patterns;
};

namespace {

const std::map<std::string, std::set<LinearKind>>& KindNames() {
  using K = LinearKind;
  static const std::map<std::string, std::set<LinearKind>> names = {{"attn", {K::kQ, K::kK, K::kV, K::kO}},
                                                                    {"mlp", {K::kGate, K::kUp, K::kDown}},
                                                                    {"q", {K::kQ}},
                                                                    {"k", {K::kK}},
                                                                    {"v", {K::kV}},
                                                                    {"o", {K::kO}},
                                                                    {"gate", {K::kGate}},
                                                                    {"up", {K::kUp}},
                                                                    {"down", {K::kDown}},
                                                                    {"embed", {K::kEmbedding}},
                                                                    {"head", {K::kHead}}};
  return names;
}

[[noreturn]] void Unknown(const std::string& item) {
  throw Error(ErrorKind::kUsage,
              {"unknown selector item '" + item + "'",
               "all attn mlp q k v o gate up down embed head blocks(a-b) untouched re(REGEX), joined by '/'",
               "", "", ""});
}

int64_t Number(const std::string& text, const std::string& item) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) Unknown(item);
  return value;
}

}  // namespace

Selector Selector::Parse(const std::string& text) {
  auto rules = std::make_shared<Rules>();
  for (const std::string& item : SplitOutsideParentheses(text, '/')) {
    const bool call = item.size() > 3 && item.back() == ')';
    if (item == "all") {
      rules->all = true;
    } else if (item == "untouched") {
      rules->untouched = true;
    } else if (const auto kind = KindNames().find(item); kind != KindNames().end()) {
      rules->kinds.insert(kind->second.begin(), kind->second.end());
    } else if (call && item.rfind("blocks(", 0) == 0) {
      const std::string range = item.substr(7, item.size() - 8);
      const size_t dash = range.find('-');
      const int64_t first = Number(range.substr(0, dash), item);
      const int64_t last = dash == std::string::npos ? first : Number(range.substr(dash + 1), item);
      if (last < first) Unknown(item);
      rules->blocks.emplace_back(first, last);
    } else if (call && item.rfind("re(", 0) == 0) {
      try {
        rules->patterns.emplace_back(item.substr(3, item.size() - 4));
      } catch (const std::regex_error& error) {
        throw Error(ErrorKind::kUsage,
                    {"not a regular expression", "", error.what(), item, "ECMAScript syntax"});
      }
    } else {
      Unknown(item);
    }
  }
  Selector selector;
  selector.text_ = text;
  selector.rules_ = std::move(rules);
  return selector;
}

bool Selector::Matches(const LinearSlot& slot) const {
  const Rules& rules = *rules_;
  if (rules.untouched && slot.touched) return false;
  if (!rules.blocks.empty()) {
    bool inside = false;
    for (const auto& [first, last] : rules.blocks)
      inside = inside || (slot.block >= first && slot.block <= last);
    if (!inside) return false;
  }
  if (rules.all || rules.kinds.count(slot.kind) > 0) return true;
  for (const std::regex& pattern : rules.patterns) {
    if (std::regex_search(slot.name, pattern)) return true;
  }
  // blocks(..) or untouched alone narrow everything.
  return rules.kinds.empty() && rules.patterns.empty() && (rules.untouched || !rules.blocks.empty());
}

bool Selector::MentionsEmbedding() const { return rules_->kinds.count(LinearKind::kEmbedding) > 0; }

}  // namespace tnb
