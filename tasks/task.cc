#include "tasks/task.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/home.h"
#include "datasets/locate.h"
#include "datasets/utf8.h"
#include "tasks/requests.h"
#include "tasks/sources.h"
#include "tasks/windows.h"

namespace tnb {
namespace {

std::vector<std::string> Choices(const TaskSpec& spec, const DocumentFields& fields,
                                 const std::string& where) {
  std::vector<std::string> choices;
  if (spec.choice_templates.empty()) {
    choices = fields.Texts(spec.choices_field);
  } else {
    for (const std::string& text : spec.choice_templates) choices.push_back(fields.Render(text));
  }
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].empty()) {
      throw Error(ErrorKind::kData, {"choice " + std::to_string(i) + " is empty", "a text", "", where, ""});
    }
  }
  return choices;
}

std::vector<bool> Labels(const TaskSpec& spec, const DocumentFields& fields, size_t choices,
                         const std::string& where) {
  std::vector<bool> labels;
  if (spec.labels_field.empty()) return labels;
  for (const std::string& text : fields.Texts(spec.labels_field)) {
    if (text != "0" && text != "1") {
      throw Error(ErrorKind::kData, {"a label of field '" + spec.labels_field + "' is neither 0 nor 1",
                                     "0 or 1", text.substr(0, 60), where, ""});
    }
    labels.push_back(text == "1");
  }
  if (labels.size() != choices) {
    throw Error(ErrorKind::kData, {"there are not as many labels as choices", std::to_string(choices),
                                   std::to_string(labels.size()), where, ""});
  }
  if (std::find(labels.begin(), labels.end(), true) == labels.end())
    throw Error(ErrorKind::kData, {"no choice is right", "a label 1", "", where, ""});
  return labels;
}

size_t Gold(const TaskSpec& spec, const DocumentFields& fields, size_t choices, const std::string& where) {
  if (const std::vector<bool> labels = Labels(spec, fields, choices, where); !labels.empty()) {
    return static_cast<size_t>(std::find(labels.begin(), labels.end(), true) - labels.begin());
  }
  const int64_t gold = fields.Integer(spec.gold_field);
  if (gold < 0 || static_cast<size_t>(gold) >= choices) {
    throw Error(ErrorKind::kData, {"the index of the right choice is out of range",
                                   "0 to " + std::to_string(choices - 1), std::to_string(gold), where, ""});
  }
  return static_cast<size_t>(gold);
}

}  // namespace

Dataset Task::Load(const std::vector<DataFile>& files, const std::string& format, const std::string& what,
                   std::string* split) const {
  const std::filesystem::path beside =
      spec_.file.has_parent_path() ? spec_.file.parent_path() : std::filesystem::path(".");
  const std::vector<std::filesystem::path> folders = {options_.data_dir, beside, FetchedDataFolder(),
                                                      HomeFolder() / "datasets"};
  std::vector<std::string> names;
  for (const DataFile& file : files) names.push_back(file.file);
  const std::filesystem::path path = LocateFile(names, folders, what, FetchHint(spec_));
  // Which of the names it was: a name is the end of the path that it was found under.
  const auto chosen = std::find_if(files.begin(), files.end(), [&](const DataFile& file) {
    return std::any_of(folders.begin(), folders.end(),
                       [&](const auto& folder) { return !folder.empty() && folder / file.file == path; });
  });
  Dataset dataset = ReadDataset(path, format, chosen->columns);
  if (split != nullptr && !chosen->split.empty()) *split = chosen->split;
  for (const auto& [field, name] : chosen->lines) {
    AddLinesAsField(dataset, field, LocateFile({name}, folders, what, FetchHint(spec_)));
  }
  return dataset;
}

Task::Task(TaskSpec spec, const TaskOptions& options) : spec_(std::move(spec)), options_(options) {
  if (options.num_fewshot) {
    if (*options.num_fewshot < 0 || *options.num_fewshot > 1000) {
      throw Error(ErrorKind::kUsage, {"the number of examples is out of range", "0 to 1000",
                                      std::to_string(*options.num_fewshot), "num_fewshot", ""});
    }
    const size_t count = static_cast<size_t>(*options.num_fewshot);
    if ((spec_.fewshot_fixed || spec_.form == TaskForm::kRolling) && count != spec_.fewshot.count) {
      throw Error(ErrorKind::kUsage,
                  {"task " + spec_.name + " has a fixed number of examples",
                   std::to_string(spec_.fewshot.count), std::to_string(count), "num_fewshot", ""});
    }
    spec_.fewshot.count = count;
  }
  if (options.fewshot_seed) spec_.fewshot.seed = *options.fewshot_seed;
  spec_.fewshot.compat = options.fewshot_compat;
  dataset_ = Load(spec_.files, spec_.format, "task " + spec_.name, &spec_.split);
  if (spec_.fewshot.count > 0 && !spec_.fewshot_files.empty()) {
    pool_ = Load(spec_.fewshot_files, spec_.fewshot_format, "the examples of task " + spec_.name);
  }
  count_ = spec_.window ? 1 : dataset_.documents.size();
  if (options.limit) {
    if (*options.limit < 1) {
      throw Error(ErrorKind::kUsage,
                  {"the limit is out of range", "1 or more", std::to_string(*options.limit), "limit", ""});
    }
    count_ = std::min(count_, static_cast<size_t>(*options.limit));
  }
}

Task::Shot Task::Example(const Json& document, const std::string& where) const {
  const DocumentFields fields(spec_.fields, document, where);
  std::string prompt, answer;
  if (!spec_.contexts_field.empty()) {
    const std::vector<std::string> contexts = fields.Texts(spec_.contexts_field);
    prompt = contexts[Gold(spec_, fields, contexts.size(), where)];
    answer = fields.Render(spec_.target);
  } else {
    prompt = fields.Render(spec_.prompt);
    if (spec_.form == TaskForm::kMultipleChoice) {
      const std::vector<std::string> choices = Choices(spec_, fields, where);
      answer = choices[Gold(spec_, fields, choices.size(), where)];
    } else {
      answer = spec_.references_field.empty() ? fields.Render(spec_.target)
                                              : fields.Texts(spec_.references_field)[0];
    }
  }
  return {prompt, answer};
}

std::string Task::Context(const std::string& preamble, const std::vector<Shot>& shots,
                          const std::string& question, const ChatTemplate* chat) const {
  // As lm-evaluation-harness joins instruction and description: only where there is no white space yet.
  std::string system = options_.system_instruction;
  if (!system.empty() && !preamble.empty() && RightStripPython(system) == system &&
      LeftStripPython(preamble) == preamble) {
    system += spec_.fewshot_delimiter;
  }
  system += preamble;
  std::string text;
  for (const Shot& shot : shots) {
    text +=
        shot.question + (shot.answer.empty() ? "" : spec_.delimiter) + shot.answer + spec_.fewshot_delimiter;
  }
  text += question;
  if (chat == nullptr) return system + text;
  std::vector<ChatMessage> messages;
  if (!system.empty()) messages.push_back({"system", system});
  if (options_.fewshot_as_multiturn) {
    for (const Shot& shot : shots) {
      messages.push_back({"user", shot.question});
      if (!shot.answer.empty()) messages.push_back({"assistant", shot.answer});
    }
    text = question;
  }
  messages.push_back({"user", text});
  return chat->Render(messages, true);
}

Item Task::BuildPrompt(size_t doc, const std::vector<Shot>& shots, const ChatTemplate* chat) const {
  const std::string where = dataset_.Where(doc);
  const DocumentFields fields(spec_.fields, dataset_.documents[doc], where);
  const std::string preamble = fields.Render(spec_.preamble);
  const auto in_context = [&](const std::string& question) {
    return Context(preamble, shots, question, chat);
  };
  // After a chat template the answer begins at once, as in lm-evaluation-harness.
  const std::string delimiter = chat != nullptr ? "" : spec_.delimiter;
  Item item;
  item.doc = doc;
  switch (spec_.form) {
    case TaskForm::kMultipleChoice:
      if (!spec_.contexts_field.empty()) {
        item.target = fields.Render(spec_.target);
        for (const std::string& context : fields.Texts(spec_.contexts_field)) {
          item.contexts.push_back(in_context(context));
          item.continuations.push_back(delimiter + item.target);
          item.prompt += (item.prompt.empty() ? "" : "\n") + item.contexts.back();
        }
        item.gold = Gold(spec_, fields, item.contexts.size(), where);
      } else {
        item.prompt = in_context(fields.Render(spec_.prompt));
        item.choices = Choices(spec_, fields, where);
        item.gold = Gold(spec_, fields, item.choices.size(), where);
        item.labels = Labels(spec_, fields, item.choices.size(), where);
        item.target = item.choices[item.gold];
        for (const std::string& choice : item.choices) {
          item.contexts.push_back(item.prompt);
          item.continuations.push_back(delimiter + choice);
        }
      }
      break;
    case TaskForm::kLogLikelihood:
      item.prompt = in_context(fields.Render(spec_.prompt));
      item.target = fields.Render(spec_.target);
      item.contexts = {item.prompt};
      item.continuations = {item.target};
      break;
    case TaskForm::kRolling: {
      item.target = fields.Render(spec_.target);
      const std::string original =
          spec_.original_field.empty() ? item.target : fields.Text(spec_.original_field);
      item.words = static_cast<int64_t>(SplitWordCount(original));
      item.bytes = static_cast<int64_t>(original.size());
      item.prompt = item.target;
      break;
    }
    case TaskForm::kGenerate:
    case TaskForm::kSummarize:
      item.prompt = in_context(fields.Render(spec_.prompt));
      if (spec_.references_field.empty()) {
        item.references = {fields.Render(spec_.target)};
      } else {
        item.references = fields.Texts(spec_.references_field);
      }
      item.target = item.references[0];
      break;
  }
  if (item.target.empty()) throw Error(ErrorKind::kData, {"the target is empty", "a text", "", where, ""});
  item.prompt_sha256 = Sha256Hex(item.prompt);
  if (!spec_.cluster_field.empty()) {
    if (const auto shared = fields.TryText(spec_.cluster_field))
      item.cluster = Sha256Hex(*shared).substr(0, 16);
  }
  return item;
}

std::string Task::JoinedText() const {
  std::string text;
  for (size_t doc = 0; doc < dataset_.documents.size(); ++doc) {
    const std::string where = dataset_.Where(doc);
    if (doc > 0) text += spec_.window->join;
    text += DocumentFields(spec_.fields, dataset_.documents[doc], where).Render(spec_.target);
  }
  return text;
}

std::vector<Item> Task::BuildPrompts(const ChatTemplate* chat) const {
  if (spec_.window) {
    Item item;
    item.prompt = JoinedText();
    item.prompt_sha256 = Sha256Hex(item.prompt);
    return {std::move(item)};
  }
  const Dataset& pool = pool_ ? *pool_ : dataset_;
  FewshotSampler sampler(spec_.fewshot, pool.documents);
  std::vector<Item> items;
  items.reserve(count_);
  for (size_t doc = 0; doc < count_; ++doc) {
    std::vector<Shot> shots;
    for (const size_t shot : sampler.Draw(doc, dataset_.documents[doc])) {
      shots.push_back(Example(pool.documents[shot], pool.Where(shot)));
    }
    items.push_back(BuildPrompt(doc, shots, chat));
  }
  return items;
}

std::vector<Item> Task::BuildItems(const Tokenizer& tokenizer, int64_t context_length,
                                   const ChatTemplate* chat) const {
  if (spec_.window) {
    return WindowItems(spec_, tokenizer, JoinedText(), context_length, options_.limit, dataset_.path);
  }
  std::vector<Item> items = BuildPrompts(chat);
  for (Item& item : items) AddRequests(spec_, tokenizer, context_length, dataset_.Where(item.doc), item);
  return items;
}

std::vector<Error> Task::CheckDocuments() const {
  std::vector<Error> errors;
  const auto attempt = [&](const auto& call) {
    try {
      call();
    } catch (const Error& error) {
      errors.push_back(error);
    }
  };
  if (spec_.window) {
    attempt([&] { JoinedText(); });
    return errors;
  }
  for (size_t doc = 0; doc < count_; ++doc) attempt([&] { BuildPrompt(doc, {}, nullptr); });
  if (spec_.fewshot.count > 0 && pool_) {
    for (size_t i = 0; i < pool_->documents.size(); ++i) {
      attempt([&] { Example(pool_->documents[i], pool_->Where(i)); });
    }
  }
  return errors;
}

Json Task::ProtocolJson(const Tokenizer& tokenizer, int64_t context_length, const ChatTemplate* chat) const {
  Json json = {{"scoring_version", kScoringVersion},   {"task", spec_.protocol},
               {"dataset_sha256", dataset_.sha256},    {"documents", count_},
               {"tokenizer", tokenizer.ContentHash()}, {"adds_bos", tokenizer.adds_bos()},
               {"context_length", context_length},     {"num_fewshot", spec_.fewshot.count}};
  if (chat != nullptr && spec_.form != TaskForm::kRolling) {
    json["chat"] = {{"template", chat->text()},
                    {"family", chat->family()},
                    {"bos", chat->bos()},
                    {"eos", chat->eos()},
                    {"fewshot_as_multiturn", options_.fewshot_as_multiturn}};
  }
  if (!options_.system_instruction.empty() && spec_.form != TaskForm::kRolling) {
    json["system_instruction"] = options_.system_instruction;
  }
  if (spec_.window) {
    json["documents"] = dataset_.documents.size();
    json["windows"] = options_.limit ? Json(*options_.limit) : Json("all");
    json.erase("context_length");  // the window is the context
  }
  if (spec_.fewshot.count > 0) {
    json["fewshot"] = {
        {"sampler", spec_.fewshot.sampler},     {"seed", spec_.fewshot.seed},
        {"compat", spec_.fewshot.compat},       {"exclude_evaluated", spec_.fewshot.exclude_evaluated},
        {"delimiter", spec_.fewshot_delimiter}, {"pool_sha256", pool_ ? pool_->sha256 : dataset_.sha256}};
  }
  return json;
}

Json ItemProtocol(Json protocol) {
  protocol.erase("documents");
  protocol.erase("windows");
  return protocol;
}

}  // namespace tnb
