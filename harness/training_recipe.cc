#include "harness/training_recipe.h"

#include <algorithm>

#include "base/error.h"
#include "methods/recipe.h"
#include "models/formats/nearest.h"
#include "models/training/train.h"

namespace tnb {
namespace {

// One object of the file: fields are read by name, and those that nobody read are refused.
class Fields {
 public:
  Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) throw Error(ErrorKind::kData, {"not an object", "", "", where_, ""});
  }

  template <typename T>
  void Read(const char* name, T& value) {
    known_.emplace_back(name);
    value = Optional<T>(json_, name, value, where_);
  }
  void Read(const char* name, double& value, double least, double most) {
    Read(name, value);
    if (!(value >= least && value <= most)) Refuse(name, Json(least).dump() + " to " + Json(most).dump());
  }
  void Read(const char* name, int64_t& value, int64_t least) {
    Read(name, value);
    if (value < least) Refuse(name, std::to_string(least) + " or more");
  }
  Json Part(const char* name) {
    known_.emplace_back(name);
    return Optional<Json>(json_, name, Json::object(), where_);
  }
  [[noreturn]] void Refuse(const char* name, const std::string& expected) const {
    throw Error(ErrorKind::kData, {"field '" + std::string(name) + "' is out of range", expected,
                                   json_.value(name, Json()).dump(), where_, ""});
  }
  void Done() const {
    for (const auto& [name, unused] : json_.items()) {
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      std::string nearest;
      for (const std::string& known : NearestNames(name, known_, 3))
        nearest += (nearest.empty() ? "" : ", ") + known;
      throw Error(ErrorKind::kData, {"unknown field '" + name + "'", nearest, "", where_, ""});
    }
  }

 private:
  const Json& json_;
  std::string where_;
  std::vector<std::string> known_;
};

ModelConfig ReadModel(const Json& json, const std::string& where) {
  ModelConfig config;
  config.tied_head = true;
  Fields fields(json, where);
  fields.Read("hidden_size", config.hidden_size, 1);
  fields.Read("intermediate_size", config.intermediate_size, 1);
  fields.Read("block_count", config.block_count, 1);
  fields.Read("head_count", config.head_count, 1);
  config.kv_head_count = config.head_count;
  fields.Read("kv_head_count", config.kv_head_count, 1);
  config.head_size = config.hidden_size / std::max<int64_t>(1, config.head_count);
  fields.Read("head_size", config.head_size, 1);
  fields.Read("context_length", config.context_length, 2);
  fields.Read("norm_epsilon", config.norm_epsilon, 0, 1);
  fields.Read("tied_head", config.tied_head);
  fields.Read("rope_theta", config.rope.theta, 1, 1e12);
  fields.Done();
  return config;
}

void ReadTraining(const Json& json, const std::string& where, TrainingRecipe& recipe) {
  TrainerOptions& training = recipe.training;
  std::string precision = "bf16", activations = "keep";
  Fields fields(json, where);
  fields.Read("tokens", recipe.tokens, 1);
  fields.Read("length", recipe.length, 1);
  fields.Read("batch", recipe.batch, 1);
  fields.Read("accumulate", recipe.accumulate, 1);
  fields.Read("seed", recipe.seed, 0);
  fields.Read("learning_rate", training.learning_rate, 0, 10);
  fields.Read("warmup", training.warmup, 0);
  fields.Read("last_rate", training.last_rate, 0, 1);
  fields.Read("weight_decay", training.weight_decay, 0, 1);
  fields.Read("beta1", training.beta1, 0, 0.9999);
  fields.Read("beta2", training.beta2, 0, 0.99999);
  fields.Read("epsilon", training.epsilon, 1e-20, 1);
  fields.Read("clip", training.clip, 0, 1e9);
  fields.Read("precision", precision);
  fields.Read("activations", activations);
  if (precision != "bf16" && precision != "fp32") fields.Refuse("precision", "bf16 or fp32");
  if (activations != "keep" && activations != "recompute") fields.Refuse("activations", "keep or recompute");
  fields.Done();
  training.bf16 = precision == "bf16";
  training.recompute = activations == "recompute";
  training.steps = StepsFor(recipe.tokens, recipe.length * recipe.batch * recipe.accumulate);
}

}  // namespace

TrainingRecipe ReadTrainingRecipe(const std::filesystem::path& path) {
  const Json json = ReadJsonFile(path);
  const std::string where = path.string();
  TrainingRecipe recipe;
  recipe.name = path.stem().string();
  Fields fields(json, where);
  fields.Read("name", recipe.name);
  fields.Read("about", recipe.about);
  fields.Read("form", recipe.form);
  recipe.model = ReadModel(fields.Part("model"), where + ": model");
  const Json tokenizer = fields.Part("tokenizer"), data = fields.Part("data");
  Fields tokens(tokenizer, where + ": tokenizer");
  tokens.Read("vocabulary", recipe.tokenizer.vocabulary, 0);
  tokens.Read("special", recipe.tokenizer.special);
  tokens.Done();
  Fields texts(data, where + ": data");
  texts.Read("files", recipe.files);
  texts.Read("held_out", recipe.held_out, 0, 0.9);
  texts.Read("prompt_weight", recipe.prompt_weight, 0, 1);
  const Json world = texts.Part("world");
  texts.Done();
  Fields drawn(world, where + ": data: world");
  drawn.Read("documents", recipe.world_documents, 0);
  drawn.Read("seed", recipe.world_seed, 0);
  drawn.Done();
  if (recipe.files.empty() && recipe.world_documents == 0) texts.Refuse("files", "one text or more");
  ReadTraining(fields.Part("training"), where + ": training", recipe);
  fields.Done();
  if (recipe.length > recipe.model.context_length) {
    throw Error(ErrorKind::kData, {"sequences are longer than the model's context",
                                   std::to_string(recipe.model.context_length) + " tokens at most",
                                   std::to_string(recipe.length), where + ": training", ""});
  }
  if (!recipe.form.empty()) recipe.form = ParseRecipe(recipe.form).text;
  return recipe;
}

}  // namespace tnb
