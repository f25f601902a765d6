// tasks/ is what is asked of a model: task files, prompts, scoring by log-likelihood, rolling perplexity and
// generation, answer filters, ROUGE. It knows models only through models/language_model.h.
//
// A TaskSpec is one task file (JSON). The files in tasks/definitions are ordinary ones: copy, change, and
// give the path instead of the name. Fields of a task file:
//   name, version, description
//   form       multiple_choice  log-likelihood of each choice after the prompt (or of one target after each
//   context)
//              loglikelihood    log-likelihood of one target after the prompt
//              rolling          log-likelihood of a whole text, window by window
//              generate         greedy text, filtered and compared with the target
//              summarize        greedy text, compared with reference summaries by ROUGE
//   dataset    {"file": name | [names, first found wins], "format", "split"}; names are relative to the data
//   folder;
//              a name may be {"file": ..., "lines": {"field": "file with one value a line"}, "split": ...,
//              "columns": [names of the columns of a CSV file without a header row]}
//   family     one file for many tasks, see tasks/family.h
//   source     where these files can be fetched from, see tasks/sources.h
//   fields     named values of a document, see tasks/fields.h
//   preamble   text before everything, once
//   prompt     template; or contexts: a field that holds a list of prompts, one of which is right
//   choices    field that holds a list of texts, or a list of templates
//   gold       field: index of the right choice or context (integer)
//   labels     field, instead of gold: a list of 0 and 1, which choices are right (metric mc2)
//   target     template: the continuation, the answer shown in examples, the reference or the rolling text
//   references field: list of accepted answers, instead of target
//   original   rolling: field whose words and bytes are counted (default: the scored text)
//   window     rolling: {"protocol": "gptq" | "llamacpp", "length", "join"}: the targets of all documents,
//              joined, are one text that is cut into windows of `length` tokens (tasks/windows.h); without it
//              every document is scored by itself, as lm-evaluation-harness does
//   cluster    field that is equal for documents which are not independent (a passage with several
//              questions): tests between methods count clusters, not documents. A copy of the data may lack
//              it
//   delimiter  between prompt and continuation (default " ")
//   fewshot    {"count", "file", "format", "sampler", "seed", "exclude_evaluated", "delimiter", "fixed"}
//   generation {"max_new_tokens", "min_new_tokens", "stop", "skip_leading_space", "beams"}
//   filters    [{"name", "regex", "select"}]: all matches, then element `select` (negative: from the end)
//   normalize  {"remove": [regexes], "ignore_case", "ignore_punctuation", "collapse_space", "sentence_lines"}
//              both sides, in this order
//   metrics    names, see tasks/metrics.h;   main: the one by which the task is known
//   ("exact_match,strict-match")
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "datasets/fewshot.h"
#include "datasets/source.h"
#include "tasks/fields.h"
#include "tasks/located_json.h"
#include "tasks/regex.h"

namespace tnb {

enum class TaskForm { kMultipleChoice, kLogLikelihood, kRolling, kGenerate, kSummarize };
const char* ToString(TaskForm form);

struct DataFile {
  std::string file;
  std::map<std::string, std::string> lines;  // field -> file with one value a line
  std::vector<std::string> columns;          // of a CSV file without a header row
  std::string split;                         // instead of the dataset's
};

// How a text is cut for perplexity over token windows.
struct TextWindow {
  std::string protocol;  // "gptq" | "llamacpp"
  int64_t length = 0;    // tokens
  std::string join;      // between the documents
};

struct AnswerFilter {
  std::string name;
  Regex regex;
  int64_t select = 0;
};

struct TaskSpec {
  std::string name, version, description;
  TaskForm form = TaskForm::kMultipleChoice;
  std::vector<DataFile> files;
  std::string format, split;
  FieldMap fields;
  std::string preamble, prompt, contexts_field;
  std::string choices_field;
  std::vector<std::string> choice_templates;
  std::string gold_field, labels_field, target, references_field, original_field, cluster_field;
  std::optional<TextWindow> window;
  std::string delimiter = " ";

  std::vector<HubSource> sources;  // where the files can be fetched from, see tasks/sources.h

  FewshotRule fewshot;
  std::vector<DataFile> fewshot_files;  // empty: the evaluated documents
  std::string fewshot_format, fewshot_delimiter = "\n\n";
  bool fewshot_fixed = false;

  int64_t max_new_tokens = 256, min_new_tokens = 0, beams = 1;
  std::vector<std::string> stop;
  bool skip_leading_space = false;

  std::vector<AnswerFilter> filters;
  std::vector<Regex> remove;
  bool ignore_case = false, ignore_punctuation = false, collapse_space = false, sentence_lines = false;

  std::vector<std::string> metrics;
  std::string main_metric;

  std::filesystem::path file;  // the task file
  Json protocol;               // the file's content without name, description and file names: what is hashed
};

// Reads one task file; of a family the task of `member`, or its first. Errors name file, line and field
// (FieldError where one field is to blame).
TaskSpec ReadTaskSpec(const std::filesystem::path& file, const std::string& member = "");
// The same from a file of a single task, or of a family with the member's name filled in; then `name` is the
// task's.
TaskSpec ReadTaskSpec(const LocatedJson& json, const std::string& name = "");
// A name from tasks/definitions (the tasks of families included), the path of a file (anything with a '/' or
// ending in .json; of a family's file "path.json#member"), or the perplexity of a text file
// (tasks/text_file.h).
TaskSpec LoadTaskSpec(const std::string& name_or_path);
bool IsTaskPath(const std::string& name_or_path);
// All tasks of tasks/definitions, sorted: the tasks of families, not the groups.
std::vector<std::string> ListTasks();
// The files in tasks/definitions, sorted.
std::vector<std::filesystem::path> TaskFiles();

}  // namespace tnb
