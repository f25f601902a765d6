#include "harness/show_task.h"

#include "datasets/utf8.h"

namespace tnb {
namespace {

std::string Count(size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string Ids(const TokenIds& ids) {
  std::string text = "[";
  for (const TokenId id : ids) {
    if (text.size() > 1) text += ' ';
    text += std::to_string(id);
  }
  text += ']';
  return text;
}

TokenIds Context(const ScoreRequest& request) {
  return {request.tokens.begin(), request.tokens.begin() + request.first_scored};
}
TokenIds Continuation(const ScoreRequest& request) {
  return {request.tokens.begin() + request.first_scored, request.tokens.end()};
}

// A heading with the number of tokens, and the text below it.
std::string Passage(const std::string& heading, const std::string& text, const TokenIds* ids,
                    const Tokenizer* tokenizer) {
  const std::string shown =
      tokenizer != nullptr && ids != nullptr ? VisibleTokens(*tokenizer, *ids) : VisibleText(text);
  return heading + (ids != nullptr ? ", " + Count(ids->size(), "token") : "") + ":\n" + shown + "\n";
}

std::string ShowChoices(const Item& item, const Tokenizer* tokenizer) {
  const bool contexts = item.choices.empty() && item.contexts.size() > 1;
  std::string text;
  if (contexts) {
    text += "log-likelihood of one target after each prompt; * is right:\n";
  } else if (item.contexts.size() > 1) {
    text += "log-likelihood of each choice after the prompt; * is right:\n";
  } else {
    text += "log-likelihood of the target after the prompt:\n";
  }
  for (size_t i = 0; i < item.continuations.size(); ++i) {
    text += i == item.gold ? "* " : "  ";
    if (contexts) {
      text += (tokenizer != nullptr ? VisibleTokens(*tokenizer, Context(item.scores.at(i)))
                                    : VisibleText(item.contexts[i])) +
              " + ";
    }
    if (tokenizer != nullptr) {
      const TokenIds ids = Continuation(item.scores.at(i));
      text += VisibleTokens(*tokenizer, ids) + "  " + Ids(ids) + "\n";
    } else {
      text += VisibleText(item.continuations[i]) + "\n";
    }
  }
  return text;
}

std::string ShowGeneration(const TaskSpec& spec, const Item& item) {
  std::string text = "greedy text of at most " + Count(static_cast<size_t>(spec.max_new_tokens), "token") +
                     (spec.stop.empty() ? "" : ", ended by ");
  for (size_t i = 0; i < spec.stop.size(); ++i) text += (i > 0 ? ", " : "") + Json(spec.stop[i]).dump();
  text += spec.skip_leading_space ? ", white space before it left out\n" : "\n";
  for (const AnswerFilter& filter : spec.filters) text += "filter " + filter.name + "\n";
  for (const std::string& reference : item.references) text += "right: " + VisibleText(reference) + "\n";
  return text;
}

}  // namespace

std::string VisibleText(const std::string& text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    size_t size = 1;
    if (byte >= 0x80) {  // the longest piece of valid UTF-8 that begins here, of one character
      for (size = 4; size > 1; --size) {
        const std::string piece = text.substr(at, size);
        if (piece.size() == size && !InvalidUtf8Offset(piece) && CodePointCount(piece) == 1) break;
      }
    }
    if (byte == ' ') {
      out += "\u00B7";
    } else if (byte == '\n') {
      out += "\u21B5\n";
    } else if (byte == '\t') {
      out += "\u21E5";
    } else if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && size == 1)) {
      out += std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
    } else {
      out += text.substr(at, size);
    }
    at += size;
  }
  return out;
}

std::string VisibleTokens(const Tokenizer& tokenizer, const TokenIds& ids) {
  std::string out;
  for (size_t i = 0; i < ids.size(); ++i) {
    std::string piece = VisibleText(tokenizer.Piece(ids[i]));
    if (i + 1 < ids.size()) {
      // A piece that ends with a line break ends the line: the boundary goes before the break.
      const size_t at = piece.ends_with('\n') ? piece.rfind('\n') : piece.size();
      piece.insert(at, "\u2502");
    }
    out.append(piece);
  }
  return out;
}

std::string ShowItem(const Task& task, const Item& item, const Tokenizer* tokenizer) {
  const TaskSpec& spec = task.spec();
  std::string text = spec.name + ", document " + std::to_string(item.doc) + " of " +
                     std::to_string(task.size()) + " (" + task.dataset().Where(item.doc) + "), form " +
                     ToString(spec.form) + ", " + Count(task.num_fewshot(), "example") + "\n" +
                     "\u00B7 space, \u21B5 line break" +
                     (tokenizer != nullptr ? ", \u2502 between tokens" : "") + "\n\n";
  if (spec.form == TaskForm::kRolling) {
    text += Passage("text", item.target, nullptr, nullptr);
    text += "log-likelihood of every token";
    if (tokenizer != nullptr) {
      size_t scored = 0;
      for (const ScoreRequest& window : item.scores) scored += Continuation(window).size();
      text += ": " + Count(scored, "token") + " in " + Count(item.scores.size(), "window") +
              "; the first begins\n" +
              VisibleTokens(*tokenizer,
                            {item.scores.at(0).tokens.begin(),
                             item.scores.at(0).tokens.begin() +
                                 std::min<std::ptrdiff_t>(
                                     40, static_cast<std::ptrdiff_t>(item.scores.at(0).tokens.size()))});
    }
    text += "\nwords " + std::to_string(item.words) + ", bytes " + std::to_string(item.bytes) + "\n";
  } else if (spec.form == TaskForm::kGenerate || spec.form == TaskForm::kSummarize) {
    const TokenIds* ids = item.generation ? &item.generation->prompt : nullptr;
    text += Passage("prompt", item.prompt, ids, tokenizer) + "\n" + ShowGeneration(spec, item);
  } else {
    if (!(item.choices.empty() && item.contexts.size() > 1)) {
      const TokenIds ids = item.scores.empty() ? TokenIds() : Context(item.scores[0]);
      text += Passage("prompt", item.prompt, item.scores.empty() ? nullptr : &ids, tokenizer) + "\n";
    }
    text += ShowChoices(item, tokenizer);
  }
  if (item.truncated_tokens > 0) {
    text += Count(static_cast<size_t>(item.truncated_tokens), "token") +
            " at the beginning left out: the model's context is too short\n";
  }
  text += "metrics:";
  for (const std::string& metric : spec.metrics) text += " " + metric;
  return text + "; main: " + spec.main_metric + "\n";
}

Json ShowItemJson(const Task& task, const Item& item, const Tokenizer* tokenizer) {
  const TaskSpec& spec = task.spec();
  Json json = {{"task", spec.name},
               {"doc", item.doc},
               {"where", task.dataset().Where(item.doc)},
               {"form", ToString(spec.form)},
               {"num_fewshot", task.num_fewshot()},
               {"prompt", item.prompt},
               {"prompt_sha256", item.prompt_sha256},
               {"continuations", item.continuations},
               {"target", item.target},
               {"gold", item.gold},
               {"references", item.references},
               {"stop", spec.stop},
               {"metrics", spec.metrics},
               {"main", spec.main_metric},
               {"truncated_tokens", item.truncated_tokens}};
  if (tokenizer == nullptr) return json;
  Json requests = Json::array();
  for (const ScoreRequest& request : item.scores) {
    requests.push_back({{"context", Context(request)}, {"scored", Continuation(request)}});
  }
  json["requests"] = requests;
  if (item.generation) json["prompt_tokens"] = item.generation->prompt;
  return json;
}

}  // namespace tnb
