// A Task is a task file together with its documents: it builds the prompts and the requests to a model.
//
//   Task task(LoadTaskSpec("arc_easy"), {.data_dir = "data", .limit = 100});
//   for (const Item& item : task.BuildItems(tokenizer, context_length)) ...
//
// Prompts, examples and tokens are those of lm-evaluation-harness 0.4 with its Hugging Face model: BOS where
// the tokenizer's own files add it, special tokens spelled in the text count as such, white space at the end
// of a context belongs to the continuation, contexts that are too long lose their beginning.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "datasets/reader.h"
#include "models/language_model.h"
#include "tasks/metrics.h"
#include "tasks/spec.h"

namespace tnb {

// Raised whenever the same task file may yield other numbers than before.
inline constexpr int kScoringVersion = 1;

struct TaskOptions {
  std::filesystem::path data_dir;          // where the files of task files are looked for first
  std::optional<int64_t> limit;            // evaluate only the first documents
  std::optional<int64_t> num_fewshot;      // instead of the task file's
  std::optional<int64_t> fewshot_seed;     // instead of the task file's
  std::string fewshot_compat = "lm-eval";  // see FewshotRule::compat
};

// One document as asked.
struct Item {
  size_t doc = 0;             // position among the evaluated documents
  std::string prompt;         // with several contexts: all of them, joined by '\n'
  std::string prompt_sha256;  // of `prompt`
  std::string target;         // right choice, continuation, first reference, or text of a rolling task

  // (contexts[i], continuations[i]) is what scores[i] scores; rolling and generating tasks have none.
  std::vector<std::string> contexts, continuations;
  std::vector<std::string> choices;     // bare texts; empty with several contexts
  size_t gold = 0;                      // with labels: the first right choice
  std::vector<bool> labels;             // which choices are right, when several may be
  std::vector<std::string> references;  // generating tasks
  int64_t words = 0, bytes = 0;         // rolling: of the original text

  std::vector<ScoreRequest> scores;  // one a choice; rolling: one a window
  std::optional<GenerateRequest> generation;
  int64_t truncated_tokens =
      0;  // context tokens left out because the context is too long (largest of the requests)
};

class Task {
 public:
  // Reads the data. Throws Error{kIo, kData, kUsage}.
  Task(TaskSpec spec, const TaskOptions& options);

  const TaskSpec& spec() const { return spec_; }
  size_t size() const { return count_; }               // documents that are evaluated
  const Dataset& dataset() const { return dataset_; }  // all documents
  size_t num_fewshot() const { return spec_.fewshot.count; }

  // All items, in order. Errors name the document. `context_length` is the longest input in tokens.
  std::vector<Item> BuildItems(const Tokenizer& tokenizer, int64_t context_length) const;
  // The same without requests.
  std::vector<Item> BuildPrompts() const;
  // What is wrong with single documents, evaluated ones and those that examples are drawn from.
  std::vector<Error> CheckDocuments() const;
  // Everything that can change the task's numbers; two runs may be compared when it is equal. Its hash is the
  // protocol's: Sha256Hex(ProtocolJson(...).dump()).
  Json ProtocolJson(const Tokenizer& tokenizer, int64_t context_length) const;

 private:
  Dataset Load(const std::vector<DataFile>& files, const std::string& format, const std::string& what) const;
  std::string Example(const Json& document, const std::string& where) const;
  Item BuildPrompt(size_t doc, const std::string& examples) const;

  TaskSpec spec_;
  TaskOptions options_;
  Dataset dataset_;
  std::optional<Dataset> pool_;  // examples; absent: not needed, or the dataset itself
  size_t count_ = 0;
};

}  // namespace tnb
