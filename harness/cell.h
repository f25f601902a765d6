// What is asked: RunRequest is a command line as data; ExpandCells checks all of it (models, methods, tasks,
// data) before anything is measured and makes the list of cells, model by model with the base method first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/chat_template.h"
#include "models/config.h"
#include "models/known.h"
#include "models/tokenizer.h"
#include "records/rows.h"
#include "tasks/family.h"
#include "tasks/task.h"

namespace tnb {

struct RunRequest {
  std::string methods = "mpo+int8";  // as SplitMethodList takes them
  std::vector<std::string> models = {kDefaultModel};
  std::vector<std::string> tasks;   // and groups; empty: those of the models (models/known.h)
  std::vector<std::string> phases;  // empty: all
  std::filesystem::path data_dir;
  std::optional<int64_t> limit, num_fewshot, seed;
  std::string fewshot_compat = "lm-eval";  // see FewshotRule::compat
  // Prompts of chat models, as lm-evaluation-harness' options of these names.
  bool apply_chat_template = false, fewshot_as_multiturn = false;
  std::string system_instruction;
  int threads = 0;  // 0: one a logical core
  std::string device = "cpu";
  int repetitions = 5;        // of each timing
  std::string base = "fp32";  // run first when not listed; empty: no base
  bool control = false;       // beside every healed method what the healing does to the uncompressed model
  bool random_weights = false;
  bool force = false;
  std::optional<int64_t> max_length;  // see ScoringContext
  std::filesystem::path artefacts;    // empty: CacheFolder()/artefacts
  int64_t drift_tokens = 1024;
  std::filesystem::path drift_text;  // empty: see LoadDriftText
  double timeout = 0;                // seconds a phase; 0: no limit
  std::string command;               // the command line, for the record
};

// A model as it will be measured. With random weights only its shape is used.
struct Subject {
  std::string name, path;
  std::string hash;  // Checkpoint::ContentHash, or that of the shape and the seed
  ModelConfig config;
  int64_t file_bytes = 0;
  bool random = false;
  std::shared_ptr<const Tokenizer> tokenizer;  // null: none, then there is no accuracy
  std::shared_ptr<const ChatTemplate> chat;    // null unless asked for
};

struct PlannedCell {
  std::shared_ptr<const Subject> subject;
  std::string method;  // canonical
  std::string label;   // as the user wrote it
};

struct Plan {
  RunRequest request;      // with defaults filled in
  std::string base;        // canonical; empty: none
  std::string drift_text;  // hash of its text; empty when drift is not asked for
  std::vector<PlannedCell> cells;
  std::vector<std::shared_ptr<const Task>> tasks;  // empty when quality is not asked for
  std::vector<std::string> task_names;             // of `tasks`, as LoadTaskSpec takes them
  std::vector<TaskGroup> groups;                   // whose metrics are made out of those of `tasks`
  ArtefactRow base_artefact{};  // of the base where it is none of the cells; without hash: there is none
};

// Error{kUsage} for unknown names, Error{kIo, kData} for files, Error{kUnsupported} for a device that is not
// there.
Plan ExpandCells(RunRequest request);

// Longest input of the quality phase in tokens: what the model was made for, as in lm-evaluation-harness, or
// `max_length` where that is less. Longer contexts lose their beginning.
int64_t ScoringContext(const ModelConfig& config, std::optional<int64_t> max_length);

}  // namespace tnb
