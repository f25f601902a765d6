// The metrics of tasks. An item yields scores (metric name -> number, or parts such as "loglikelihood" and
// "words" of a ratio); Aggregate makes metrics out of the scores of all items, with standard errors, so
// stored items can be aggregated again without a model. Definitions are those of lm-evaluation-harness 0.4.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tasks/spec.h"

namespace tnb {

using Scores = std::map<std::string, double>;

struct MetricInfo {
  enum class Kind {
    kMean,             // mean of the scores
    kPerplexity,       // exp(-sum(loglikelihood) / sum(denominator))
    kTokenPerplexity,  // the same per token; its deviation is that of the tokens, not of the items
    kBits,             // -sum(loglikelihood) / sum(denominator) / ln 2
  };
  const char* name;
  const char* help;
  const char* unit;
  Kind kind;
  const char* denominator;  // score that is summed below the fraction; "" counts items
  bool higher_is_better;
  std::vector<TaskForm> forms;
  const char* protocol = "";  // of perplexities of texts: "lmeval" | "gptq" | "llamacpp"
};

const std::vector<MetricInfo>& MetricInfos();
const MetricInfo* FindMetric(const std::string& name);

struct TaskMetric {
  std::string name;    // "exact_match"
  std::string filter;  // "strict-match", or "none"
  double value = 0;    // infinite for the perplexity of a ruined model
  // Means: sample deviation / sqrt(n), as lm-evaluation-harness. Ratios: the linearized ratio estimator,
  // through exp by the delta method. ppl.llamacpp: as llama-perplexity, see tasks/windows.h. Absent for n
  // < 2.
  std::optional<double> se;
  std::optional<double> lo, hi;  // ROUGE: 95 % bootstrap interval, see tasks/bootstrap.h
  int64_t n = 0;                 // items
  std::string unit;
  bool main = false;
  bool higher_is_better = true;
};

// One metric (and filter) after the other, in the order of the task file. Throws Error{kData} when an item
// lacks a score, or when there are no items.
std::vector<TaskMetric> Aggregate(const TaskSpec& spec, const std::vector<Scores>& items);

// Index of the first largest value, as numpy.argmax.
size_t FirstArgmax(const std::vector<double>& values);
// acc, acc_norm (per code point of the choice, without delimiter), acc_bytes (per UTF-8 byte).
Scores ScoreChoices(const std::vector<double>& log_likelihoods, const std::vector<std::string>& choices,
                    size_t gold);
// mc2 of TruthfulQA: the probability of the right choices, normalized over all choices.
double TrueMass(const std::vector<double>& log_likelihoods, const std::vector<bool>& labels);
// The text that is compared: "[invalid]" when the filter's expression matches nothing.
std::string ApplyFilter(const AnswerFilter& filter, const std::string& text);
// exact_match (per filter), rouge1 ... of a generated text. Multiple references: any, or the best.
Scores ScoreText(const TaskSpec& spec, const std::string& text, const std::vector<std::string>& references);

}  // namespace tnb
