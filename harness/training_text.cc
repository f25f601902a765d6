#include "harness/training_text.h"

#include <memory>

#include "base/error.h"
#include "datasets/reader.h"
#include "models/chat_template.h"

namespace tnb {
namespace {

class Spelling {
 public:
  Spelling(const TokenizerSource& source, const Tokenizer& tokenizer, double prompt_weight)
      : tokenizer_(tokenizer), prompt_weight_(static_cast<float>(prompt_weight)) {
    try {
      chat_ = LoadChatTemplate(source, tokenizer);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUsage) throw;  // there is none
    }
  }

  TrainingDocument Text(const std::string& text) const {
    TrainingDocument document;
    document.tokens = tokenizer_.Encode(text);
    return document;
  }

  TrainingDocument Conversation(const std::vector<ChatMessage>& messages, const std::string& where) const {
    return chat_ ? ByTemplate(messages, where) : AsAlpaca(messages, where);
  }

  // A prompt that is spelled out; the answer ends as a text ends.
  TrainingDocument Answer(const std::string& prompt, const std::string& answer) const {
    TrainingDocument document;
    Add(document, prompt, prompt_weight_);
    Add(document, answer, 1);
    End(document);
    return document;
  }

 private:
  void Add(TrainingDocument& document, const std::string& text, float weight, bool special = false) const {
    const TokenIds tokens = tokenizer_.Encode(text, special);
    document.tokens.insert(document.tokens.end(), tokens.begin(), tokens.end());
    document.weights.resize(document.tokens.size(), weight);
  }
  void End(TrainingDocument& document) const {
    if (tokenizer_.eos() < 0) return;
    document.tokens.push_back(tokenizer_.eos());
    document.weights.push_back(1);
  }

  // Turn by turn: what the template writes before an answer does not count, what it writes for it does.
  TrainingDocument ByTemplate(const std::vector<ChatMessage>& messages, const std::string& where) const {
    TrainingDocument document;
    std::string done;
    for (size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].role != "assistant") continue;
      const std::vector<ChatMessage> before(messages.begin(), messages.begin() + static_cast<long>(i));
      const std::vector<ChatMessage> with(messages.begin(), messages.begin() + static_cast<long>(i) + 1);
      const std::string prompt = chat_->Render(before, true), full = chat_->Render(with, false);
      if (!prompt.starts_with(done) || !full.starts_with(prompt)) {
        throw Error(ErrorKind::kUnsupported,
                    {"the chat template rewrites earlier turns, so that answers cannot be told from prompts",
                     "", chat_->family(), where, "train on a plain text"});
      }
      Add(document, prompt.substr(done.size()), prompt_weight_, true);
      Add(document, full.substr(prompt.size()), 1, true);
      done = full;
    }
    return document;
  }

  TrainingDocument AsAlpaca(const std::vector<ChatMessage>& messages, const std::string& where) const {
    TrainingDocument document;
    for (const ChatMessage& message : messages) {
      if (message.role == "system") {
        Add(document, message.content + "\n\n", prompt_weight_);
      } else if (message.role == "user") {
        Add(document, std::string("### Instruction:\n") + message.content + "\n\n### Response:\n",
            prompt_weight_);
      } else if (message.role == "assistant") {
        Add(document, message.content, 1);
        End(document);
      } else {
        throw Error(ErrorKind::kData, {"unknown role", "system, user or assistant", message.role, where, ""});
      }
    }
    return document;
  }

  const Tokenizer& tokenizer_;
  float prompt_weight_;
  std::shared_ptr<const ChatTemplate> chat_;
};

std::string RoleOf(const std::string& name) {
  if (name == "human") return "user";
  if (name == "gpt") return "assistant";
  return name;
}

std::vector<ChatMessage> Turns(const Json& list, const char* role, const char* content,
                               const std::string& where) {
  std::vector<ChatMessage> messages;
  if (!list.is_array())
    throw Error(ErrorKind::kData, {"not a list of turns", "", list.dump().substr(0, 60), where, ""});
  for (const Json& turn : list) {
    messages.push_back(
        {RoleOf(Require<std::string>(turn, role, where)), Require<std::string>(turn, content, where)});
  }
  return messages;
}

TrainingDocument Read(const Json& record, const Spelling& spelling, const std::string& where) {
  const auto text = [&](const char* key) { return Require<std::string>(record, key, where); };
  if (record.contains("messages"))
    return spelling.Conversation(Turns(record.at("messages"), "role", "content", where), where);
  if (record.contains("conversations"))
    return spelling.Conversation(Turns(record.at("conversations"), "from", "value", where), where);
  if (record.contains("instruction")) {
    std::string question = text("instruction");
    for (const char* key : {"input", "context"}) {
      const auto more = Optional<std::string>(record, key, "", where);
      if (!more.empty()) question += std::string("\n\n") + more;
    }
    return spelling.Conversation(
        {{"user", question}, {"assistant", text(record.contains("output") ? "output" : "response")}}, where);
  }
  if (record.contains("prompt")) return spelling.Answer(text("prompt"), text("response"));
  if (record.contains("text")) return spelling.Text(text("text"));
  throw Error(ErrorKind::kData, {"a record to train on has none of the known forms",
                                 "text, instruction, prompt, messages or conversations",
                                 record.dump().substr(0, 80), where, ""});
}

}  // namespace

std::vector<TrainingDocument> ReadTrainingDocuments(const std::filesystem::path& path,
                                                    const TokenizerSource& source, const Tokenizer& tokenizer,
                                                    double prompt_weight) {
  const Spelling spelling(source, tokenizer, prompt_weight);
  const Dataset dataset = ReadDataset(path);
  std::vector<TrainingDocument> documents;
  for (size_t i = 0; i < dataset.documents.size(); ++i)
    documents.push_back(Read(dataset.documents[i], spelling, dataset.Where(i)));
  return documents;
}

void ForEachText(const Json& record, const std::function<void(const std::string& text)>& visit) {
  if (record.is_string()) {
    visit(record.get_ref<const std::string&>());
  } else if (record.is_structured()) {
    for (const Json& part : record) ForEachText(part, visit);
  }
}

}  // namespace tnb
