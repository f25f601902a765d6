// The shipped task files read the layouts of the original releases too, and their prompts are spelled out
// here.
#include <filesystem>

#include "base/files.h"
#include "tasks/task.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"

using namespace tnb;

namespace {

Item Only(const std::string& task, const std::string& file, const Json& document) {
  testing::TemporaryFolder folder;
  const std::filesystem::path path = folder / file;
  std::filesystem::create_directories(path.parent_path());
  WriteFileAtomically(path, document.dump() + "\n");
  const std::vector<Item> items = Task(LoadTaskSpec(task), {.data_dir = folder.path()}).BuildPrompts();
  REQUIRE(items.size() == 1);
  return items[0];
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("multiple choice tasks read the original layouts") {
  const Item arc = Only("arc_challenge", "arc_challenge/test.jsonl",
                        {{"question", "Why?"},
                         {"choices", {{"text", {"a", "b", "c"}}, {"label", {"1", "2", "3"}}}},
                         {"answerKey", "3"}});
  CHECK(arc.contexts == Texts(3, "Question: Why?\nAnswer:"));
  CHECK(arc.continuations == Texts{" a", " b", " c"});
  CHECK(arc.gold == 2);

  const Item openbook = Only("openbookqa", "openbookqa/test.jsonl",
                             {{"question_stem", "The sun"},
                              {"choices", {{"text", {"shines", "sleeps"}}, {"label", {"A", "B"}}}},
                              {"answerKey", " A"}});
  CHECK(openbook.prompt == "The sun");
  CHECK(openbook.gold == 0);

  const Item boolq =
      Only("boolq", "boolq/validation.jsonl", {{"passage", "P."}, {"question", "is it"}, {"answer", true}});
  CHECK(boolq.prompt == "P.\nQuestion: is it?\nAnswer:");
  CHECK(boolq.target == "yes");

  const Item piqa =
      Only("piqa", "piqa/validation.jsonl", {{"goal", "g"}, {"sol1", "one "}, {"sol2", "two"}, {"label", 1}});
  CHECK(piqa.prompt == "Question: g\nAnswer:");
  CHECK(piqa.continuations == Texts{" one ", " two"});
  CHECK(piqa.target == "two");

  const Item hellaswag =
      Only("hellaswag", "hellaswag/validation.jsonl",
           {{"activity_label", "Home and Garden"},
            {"ctx_a", "[header] How to remove ink from paper [title] Use a razor. [step] Hold it  flat."},
            {"ctx_b", "then the MAN scrapes"},
            {"endings", {"[step] it [title] off", " x"}},
            {"label", "1"}});
  CHECK(hellaswag.prompt ==
        "Home and Garden: How to remove ink from paper. Use a razor. Hold it flat. Then the man scrapes");
  CHECK(hellaswag.continuations == Texts{"  it. off", " x"});
  CHECK(hellaswag.gold == 1);
}

TEST_CASE("winogrande: two contexts, one continuation") {
  const Item item = Only(
      "winogrande", "winogrande/validation.jsonl",
      {{"sentence", "Ann beat Eve, so _  cried."}, {"option1", "Ann"}, {"option2", "Eve"}, {"answer", "2"}});
  CHECK(item.contexts == Texts{"Ann beat Eve, so Ann", "Ann beat Eve, so Eve"});
  CHECK(item.continuations == Texts(2, " cried."));
  CHECK(item.gold == 1);
  CHECK(item.choices.empty());
}

TEST_CASE("lambada: the last word after the last space") {
  const Item item = Only("lambada_openai", "lambada_openai/test.jsonl", {{"text", "a b\nc d's"}});
  CHECK(item.prompt == "a b\nc");
  CHECK(item.continuations == Texts{" d's"});
}

TEST_CASE("summarization prompts") {
  const Item xsum = Only("xsum", "xsum/test.jsonl", {{"document", "Long."}, {"summary", "Short."}});
  CHECK(xsum.prompt == "Summarize the following article in one sentence:\n\nLong.\n\nSummary:");
  CHECK(xsum.references == Texts{"Short."});
  CHECK(Only("xsum_lighteval", "xsum/test.jsonl", {{"document", "Long."}, {"summary", "Short."}}).prompt ==
        "Document: Long.\n\nA one-sentence summary of the above document is:");
  CHECK(Only("cnn_dailymail", "cnn_dailymail/test.jsonl", {{"article", "Long."}, {"highlights", "Short."}})
            .prompt == "Summarize the following article:\n\nLong.\n\nSummary:");
  const Item gigaword =
      Only("gigaword", "gigaword/test.jsonl", {{"text", "Long ."}, {"summaries", {"one", "two"}}});
  CHECK(gigaword.prompt == "Summarize the following sentence as a headline:\n\nLong .\n\nHeadline:");
  CHECK(gigaword.references == Texts{"one", "two"});
  CHECK(Only("gigaword", "gigaword/test.jsonl", {{"document", "Long ."}, {"summary", "one"}}).references ==
        Texts{"one"});
}
