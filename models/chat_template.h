// Conversations as the text that a chat model was trained on. The template is the one that comes with the
// tokenizer (a Jinja program in tokenizer_config.json, chat_template.jinja or a GGUF file) and is run as
// Hugging Face's apply_chat_template runs it, so the text is the same to the byte, default system prompts
// included.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "models/tokenizer.h"

namespace tnb {

class JinjaTemplate;

struct ChatMessage {
  std::string role;  // system | user | assistant
  std::string content;
};

// Immutable and thread-safe.
class ChatTemplate {
 public:
  // Error{kData, kUnsupported} for a template that cannot be run; `where` is named in them.
  ChatTemplate(const std::string& text, const std::string& bos, const std::string& eos,
               const std::string& where);
  ~ChatTemplate();

  const std::string& text() const { return text_; }
  const std::string& bos() const { return bos_; }  // as spelled in text
  const std::string& eos() const { return eos_; }
  // "chatml" "llama2" "llama3" "mistral" "zephyr", told by the template's text as llama.cpp does; "other".
  std::string family() const;
  // With `add_generation_prompt` the text ends where the assistant's next answer begins. Error{kData} when
  // the template refuses the messages (some know no system role).
  std::string Render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const;

 private:
  std::string text_, bos_, eos_;
  std::unique_ptr<JinjaTemplate> program_;
};

// The template of the tokenizer's files; Error{kUsage} when there is none.
std::shared_ptr<const ChatTemplate> LoadChatTemplate(const TokenizerSource& source,
                                                     const Tokenizer& tokenizer);

}  // namespace tnb
