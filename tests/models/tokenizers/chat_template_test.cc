#include "models/chat_template.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "models/tokenizers/jinja.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;

namespace {

std::vector<ChatMessage> Messages(const Json& json) {
  std::vector<ChatMessage> messages;
  for (const Json& one : json) messages.push_back({one.at("role"), one.at("content")});
  return messages;
}

}  // namespace

TEST_CASE("chat templates render as Jinja 2 with transformers' settings") {
  const Json rows = ReadJsonFile(std::filesystem::path(TNBENCH_SOURCE_DIR) /
                                 "tests/models/tokenizers/golden/chat_templates.json");
  REQUIRE(rows.size() == 7);
  for (const Json& row : rows) {
    const std::string name = row.at("name");
    const ChatTemplate chat(row.at("template"), "<s>", "</s>", name);
    const std::string family = name.substr(0, name.find('-'));
    CHECK(chat.family() == (family == "corners" ? "other" : family));
    for (const Json& one : row.at("cases")) {
      INFO(name << " " << one.dump());
      const auto render = [&] {
        return chat.Render(Messages(one.at("messages")), one.at("add_generation_prompt"));
      };
      if (one.at("text").is_null()) {
        CHECK_THROWS_AS(render(), Error);
      } else {
        CHECK(render() == one.at("text").get<std::string>());
      }
    }
  }
}

TEST_CASE("templates come from the tokenizer's own files") {
  const testing::TemporaryFolder folder;
  struct OneToken : Tokenizer {
    TokenIds Encode(std::string_view, bool, int64_t*) const override { return {}; }
    std::string Decode(const TokenIds&, bool) const override { return ""; }
    std::string Piece(TokenId) const override { return "<b>"; }
    int64_t vocabulary_size() const override { return 1; }
    TokenId bos() const override { return 0; }
    TokenId eos() const override { return -1; }
    std::vector<TokenId> EndOfGeneration() const override { return {}; }
    bool adds_bos() const override { return true; }
    std::string ContentHash() const override { return ""; }
  } tokenizer;
  const TokenizerSource source{TokenizerSource::Kind::kHuggingFaceDirectory, folder.path()};
  CHECK_THROWS_WITH(LoadChatTemplate(source, tokenizer), Catch::Contains("no chat template"));
  WriteFileAtomically(folder / "tokenizer_config.json",
                      R"({"chat_template": [{"name": "tool", "template": "no"},
    {"name": "default", "template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"}]})");
  CHECK(LoadChatTemplate(source, tokenizer)->Render({{"user", "hi"}}, true) == "<b>hi");
  WriteFileAtomically(folder / "tokenizer_config.json", R"({"chat_template": "1{{ messages[0].role }}"})");
  CHECK(LoadChatTemplate(source, tokenizer)->Render({{"user", "hi"}}, true) == "1user");
  WriteFileAtomically(folder / "chat_template.jinja", "2");
  CHECK(LoadChatTemplate(source, tokenizer)->Render({{"user", "hi"}}, true) == "2");
}

TEST_CASE("templates that cannot be run are errors, and hostile ones end") {
  const auto render = [](const std::string& text) {
    return JinjaTemplate(text, "t").Render({{"messages", Json::array({1, 2})}});
  };
  for (const std::string text : {"{% macro f() %}{% endmacro %}", "{{ messages | tojson }}",
                                 "{{ strftime_now('%d') }}", "{% include 'x' %}"}) {
    INFO(text);
    try {
      render(text);
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kUnsupported);
      CHECK_THAT(error.what(), Catch::Contains("--apply-chat-template"));
    }
  }
  for (const std::string text :
       {"{{ a", "{% if x %}", "{{ 'a }}", "{% for %}{% endfor %}", "{{ 1 + 'a' }}", "{{ x.y.z }}",
        "{% endif %}", "{{ 99999999999999999999 }}", "{{ (1 }}", "{# open"}) {
    INFO(text);
    CHECK_THROWS_AS(render(text), Error);
  }
  std::string deep = "{{ ";
  deep.append(100000, '(').append(" }}");
  CHECK_THROWS_AS(render(deep), Error);
  std::string nested;
  for (int i = 0; i < 1000; ++i) nested += "{% if 1 %}";
  CHECK_THROWS_AS(render(nested), Error);
  CHECK_THROWS_AS(render("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"),
                  Error);
  CHECK_THROWS_AS(
      render("{% set n = namespace(s='xxxxxxxxxxxxxxxx') %}{% for a in range(64) %}{% set n.s = n.s + n.s %}"
             "{% endfor %}"),
      Error);
}

TEST_CASE("shared data: SmolLM2's own template, with its default system prompt") {
  const auto path = testing::SmolLM2();
  if (!path) return;
  const TokenizerSource source{TokenizerSource::Kind::kGguf, *path};
  const auto tokenizer = LoadTokenizer(source);
  const auto chat = LoadChatTemplate(source, *tokenizer);
  CHECK(chat->family() == "chatml");
  CHECK(chat->Render({{"user", "Hi"}}, true) ==
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  CHECK(chat->Render({{"system", "S"}, {"user", "Hi"}}, false) ==
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
}
