#include "harness/profile_plan.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/error.h"
#include "harness/command.h"
#include "methods/allocate/allocation.h"
#include "methods/recipe.h"
#include "models/engine/model.h"

namespace tnb {
namespace {

// What the first stage that changes linears would be applied to.
Selector SelectorOf(const std::string& method, const PlaceRequest& request) {
  if (!request.layers.empty()) return Selector::Parse(request.layers);
  Recipe recipe = ParseRecipe(method);
  for (const RecipeStage& stage : recipe.stages) {
    if (stage.rewriting() == nullptr) return stage.selector;
  }
  throw Error(ErrorKind::kUsage, method + " compresses nothing", "a factorization or a quantizer");
}

std::set<int64_t> Blocks(const ModelConfig& config, const PlaceRequest& request) {
  std::set<int64_t> blocks;
  const int64_t count = config.block_count;
  const std::string text = !request.blocks.empty() ? request.blocks : request.by == "kind" ? "all" : "auto";
  if (text == "auto") return {0, count / 6, count / 2, count - 1};
  if (text == "all") {
    for (int64_t block = 0; block < count; ++block) blocks.insert(block);
    return blocks;
  }
  for (const std::string& part : SplitList(text, "--blocks")) {
    int64_t block = -1;
    if (!ParseInteger(part, block) || block < 0 || block >= count) {
      throw Error(ErrorKind::kUsage,
                  {"no such block", std::string("0 to ") + std::to_string(count - 1) + ", auto or all",
                   "'" + part + "'", "--blocks", ""});
    }
    blocks.insert(block);
  }
  return blocks;
}

std::string Joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : "/") + item;
  return text;
}

// Of a kind, the values over blocks at which some are known, interpolated linearly; constant beyond the ends.
std::optional<double> Interpolated(const std::map<int64_t, double>& known, int64_t block) {
  if (known.empty()) return std::nullopt;
  const auto after = known.lower_bound(block);
  if (after == known.end()) return known.rbegin()->second;
  if (after->first == block || after == known.begin()) return after->second;
  const auto before = std::prev(after);
  const double share =
      static_cast<double>(block - before->first) / static_cast<double>(after->first - before->first);
  return before->second + share * (after->second - before->second);
}

}  // namespace

std::vector<SelectedLinear> SelectLinears(const ModelConfig& config, const std::string& method,
                                          const PlaceRequest& request) {
  const Selector selector = SelectorOf(method, request);
  std::vector<SelectedLinear> places;
  BuildModel(
      config, [](const std::string&, int64_t) { return at::Tensor(); },
      [&](const LinearSlot& slot, int64_t rows, int64_t cols) {
        if (selector.Matches(slot))
          places.push_back({slot.name, ToString(slot.kind), slot.block, rows * cols});
        return std::unique_ptr<Linear>();
      });
  if (places.empty()) {
    throw Error(ErrorKind::kUsage, {"nothing is selected", "", selector.text(), "--layers", ""});
  }
  return places;
}

std::vector<ProfilePlace> PlanPlaces(const ModelConfig& config, const std::string& method,
                                     const PlaceRequest& request) {
  const std::set<int64_t> blocks = Blocks(config, request);
  std::vector<SelectedLinear> selected = SelectLinears(config, method, request);
  std::erase_if(selected, [&](const SelectedLinear& place) {
    return place.block >= 0 && blocks.count(place.block) == 0;
  });
  std::string range;
  if (static_cast<int64_t>(blocks.size()) < config.block_count) {
    for (const int64_t block : blocks) range += std::string("/blocks(") + std::to_string(block) + ")";
  }
  std::vector<ProfilePlace> places;
  const auto add = [&](ProfilePlace place, const std::string& linear) {
    const auto found = std::find_if(places.begin(), places.end(),
                                    [&](const ProfilePlace& known) { return known.name == place.name; });
    if (found == places.end()) {
      place.linears = {linear};
      places.push_back(std::move(place));
    } else {
      found->linears.push_back(linear);
    }
  };
  for (const SelectedLinear& place : selected) {
    const std::string block = std::string("/blocks(") + std::to_string(place.block) + ")";
    if (request.by == "kind") {
      add({place.kind, place.kind + (place.block < 0 ? "" : range), -1, place.kind, {}}, place.name);
    } else if (request.by == "layer" || place.block < 0) {
      add({place.name, place.kind + (place.block < 0 ? "" : block), place.block, place.kind, {}}, place.name);
    } else {
      std::vector<std::string> kinds;
      for (const SelectedLinear& other : selected) {
        if (other.block == place.block) kinds.push_back(other.kind);
      }
      add({std::string("blocks.") + std::to_string(place.block), Joined(kinds) + block, place.block, "", {}},
          place.name);
    }
  }
  if (places.empty()) throw Error(ErrorKind::kUsage, "nothing is selected", "other --layers or --blocks");
  return places;
}

std::string MethodAt(const std::string& method, const std::string& selector) {
  std::string text;
  for (const std::string& stage : SplitOutsideParentheses(method, '+')) {
    if (SplitOutsideParentheses(stage, '@').size() > 1) {
      throw Error(ErrorKind::kUsage, {"a profile gives every stage its selector", "a method without '@'",
                                      method, "--method", "--layers selects what is profiled"});
    }
    const Recipe recipe = ParseRecipe(stage);
    const bool one = recipe.stages.size() == 1;
    if (!one) {
      throw Error(ErrorKind::kUsage, {"a profile takes stages, no presets",
                                      "the preset's recipe, written out", stage, "--method", recipe.text});
    }
    text += (text.empty() ? "" : "+") + stage;
    if (recipe.stages[0].rewriting() == nullptr) text += "@" + selector;
  }
  return text;
}

std::map<std::string, double> KeepOfProfile(const LayerProfile& profile,
                                            const std::vector<SelectedLinear>& linears, double budget) {
  // [method][kind][block]: loss and size relative to the dense linear's parameters. Kind "" stands for every
  // kind, block -1 for every block.
  std::map<std::string, std::map<std::string, std::map<int64_t, double>>> losses, kept;
  for (const ProfilePoint& point : profile.points) {
    if (!point.loss || !std::isfinite(*point.loss) || point.dense_parameters == 0) continue;
    const auto dense = static_cast<double>(point.dense_parameters);
    losses[point.method][point.kind][point.block] = std::max(0.0, *point.loss) / dense;
    kept[point.method][point.kind][point.block] = static_cast<double>(point.parameters) / dense;
  }
  std::vector<RateCurve> curves;
  int64_t total = 0;
  for (const SelectedLinear& linear : linears) {
    std::map<int64_t, double> points;  // parameters -> loss
    for (const auto& [method, kinds] : losses) {
      auto kind = kinds.find(linear.kind);
      if (kind == kinds.end()) kind = kinds.find("");
      if (kind == kinds.end()) continue;
      const auto size = Interpolated(kept[method][kind->first], linear.block);
      const auto loss = Interpolated(kind->second, linear.block);
      const auto scalars = static_cast<int64_t>(std::llround(*size * static_cast<double>(linear.parameters)));
      if (scalars >= linear.parameters || scalars < 1) continue;
      points[scalars] = *loss * static_cast<double>(linear.parameters);
    }
    RateCurve curve{.name = linear.name};
    for (const auto& [scalars, loss] : points) {
      curve.parameters.push_back(scalars);
      curve.loss.push_back(loss);
    }
    curve.parameters.push_back(linear.parameters);
    curve.loss.push_back(0);
    // More parameters are never worse; what noise says otherwise is raised to what more of them lose.
    for (size_t i = curve.loss.size() - 1; i-- > 0;)
      curve.loss[i] = std::max(curve.loss[i], curve.loss[i + 1]);
    curve.total = curve.loss.front();
    curves.push_back(std::move(curve));
    total += linear.parameters;
  }
  const bool any =
      std::any_of(curves.begin(), curves.end(), [](const auto& curve) { return curve.loss.size() > 1; });
  if (!any) {
    throw Error(ErrorKind::kUsage, "the profile has no sizes to choose from",
                "methods that leave fewer parameters (svd, mpo), at several amounts");
  }
  const auto chosen =
      Allocate(Allocation::kThreshold, curves, static_cast<int64_t>(budget * static_cast<double>(total)));
  std::map<std::string, double> keep;
  for (size_t i = 0; i < curves.size(); ++i) {
    keep[curves[i].name] = static_cast<double>(curves[i].parameters[chosen[i]]) /
                           static_cast<double>(curves[i].parameters.back());
  }
  return keep;
}

}  // namespace tnb
