// Trains a model from the beginning by a recipe and writes it as a Hugging Face folder.
#pragma once

#include <filesystem>
#include <functional>

#include "harness/training_recipe.h"
#include "models/engine/model.h"
#include "models/training/train.h"

namespace tnb {

// Weights before training, by seed and place: linears normal with variance 1 / columns, those that write into
// the residual stream divided by sqrt(2 blocks) (GPT-2), the embedding with variance 1 / (4 hidden size);
// norms 1. With a form, every linear that it changes keeps the size (Frobenius norm) of its dense matrix.
Model FreshModel(const TrainingRecipe& recipe, int64_t vocabulary);

struct TrainedModel {
  Json summary;  // parameters, tokens, seconds, losses and token accuracy on what was held out, hashes
  std::vector<CurvePoint> curve;
};

// Files are looked for in `data_dir`, beside the recipe and in the folder of fetched data. Writes into
// `directory` config.json, model.safetensors (`dtype`, factorized linears rebuilt), tokenizer.json,
// tokenizer_config.json, training.json (recipe, summary, curve) and, with a form, form.safetensors (the
// artefact). An unfinished training is kept there too and goes on when it is started again.
TrainedModel TrainModel(const TrainingRecipe& recipe, const std::filesystem::path& beside,
                        const std::filesystem::path& data_dir, const std::filesystem::path& directory,
                        const std::string& dtype,
                        const std::function<void(const CurvePoint& point, int64_t steps)>& progress);

}  // namespace tnb
