// Recipes: the text form of a method (grammar in the README):
//   method = stage *( "+" stage ); stage = name [ ":" key=value *( "," key=value ) ] [ "@" selector ]
//   selector = item *( "/" item ); item = all | attn | mlp | q | k | v | o | gate | up | down | embed | head
//   |
//              blocks(a-b) | untouched | re(REGEX)
// Items of one kind widen a selector (q/k), blocks(..) narrows it (q/blocks(3-5): q of blocks 3 to 5).
// Stages that rewrite the model (fold-norms, rotate) stand first. One that changes the whole model (heal)
// stands where it works: "svd+heal+int8".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "methods/stage.h"

namespace tnb {

class Selector {
 public:
  // Error{kUsage} names the item that is not known.
  static Selector Parse(const std::string& text);
  bool Matches(const LinearSlot& slot) const;
  bool MentionsEmbedding() const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  struct Rules;
  std::shared_ptr<const Rules> rules_;
};

struct RecipeStage {
  const StageEntry* entry = nullptr;
  StageValues values{{}};
  Selector selector;
  std::string text;  // canonical: every parameter with its value, sorted; selector always present
  std::unique_ptr<Stage> stage;

  // The stage, if it is one of these kinds; else null.
  const RewritingStage* rewriting() const { return dynamic_cast<const RewritingStage*>(stage.get()); }
  // The stage, if it is one for the key-value cache; else null.
  const CacheStage* cache() const { return dynamic_cast<const CacheStage*>(stage.get()); }
  const WholeModelStage* whole_model() const { return dynamic_cast<const WholeModelStage*>(stage.get()); }
  // Whether the stage changes this linear by Stage::Apply.
  bool Applies(const LinearSlot& slot) const;
};

struct Recipe {
  std::vector<RecipeStage> stages;
  std::string text;  // canonical form of the whole; what is stored and hashed
};

// Recipes of the literature under a name of their own (methods/presets.json).
struct Preset {
  std::string name, recipe, about;
};
std::vector<Preset> Presets();

// Presets are expanded first. Unknown names, parameters and values out of range are
// Error{kUsage} with the nearest legal ones.
Recipe ParseRecipe(const std::string& text);
// The shortest text of the same method: parameters and selectors that have their default are dropped,
// "mpo+int8". A text that is no method of this program is given back as it is.
std::string ShortRecipe(const std::string& canonical);
// Splits "a,b:x=1,y=2,c" into methods: a comma followed by NAME= continues the stage before it.
std::vector<std::string> SplitMethodList(const std::string& text);

// The parts of `text` between separators that are not inside parentheses; at least one.
std::vector<std::string> SplitOutsideParentheses(const std::string& text, char separator);

// The checkpoint that the recipe's other stages see: rewritten by its RewritingStages, in order.
std::shared_ptr<const Checkpoint> Rewrite(const Recipe& recipe, std::shared_ptr<const Checkpoint> source);
// The text of these stages, "fold-norms@all+rotate:seed=0@all"; empty when there are none.
std::string RewritingText(const Recipe& recipe);

// The format of the key-value cache that the recipe asks for, after PrepareRecipe; null: fp32.
CacheCodecPtr CacheOf(const Recipe& recipe, const ModelConfig& config);
// The stages [begin, end) of a recipe.
struct StageRange {
  size_t begin = 0, end = SIZE_MAX;
};
// From `begin` on: the stages up to the next one that changes the whole model.
StageRange LinearStages(const Recipe& recipe, size_t begin);

// The recipe that does to the uncompressed model what this one does to the compressed model as a whole: what
// training alone brings. Empty when nothing here trains, or when nothing is compressed.
std::string ControlRecipe(const Recipe& recipe);

// What one stage did to one linear.
struct LayerOutcome {
  size_t stage = 0;  // index into Recipe::stages
  std::string name;
  std::string format;  // Linear::Describe()
  int64_t rows = 0, cols = 0;
  WeightSize size;
  double relative_error = 0;     // |W - W'|_F / |W|_F against W before the first stage of the range
  double mean_square_error = 0;  // of an element of W
  double seconds = 0;
  LinearReport report;
};

// Calls `visit` with every linear of the base model for whose place `wanted` holds, in order.
using VisitLinears = std::function<void(const std::function<bool(const LinearSlot& place)>& wanted,
                                        const std::function<void(LinearSlot& slot)>& visit)>;
// Stage::Prepare of every stage of the range, in order, each with the linears as those before leave them.
// `statistics` may be null.
void PrepareRecipe(Recipe& recipe, StatisticsService* statistics, const VisitLinears& visit_linears,
                   const std::function<void(const std::string& title, int64_t done)>& progress = {},
                   StageRange range = {});

// The gain of a norm as the stages leave it.
void ApplyRecipeToNorm(const Recipe& recipe, const std::string& name, at::Tensor& gain,
                       StageRange range = {});

// Names of the files that stages read, each once: calibration texts (`data`) and layer profiles (`profile`).
std::vector<std::string> DataNames(const Recipe& recipe);

// What stage number `stage`, by itself, made of a linear that was this matrix before: sizes and errors.
LayerOutcome OutcomeOf(const Recipe& recipe, size_t stage, const LinearSlot& slot, const at::Tensor& before);

// Applies every stage of the range that matches, in order, to one slot.
std::vector<LayerOutcome> ApplyRecipe(const Recipe& recipe, LinearSlot& slot, StageRange range = {});

}  // namespace tnb
