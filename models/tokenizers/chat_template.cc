#include "models/chat_template.h"

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "models/formats/gguf.h"
#include "models/tokenizers/jinja.h"

namespace tnb {
namespace {

namespace fs = std::filesystem;

// tokenizer_config.json holds a text, or a list of named ones.
std::string FromConfig(const fs::path& file) {
  const Json config = ReadJsonFile(file);
  if (!config.is_object() || !config.contains("chat_template")) return "";
  const Json& value = config.at("chat_template");
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    for (const Json& entry : value) {
      if (Optional<std::string>(entry, "name", "", file.string()) == "default")
        return Require<std::string>(entry, "template", file.string());
    }
  }
  return "";
}

std::string ReadChatTemplate(const TokenizerSource& source) {
  if (source.kind == TokenizerSource::Kind::kGguf) {
    return GgufFile(source.path).GetString("tokenizer.chat_template", "");
  }
  if (source.kind != TokenizerSource::Kind::kHuggingFaceDirectory) return "";
  if (fs::exists(source.path / "chat_template.jinja")) return ReadFile(source.path / "chat_template.jinja");
  const fs::path config = source.path / "tokenizer_config.json";
  return fs::exists(config) ? FromConfig(config) : "";
}

}  // namespace

ChatTemplate::ChatTemplate(const std::string& text, const std::string& bos, const std::string& eos,
                           const std::string& where)
    : text_(text), bos_(bos), eos_(eos), program_(std::make_unique<JinjaTemplate>(text, where)) {}

ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::family() const {
  const auto has = [&](const char* part) { return text_.find(part) != std::string::npos; };
  if (has("<|im_start|>")) return "chatml";
  if (has("<|start_header_id|>") && has("<|eot_id|>")) return "llama3";
  if (has("[INST]")) return has("<<SYS>>") ? "llama2" : "mistral";
  if (has("<|user|>") && has("<|assistant|>") && !has("<|end|>")) return "zephyr";
  return "other";
}

std::string ChatTemplate::Render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    Json one = Json::object();
    one["role"] = message.role;
    one["content"] = message.content;
    list.push_back(std::move(one));
  }
  return program_->Render({{"messages", list},
                           {"add_generation_prompt", add_generation_prompt},
                           {"bos_token", bos_},
                           {"eos_token", eos_},
                           {"tools", nullptr},
                           {"documents", nullptr}});
}

std::shared_ptr<const ChatTemplate> LoadChatTemplate(const TokenizerSource& source,
                                                     const Tokenizer& tokenizer) {
  const std::string text = ReadChatTemplate(source);
  if (text.empty()) {
    throw Error(
        ErrorKind::kUsage,
        {"the model has no chat template",
         "chat_template in tokenizer_config.json, chat_template.jinja, or tokenizer.chat_template in GGUF",
         "", source.path.string(),
         "leave --apply-chat-template out: it is no chat model, or its files are not all there"});
  }
  const auto spelled = [&](TokenId id) { return id >= 0 ? tokenizer.Piece(id) : std::string(); };
  return std::make_shared<const ChatTemplate>(text, spelled(tokenizer.bos()), spelled(tokenizer.eos()),
                                              source.path.string());
}

}  // namespace tnb
