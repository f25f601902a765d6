#include "tasks/run.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "datasets/utf8.h"

namespace tnb {
namespace {

ItemResult Begin(const Item& item) {
  ItemResult result;
  result.doc = item.doc;
  result.prompt_sha256 = item.prompt_sha256;
  result.prompt = item.prompt;
  result.target = item.target;
  result.truncated_tokens = item.truncated_tokens;
  result.cluster = item.cluster;
  return result;
}

ItemResult FromScores(const TaskSpec& spec, const Item& item, const std::vector<ScoreResult>& answers) {
  ItemResult result = Begin(item);
  double squares = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    result.tokens += static_cast<int64_t>(item.scores[i].tokens.size()) - item.scores[i].first_scored;
    squares += answers[i].squares;
    result.log_likelihoods.push_back(answers[i].log_likelihood);
    result.greedy.push_back(answers[i].greedy);
  }
  if (spec.form == TaskForm::kMultipleChoice) {
    result.scores = ScoreOutputs(spec, item, result);
    return result;
  }
  double sum = 0;
  for (const double value : result.log_likelihoods) sum += value;
  const bool greedy = std::find(result.greedy.begin(), result.greedy.end(), false) == result.greedy.end();
  result.log_likelihoods = {sum};
  result.greedy = {greedy};
  result.scores["loglikelihood"] = sum;
  if (spec.window) {
    result.scores["squares"] = squares;
    result.scores["tokens"] = static_cast<double>(result.tokens);
  } else if (spec.form == TaskForm::kRolling) {
    result.scores["words"] = static_cast<double>(item.words);
    result.scores["bytes"] = static_cast<double>(item.bytes);
    result.scores["tokens"] = static_cast<double>(result.tokens);
  } else {
    result.scores["acc"] = greedy ? 1.0 : 0.0;
  }
  return result;
}

ItemResult FromText(const TaskSpec& spec, const Item& item, const GenerateResult& answer) {
  ItemResult result = Begin(item);
  result.text = RepairUtf8(answer.text);
  result.finished = answer.finished;
  result.tokens = static_cast<int64_t>(answer.tokens.size());
  result.scores = ScoreOutputs(spec, item, result);
  return result;
}

void CheckComplete(const Task& task, size_t finished, size_t total) {
  if (finished == total) return;
  throw Error(ErrorKind::kInternal, {"the model left requests of task " + task.spec().name + " unanswered",
                                     std::to_string(total), std::to_string(finished), "", ""});
}

}  // namespace

Json ToJson(const std::string& task, const ItemResult& result) {
  const bool generated = result.log_likelihoods.empty();
  return {{"task", task},
          {"doc", result.doc},
          {"prompt_sha256", result.prompt_sha256},
          {"prompt", result.prompt},
          {"loglikelihoods", generated ? Json(nullptr) : Json(result.log_likelihoods)},
          {"greedy", generated ? Json(nullptr) : Json(result.greedy)},
          {"text", result.text},
          {"target", result.target},
          {"scores", result.scores},
          {"finished", result.finished},
          {"tokens", result.tokens},
          {"truncated_tokens", result.truncated_tokens},
          {"cluster", result.cluster}};
}

ItemResult ItemResultFromJson(const Json& json, const std::string& where) {
  ItemResult result;
  result.doc = Require<size_t>(json, "doc", where);
  result.prompt_sha256 = Require<std::string>(json, "prompt_sha256", where);
  result.prompt = Optional<std::string>(json, "prompt", "", where);
  result.target = Require<std::string>(json, "target", where);
  result.log_likelihoods = Optional<std::vector<double>>(json, "loglikelihoods", {}, where);
  result.greedy = Optional<std::vector<bool>>(json, "greedy", {}, where);
  result.text = Optional<std::string>(json, "text", "", where);
  result.finished = Optional<std::string>(json, "finished", "", where);
  result.scores = Require<Scores>(json, "scores", where);
  result.tokens = Optional<int64_t>(json, "tokens", 0, where);
  result.truncated_tokens = Optional<int64_t>(json, "truncated_tokens", 0, where);
  result.cluster = Optional<std::string>(json, "cluster", "", where);
  return result;
}

Scores ScoreOutputs(const TaskSpec& spec, const Item& item, const ItemResult& outputs) {
  switch (spec.form) {
    case TaskForm::kMultipleChoice:
      if (outputs.log_likelihoods.size() != item.contexts.size()) {
        throw Error(
            ErrorKind::kData,
            {"a document has not one log-likelihood a choice", std::to_string(item.contexts.size()),
             std::to_string(outputs.log_likelihoods.size()), spec.name + " " + std::to_string(item.doc), ""});
      }
      if (!item.labels.empty()) return {{"mc2", TrueMass(outputs.log_likelihoods, item.labels)}};
      return ScoreChoices(outputs.log_likelihoods, item.choices, item.gold);
    case TaskForm::kGenerate:
    case TaskForm::kSummarize: {
      Scores scores = ScoreText(spec, outputs.text, item.references);
      scores["generated_tokens"] = static_cast<double>(outputs.tokens);
      return scores;
    }
    case TaskForm::kLogLikelihood:
    case TaskForm::kRolling:
      break;
  }
  return outputs.scores;
}

void RunTask(const Task& task, LanguageModel& model, const std::function<void(const ItemResult&)>& sink,
             const RunOptions& options) {
  const TaskSpec& spec = task.spec();
  // Windows are as long as their protocol says; the model's own limit is all that bounds them.
  const int64_t context_length = options.context_length > 0 && !spec.window
                                     ? std::min(options.context_length, model.context_length())
                                     : model.context_length();
  std::vector<Item> items = task.BuildItems(model.tokenizer(), context_length, options.chat);
  const size_t total = items.size();
  std::erase_if(items, [&](const Item& item) { return options.done.count(item.doc) != 0; });
  size_t finished = total - items.size();
  if (options.progress) options.progress(finished, total);
  const auto deliver = [&](const ItemResult& result) {
    sink(result);
    ++finished;
    if (options.progress) options.progress(finished, total);
  };

  if (spec.form == TaskForm::kGenerate || spec.form == TaskForm::kSummarize) {
    std::vector<GenerateRequest> requests;
    for (Item& item : items) requests.push_back(std::move(*item.generation));
    model.Generate(requests, [&](size_t index, const GenerateResult& answer) {
      deliver(FromText(spec, items.at(index), answer));
    });
    return CheckComplete(task, finished, total);
  }

  struct Place {
    size_t item, request;
  };
  std::vector<ScoreRequest> requests;
  std::vector<Place> places;
  std::vector<std::vector<ScoreResult>> answers(items.size());
  std::vector<size_t> missing(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    answers[i].resize(items[i].scores.size());
    missing[i] = items[i].scores.size();
    for (size_t r = 0; r < items[i].scores.size(); ++r) {
      requests.push_back(items[i].scores[r]);
      places.push_back({i, r});
    }
  }
  model.Score(requests, [&](size_t index, const ScoreResult& answer) {
    const Place place = places.at(index);
    const Item& item = items[place.item];
    if (!std::isfinite(answer.log_likelihood)) {
      throw Error(ErrorKind::kData, {"the model's log-likelihood is not a number", "a finite number",
                                     std::to_string(answer.log_likelihood), task.Where(item.doc),
                                     "the compressed model is ruined, or its file damaged"});
    }
    answers[place.item][place.request] = answer;
    if (--missing[place.item] == 0) deliver(FromScores(spec, item, answers[place.item]));
  });
  CheckComplete(task, finished, total);
}

}  // namespace tnb
