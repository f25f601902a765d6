// Prompts of chat models: turns, delimiters and protocols as lm-evaluation-harness 0.4.13 makes them
// (lm_eval/api/task.py: fewshot_context, multiturn_to_singleturn, construct_requests).
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "models/chat_template.h"
#include "tasks/task.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::ByteTokenizer;

namespace {

const char kTemplate[] =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt "
    "%}<assistant>{% "
    "endif %}";

struct Fixture {
  Fixture() {
    WriteFileAtomically(
        folder / "d.jsonl",
        "{\"q\": \"one\", \"a\": \"1\", \"gold\": 0}\n{\"q\": \"two\", \"a\": \"2\", \"gold\": 1}\n");
    WriteFileAtomically(folder / "pool.jsonl", "{\"q\": \"ten\", \"a\": \"10\", \"gold\": 1}\n");
  }
  Task Load(const std::string& body, TaskOptions options = {}) const {
    WriteFileAtomically(folder / "t.json",
                        R"({"name": "t", "version": "1", "dataset": {"file": "d.jsonl", "split": "test"},
      "prompt": "Q: {q}\nA:", "fewshot": {"count": 1, "file": "pool.jsonl"}, )" +
                            body + "}");
    options.data_dir = folder.path();
    return Task(ReadTaskSpec(folder / "t.json"), options);
  }
  testing::TemporaryFolder folder;
  ChatTemplate chat{kTemplate, "<s>", "</s>", "t"};
};

const char kGenerate[] = R"("form": "generate", "preamble": "Sums.\n", "target": "{a}",
  "generation": {"max_new_tokens": 4}, "metrics": ["exact_match"])";
const char kChoice[] =
    R"("form": "multiple_choice", "choices": ["no", "yes"], "gold": "gold", "metrics": ["acc"])";

}  // namespace

TEST_CASE("with a chat template examples and question are one user turn, the description is the system's") {
  const Fixture fixture;
  const Task task = fixture.Load(kGenerate);
  CHECK(task.BuildPrompts()[0].prompt == "Sums.\nQ: ten\nA: 10\n\nQ: one\nA:");
  CHECK(task.BuildPrompts(&fixture.chat)[1].prompt ==
        "<system>Sums.\n<user>Q: ten\nA: 10\n\nQ: two\nA:<assistant>");
}

TEST_CASE("examples can be turns of their own") {
  const Fixture fixture;
  const Task task = fixture.Load(kGenerate, {.fewshot_as_multiturn = true});
  CHECK(task.BuildPrompts(&fixture.chat)[0].prompt ==
        "<system>Sums.\n<user>Q: ten\nA:<assistant>10<user>Q: one\nA:<assistant>");
  CHECK(task.BuildPrompts()[0].prompt == "Sums.\nQ: ten\nA: 10\n\nQ: one\nA:");  // without turns: one text
}

TEST_CASE("a system instruction comes first, and is joined where there is no white space") {
  const Fixture fixture;
  const Task described = fixture.Load(kGenerate, {.system_instruction = "Be brief."});
  CHECK(described.BuildPrompts(&fixture.chat)[0].prompt.starts_with(
      "<system>Be brief.\n\nSums.\n<user>Q: ten"));
  const Task plain = fixture.Load(kChoice, {.system_instruction = "Be brief."});
  CHECK(plain.BuildPrompts(&fixture.chat)[0].prompt.starts_with("<system>Be brief.<user>Q: ten"));
  CHECK(plain.BuildPrompts()[0].prompt.starts_with("Be brief.Q: ten"));  // as the harness does
}

TEST_CASE("choices follow a chat template without delimiter") {
  const Fixture fixture;
  const Task task = fixture.Load(kChoice);
  CHECK(task.BuildPrompts()[0].continuations == std::vector<std::string>{" no", " yes"});
  const Item item = task.BuildPrompts(&fixture.chat)[0];
  CHECK(item.continuations == std::vector<std::string>{"no", "yes"});
  CHECK(item.contexts[0] == "<user>Q: ten\nA: yes\n\nQ: one\nA:<assistant>");
}

TEST_CASE("the template is part of the protocol, and rolling texts have none") {
  const Fixture fixture;
  const ByteTokenizer tokenizer;
  const Task task = fixture.Load(kChoice), multiturn = fixture.Load(kChoice, {.fewshot_as_multiturn = true}),
             instructed = fixture.Load(kChoice, {.system_instruction = "Be brief."});
  const ChatTemplate other(std::string(kTemplate) + " ", "<s>", "</s>", "t");
  std::set<std::string> hashes;
  for (const ChatTemplate* chat : {static_cast<const ChatTemplate*>(nullptr), &fixture.chat, &other}) {
    for (const Task* one : {&task, &instructed}) hashes.insert(one->ProtocolJson(tokenizer, 64, chat).dump());
  }
  hashes.insert(multiturn.ProtocolJson(tokenizer, 64, &fixture.chat).dump());
  CHECK(hashes.size() == 7);
  CHECK(task.ProtocolJson(tokenizer, 64, &fixture.chat).at("chat").at("template") == kTemplate);

  WriteFileAtomically(fixture.folder / "text.txt", "abcdefgh");
  const Task rolling(LoadTaskSpec("ppl.lmeval:" + (fixture.folder / "text.txt").string()), {});
  CHECK(rolling.ProtocolJson(tokenizer, 64) == rolling.ProtocolJson(tokenizer, 64, &fixture.chat));
  CHECK(rolling.BuildPrompts(&fixture.chat)[0].prompt == "abcdefgh");
}

TEST_CASE("a template that begins with BOS gets no second one") {
  const Fixture fixture;
  const ChatTemplate chat("{{ bos_token }}<user>{{ messages[0].content }}", "<s>", "", "t");
  const Task task = fixture.Load(kGenerate, {.num_fewshot = 0});
  // ByteTokenizer does not parse "<s>", which shows that none was put before it.
  const Item item = task.BuildItems(ByteTokenizer(true), 1 << 20, &chat)[0];
  CHECK(item.generation->prompt.front() == '<' + 1);
  CHECK(task.BuildItems(ByteTokenizer(true), 1 << 20)[0].generation->prompt.front() == 0);
}
