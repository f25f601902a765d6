// The part of Jinja 2 that chat templates are written in, with the settings that Hugging Face transformers
// gives them (trim_blocks, lstrip_blocks, loop controls): output, for with loop variables, if, set,
// namespace, arithmetic, comparisons, tests, slices, the usual filters and string methods. Macros, includes,
// calls with blocks and dates are not there: Error{kUnsupported} names what is met. raise_exception of a
// template, and what Jinja itself would refuse, is Error{kData}.
//
//   const JinjaTemplate chat(text, "tokenizer_config.json");
//   chat.Render({{"messages", ...}, {"add_generation_prompt", true}, {"bos_token", "<s>"}});
//
// Templates come from files of strangers: depth, steps and size of the output are limited.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"

namespace tnb {

class JinjaTemplate {
 public:
  JinjaTemplate(const std::string& text, const std::string& where);
  ~JinjaTemplate();
  std::string Render(const Json& variables) const;

 private:
  struct Program;
  std::unique_ptr<Program> program_;
  std::string where_;
};

}  // namespace tnb
