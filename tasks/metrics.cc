#include "tasks/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "base/error.h"
#include "datasets/utf8.h"
#include "tasks/bootstrap.h"
#include "tasks/rouge.h"
#include "tasks/transforms.h"

namespace tnb {
namespace {

constexpr char kNone[] = "none";

// The score of a metric behind a filter.
std::string ScoreName(const std::string& metric, const std::string& filter) {
  return filter == kNone ? metric : metric + "," + filter;
}

bool IsFiltered(const std::string& metric) { return metric == "exact_match"; }

double Take(const Scores& scores, const std::string& name, size_t item) {
  const auto found = scores.find(name);
  if (found == scores.end() || !std::isfinite(found->second)) {
    throw Error(ErrorKind::kData,
                {"an item has no score '" + name + "'", "a finite number",
                 found == scores.end() ? "nothing" : "not finite", "item " + std::to_string(item), ""});
  }
  return found->second;
}

TaskMetric Mean(const std::vector<double>& values) {
  TaskMetric metric;
  const double n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  metric.value = sum / n;
  for (const double value : values) squares += (value - metric.value) * (value - metric.value);
  if (values.size() > 1) metric.se = std::sqrt(squares / (n - 1)) / std::sqrt(n);
  return metric;
}

// sum(over) / sum(under) with the standard error of the linearized ratio.
TaskMetric Ratio(const std::vector<double>& over, const std::vector<double>& under) {
  TaskMetric metric;
  double a = 0, b = 0, squares = 0;
  for (const double value : over) a += value;
  for (const double value : under) b += value;
  if (!(b > 0))
    throw Error(ErrorKind::kData, "the items have nothing to divide by", "are their texts empty?");
  metric.value = a / b;
  const double n = static_cast<double>(over.size());
  for (size_t i = 0; i < over.size(); ++i) {
    const double residual = over[i] - metric.value * under[i];
    squares += residual * residual;
  }
  if (over.size() > 1) metric.se = std::sqrt(n / (n - 1) * squares) / b;
  return metric;
}

// As llama-perplexity: sqrt((mean of squares - squared mean) / (n - 1)) over the tokens.
TaskMetric TokenMean(const std::vector<Scores>& items) {
  double sum = 0, squares = 0, n = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    sum -= Take(items[i], "loglikelihood", i);
    squares += Take(items[i], "squares", i);
    n += Take(items[i], "tokens", i);
  }
  if (!(n > 0)) throw Error(ErrorKind::kData, "the items have no tokens to divide by");
  TaskMetric metric;
  metric.value = sum / n;
  const double variance = squares / n - metric.value * metric.value;
  if (n > 1 && variance > 0) metric.se = std::sqrt(variance / (n - 1));
  return metric;
}

// Bootstrap intervals of the ROUGE rows, all from the same draws.
void AddIntervals(const std::vector<Scores>& items, std::vector<TaskMetric>& rows) {
  std::vector<std::vector<double>> columns;
  std::vector<TaskMetric*> wanted;
  for (TaskMetric& row : rows) {
    if (!row.name.starts_with("rouge") || items.size() < 2) continue;
    wanted.push_back(&row);
    columns.emplace_back();
    for (size_t i = 0; i < items.size(); ++i) columns.back().push_back(Take(items[i], row.name, i));
  }
  const auto intervals = BootstrapMeans(columns);
  for (size_t i = 0; i < wanted.size(); ++i) {
    std::tie(wanted[i]->lo, wanted[i]->hi) = intervals[i];
  }
}

std::string Normalized(const TaskSpec& spec, std::string text) {
  for (const Regex& regex : spec.remove) text = regex.Replace(text, "");
  if (spec.ignore_case) text = LowerPython(text);
  if (spec.ignore_punctuation) {
    static const std::string punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    std::erase_if(text, [](char c) { return punctuation.find(c) != std::string::npos; });
  }
  if (spec.collapse_space) text = FindTransform("collapse_space")->apply(text);
  if (spec.sentence_lines) text = FindTransform("sentence_lines")->apply(text);
  return text;
}

}  // namespace

const std::vector<MetricInfo>& MetricInfos() {
  using Kind = MetricInfo::Kind;
  const TaskForm choice = TaskForm::kMultipleChoice, target = TaskForm::kLogLikelihood,
                 rolling = TaskForm::kRolling, generate = TaskForm::kGenerate,
                 summarize = TaskForm::kSummarize;
  static const std::vector<MetricInfo> list = {
      {"acc", "share of items answered right", "fraction", Kind::kMean, "", true, {choice, target}},
      {"acc_norm",
       "as acc, log-likelihoods per character of the choice",
       "fraction",
       Kind::kMean,
       "",
       true,
       {choice}},
      {"acc_bytes",
       "as acc, log-likelihoods per byte of the choice",
       "fraction",
       Kind::kMean,
       "",
       true,
       {choice}},
      {"mc2",
       "probability of the right choices among all choices",
       "fraction",
       Kind::kMean,
       "",
       true,
       {choice}},
      {"perplexity",
       "exp of the mean negative log-likelihood of an item",
       "perplexity",
       Kind::kPerplexity,
       "",
       false,
       {target}},
      {"ppl.lmeval",
       "word_perplexity of lm-evaluation-harness: per word of the original text",
       "perplexity",
       Kind::kPerplexity,
       "words",
       false,
       {rolling},
       "lmeval"},
      {"ppl.lmeval_byte",
       "byte_perplexity of lm-evaluation-harness: per byte of the original text",
       "perplexity",
       Kind::kPerplexity,
       "bytes",
       false,
       {rolling},
       "lmeval"},
      {"ppl.lmeval_token",
       "per token, windows as lm-evaluation-harness; depends on the tokenizer",
       "perplexity",
       Kind::kPerplexity,
       "tokens",
       false,
       {rolling},
       "lmeval"},
      {"bits_per_byte",
       "bits per byte of the original text",
       "bits/byte",
       Kind::kBits,
       "bytes",
       false,
       {rolling},
       "lmeval"},
      {"ppl.gptq",
       "per token, separate windows, as GPTQ and most papers; depends on the tokenizer",
       "perplexity",
       Kind::kPerplexity,
       "tokens",
       false,
       {rolling},
       "gptq"},
      {"ppl.llamacpp",
       "per token, second halves of separate windows, as llama-perplexity; depends on the tokenizer",
       "perplexity",
       Kind::kTokenPerplexity,
       "tokens",
       false,
       {rolling},
       "llamacpp"},
      {"exact_match",
       "share of items whose filtered, normalized text equals a reference",
       "fraction",
       Kind::kMean,
       "",
       true,
       {generate}},
      {"rouge1", "F1 of ROUGE-1", "fraction", Kind::kMean, "", true, {summarize}},
      {"rouge2", "F1 of ROUGE-2", "fraction", Kind::kMean, "", true, {summarize}},
      {"rougeL", "F1 of ROUGE-L", "fraction", Kind::kMean, "", true, {summarize}},
      {"rougeLsum", "F1 of ROUGE-Lsum", "fraction", Kind::kMean, "", true, {summarize}},
      {"empty",
       "share of items with an empty text",
       "fraction",
       Kind::kMean,
       "",
       false,
       {generate, summarize}},
      {"generated_tokens",
       "mean length of the text",
       "tokens",
       Kind::kMean,
       "",
       false,
       {generate, summarize}},
  };
  return list;
}

const MetricInfo* FindMetric(const std::string& name) {
  for (const MetricInfo& info : MetricInfos()) {
    if (name == info.name) return &info;
  }
  return nullptr;
}

std::vector<TaskMetric> Aggregate(const TaskSpec& spec, const std::vector<Scores>& items) {
  if (items.empty()) throw Error(ErrorKind::kData, "task " + spec.name + " has no scored items");
  std::vector<TaskMetric> rows;
  for (const std::string& name : spec.metrics) {
    const MetricInfo& info = *FindMetric(name);
    std::vector<std::string> filters = {kNone};
    if (IsFiltered(name) && !spec.filters.empty()) {
      filters.clear();
      for (const AnswerFilter& filter : spec.filters) filters.push_back(filter.name);
    }
    for (const std::string& filter : filters) {
      const bool mean = info.kind == MetricInfo::Kind::kMean;
      std::vector<double> over, under;
      for (size_t i = 0; i < items.size(); ++i) {
        over.push_back(mean ? Take(items[i], ScoreName(name, filter), i)
                            : -Take(items[i], "loglikelihood", i));
        under.push_back(*info.denominator == '\0' ? 1.0 : Take(items[i], info.denominator, i));
      }
      const bool tokens = info.kind == MetricInfo::Kind::kTokenPerplexity;
      TaskMetric row = mean ? Mean(over) : tokens ? TokenMean(items) : Ratio(over, under);
      if (tokens || info.kind == MetricInfo::Kind::kPerplexity) {
        row.value = std::exp(row.value);
        if (row.se) row.se = *row.se * row.value;
      } else if (info.kind == MetricInfo::Kind::kBits) {
        row.value /= std::log(2.0);
        if (row.se) row.se = *row.se / std::log(2.0);
      }
      if (row.se && !std::isfinite(*row.se)) row.se.reset();
      row.name = name;
      row.filter = filter;
      row.n = static_cast<int64_t>(items.size());
      row.unit = info.unit;
      row.main = ScoreName(name, filter) == spec.main_metric;
      row.higher_is_better = info.higher_is_better;
      rows.push_back(std::move(row));
    }
  }
  AddIntervals(items, rows);
  return rows;
}

size_t FirstArgmax(const std::vector<double>& values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

Scores ScoreChoices(const std::vector<double>& log_likelihoods, const std::vector<std::string>& choices,
                    size_t gold) {
  std::vector<double> by_point, by_byte;
  for (size_t i = 0; i < log_likelihoods.size(); ++i) {
    // No choices: several contexts with one continuation, whose length cannot matter.
    const std::string choice = choices.empty() ? "x" : choices.at(i);
    by_point.push_back(log_likelihoods[i] / static_cast<double>(CodePointCount(choice)));
    by_byte.push_back(log_likelihoods[i] / static_cast<double>(choice.size()));
  }
  return {{"acc", FirstArgmax(log_likelihoods) == gold ? 1.0 : 0.0},
          {"acc_norm", FirstArgmax(by_point) == gold ? 1.0 : 0.0},
          {"acc_bytes", FirstArgmax(by_byte) == gold ? 1.0 : 0.0}};
}

double TrueMass(const std::vector<double>& log_likelihoods, const std::vector<bool>& labels) {
  // Relative to the largest, so that long choices do not all underflow.
  const double largest = *std::max_element(log_likelihoods.begin(), log_likelihoods.end());
  double right = 0, all = 0;
  for (size_t i = 0; i < log_likelihoods.size(); ++i) {
    const double probability = std::exp(log_likelihoods[i] - largest);
    all += probability;
    if (labels.at(i)) right += probability;
  }
  return right / all;
}

std::string ApplyFilter(const AnswerFilter& filter, const std::string& text) {
  static const std::string invalid = "[invalid]";
  const auto matches = filter.regex.FindAll(text);
  const int64_t count = static_cast<int64_t>(matches.size());
  const int64_t at = filter.select < 0 ? count + filter.select : filter.select;
  if (at < 0 || at >= count) return invalid;
  const std::vector<std::string>& groups = matches[static_cast<size_t>(at)];
  // As re.findall: the whole match without groups, one group as it is, else the first that is not empty.
  if (groups.size() <= 2) return StripPython(groups.back());
  for (size_t g = 1; g < groups.size(); ++g) {
    if (!groups[g].empty()) return StripPython(groups[g]);
  }
  return invalid;
}

Scores ScoreText(const TaskSpec& spec, const std::string& text, const std::vector<std::string>& references) {
  Scores scores;
  scores["empty"] = StripPython(text).empty() ? 1.0 : 0.0;
  std::vector<std::string> wanted;
  for (const std::string& reference : references) wanted.push_back(Normalized(spec, reference));
  if (spec.form == TaskForm::kSummarize) {
    const std::string prediction = Normalized(spec, text);
    for (const char* name : {"rouge1", "rouge2", "rougeL", "rougeLsum"}) scores[name] = 0.0;
    for (const std::string& reference : wanted) {
      const RougeScores rouge = Rouge(reference, prediction);
      scores["rouge1"] = std::max(scores["rouge1"], rouge.rouge1.f1);
      scores["rouge2"] = std::max(scores["rouge2"], rouge.rouge2.f1);
      scores["rougeL"] = std::max(scores["rougeL"], rouge.rougeL.f1);
      scores["rougeLsum"] = std::max(scores["rougeLsum"], rouge.rougeLsum.f1);
    }
    return scores;
  }
  const auto match = [&](const std::string& answer) {
    const std::string normalized = Normalized(spec, answer);
    return std::find(wanted.begin(), wanted.end(), normalized) != wanted.end() ? 1.0 : 0.0;
  };
  if (spec.filters.empty()) scores["exact_match"] = match(text);
  for (const AnswerFilter& filter : spec.filters) {
    scores[ScoreName("exact_match", filter.name)] = match(ApplyFilter(filter, text));
  }
  return scores;
}

}  // namespace tnb
