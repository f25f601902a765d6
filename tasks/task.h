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
#include "models/chat_template.h"
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
  std::string system_instruction;          // before everything; with a chat template the system's turn
  bool fewshot_as_multiturn = false;       // with a chat template: every example is a turn of its own
};

// One document as asked.
struct Item {
  size_t doc = 0;             // position among the evaluated documents
  std::string prompt;         // with several contexts: all of them, joined by '\n'
  std::string prompt_sha256;  // of `prompt`
  std::string cluster;        // equal for documents that share a passage (TaskSpec::cluster); "": shares none
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
  // Documents that are evaluated. Perplexity over token windows has one, the joined text; how many items it
  // yields depends on the tokenizer (the limit counts these).
  size_t size() const { return count_; }
  // No more items than these: the documents; of token windows the limit, if there is one.
  int64_t most_items() const {
    return spec_.window ? options_.limit.value_or(INT64_MAX) : static_cast<int64_t>(count_);
  }
  const Dataset& dataset() const { return dataset_; }  // all documents
  size_t num_fewshot() const { return spec_.fewshot.count; }

  // "file:line" of an item's document.
  std::string Where(size_t item) const { return dataset_.Where(spec_.window ? 0 : item); }
  // All items, in order. Errors name the document. `context_length` is the longest input in tokens. With
  // `chat` prompts are the user's turn of a conversation, as lm-evaluation-harness --apply_chat_template
  // makes them; rolling texts stay as they are.
  std::vector<Item> BuildItems(const Tokenizer& tokenizer, int64_t context_length,
                               const ChatTemplate* chat = nullptr) const;
  // The same without requests; of a task over token windows the one text.
  std::vector<Item> BuildPrompts(const ChatTemplate* chat = nullptr) const;
  // What is wrong with single documents, evaluated ones and those that examples are drawn from.
  std::vector<Error> CheckDocuments() const;
  // Everything that can change the task's numbers; two runs may be compared when it is equal. Its hash is the
  // protocol's: Sha256Hex(ProtocolJson(...).dump()).
  Json ProtocolJson(const Tokenizer& tokenizer, int64_t context_length,
                    const ChatTemplate* chat = nullptr) const;

 private:
  struct Shot {
    std::string question, answer;
  };
  Dataset Load(const std::vector<DataFile>& files, const std::string& format, const std::string& what,
               std::string* split = nullptr) const;
  Shot Example(const Json& document, const std::string& where) const;
  // What the model reads before its answer to `question`.
  std::string Context(const std::string& preamble, const std::vector<Shot>& shots,
                      const std::string& question, const ChatTemplate* chat) const;
  Item BuildPrompt(size_t doc, const std::vector<Shot>& shots, const ChatTemplate* chat) const;
  std::string JoinedText() const;

  TaskSpec spec_;
  TaskOptions options_;
  Dataset dataset_;
  std::optional<Dataset> pool_;  // examples; absent: not needed, or the dataset itself
  size_t count_ = 0;
};

// The part of a protocol that decides about a single item: without how many there are.
Json ItemProtocol(Json protocol);

}  // namespace tnb
