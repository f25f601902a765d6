// A recipe of tnbench train: a model, a tokenizer and a text made into a trained model, as JSON.
//
//   {"name": "picogpt-mpo16", "about": "...",
//    "model": {"hidden_size": 128, "intermediate_size": 480, "block_count": 4, "head_count": 4,
//              "kv_head_count": 4, "head_size": 32, "context_length": 256, "tied_head": true},
//    "form": "mpo:chi=16@attn/mlp",               what linears are made into before training; absent: dense
//    "tokenizer": {"vocabulary": 0, "special": []},                     see models/tokenizers/bpe_training.h
//    "data": {"files": ["input.txt"],             and documents of the small world (datasets/world):
//             "world": {"documents": 350000, "seed": 1},
//             "held_out": 0.1,                    of every file the last tenth of its documents, or of its
//                                                 one text, is not trained on
//             "prompt_weight": 0.15},             of what precedes an answer in the loss
//    "training": {"tokens": 5000000, "length": 256, "batch": 16, "accumulate": 1, "learning_rate": 3e-3,
//                 "warmup": 100, "last_rate": 0.1, "weight_decay": 0.05, "beta2": 0.98, "clip": 1,
//                 "precision": "bf16", "seed": 1}}
//
// Every field has the default of the structs below; unknown fields are errors.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/config.h"
#include "models/tokenizers/bpe_training.h"
#include "models/training/trainer.h"

namespace tnb {

struct TrainingRecipe {
  std::string name, about;
  ModelConfig model;  // without the size of the vocabulary
  std::string form;   // a method, empty: dense
  BpeTrainingOptions tokenizer;
  std::vector<std::string> files;
  int64_t world_documents = 0, world_seed = 1;
  double held_out = 0.1, prompt_weight = 0;
  int64_t tokens = 0, length = 256, batch = 8, accumulate = 1, seed = 1;
  TrainerOptions training;  // steps follow from tokens
};

// Error{kData} names the file and the field, Error{kUsage} a form that is none.
TrainingRecipe ReadTrainingRecipe(const std::filesystem::path& path);

}  // namespace tnb
