// Runs a task on a model and yields one result per document as it finishes, in a form that can be stored,
// exported, and aggregated again without the model:
//
//   RunTask(task, model, [&](const ItemResult& result) { store.Add(result); });
//   for (const TaskMetric& metric : Aggregate(task.spec(), scores_of_all_items)) ...
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/language_model.h"
#include "tasks/task.h"

namespace tnb {

struct ItemResult {
  size_t doc = 0;
  std::string prompt_sha256, prompt, target;
  std::vector<double> log_likelihoods;  // one a choice; one for a target or a whole rolling text
  std::vector<bool> greedy;             // as log_likelihoods; every window for a rolling text
  std::string text;                     // generated, valid UTF-8
  std::string finished;                 // generated: "stop" | "eos" | "length"
  Scores scores;
  int64_t tokens = 0;            // scored or generated
  int64_t truncated_tokens = 0;  // left out of a context that was too long
  std::string cluster;           // Item::cluster
};

// {"task","doc","prompt_sha256","prompt","loglikelihoods","greedy","text","target","scores",
//  "finished","tokens","truncated_tokens","cluster"}; loglikelihoods and greedy are null for generated texts.
Json ToJson(const std::string& task, const ItemResult& result);
// Throws Error{kData} naming `where`.
ItemResult ItemResultFromJson(const Json& json, const std::string& where);

// Scores of a document from the model's outputs as they are stored: what RunTask gives, and what a changed
// metric or filter gives without the model. Of `item` only the prompt's side is needed (Task::BuildPrompts).
// Parts of ratios (log-likelihoods of texts, words, tokens) do not depend on metrics and are taken from the
// outputs.
Scores ScoreOutputs(const TaskSpec& spec, const Item& item, const ItemResult& outputs);

struct RunOptions {
  std::set<size_t> done;                                        // documents that have a result already
  const ChatTemplate* chat = nullptr;                           // see Task::BuildItems
  int64_t context_length = 0;                                   // longest input in tokens; 0: the model's
  std::function<void(size_t finished, size_t total)> progress;  // at the start and after each item
};

// Calls `sink` once for each document that is not done, in the order in which they finish. Throws
// Error{kData} when the model answers with a number that is not finite, or leaves a request unanswered.
void RunTask(const Task& task, LanguageModel& model, const std::function<void(const ItemResult&)>& sink,
             const RunOptions& options = {});

}  // namespace tnb
