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

TEST_CASE("the layouts of the original authors are read too") {
  const Json stem = {
      {"question",
       {{"stem", "Why?"}, {"choices", {{{"text", "a"}, {"label", "A"}}, {{"text", "b"}, {"label", "B"}}}}}},
      {"answerKey", "B"}};
  const Item arc = Only("arc_easy", "arc_easy/test.jsonl", stem);
  CHECK(arc.prompt == "Question: Why?\nAnswer:");
  CHECK(arc.choices == Texts{"a", "b"});
  CHECK(arc.gold == 1);
  const Item openbook = Only("openbookqa", "openbookqa/test.jsonl", stem);
  CHECK(openbook.prompt == "Why?");
  CHECK(openbook.target == "b");

  Json five = stem;
  for (const char* letter : {"C", "D", "E"}) {
    five["question"]["choices"].push_back({{"text", std::string("t") + letter}, {"label", letter}});
  }
  const Item commonsense = Only("commonsense_qa", "commonsense_qa/validation.jsonl", five);
  CHECK(commonsense.prompt == "Question: Why?\nA. a\nB. b\nC. tC\nD. tD\nE. tE\nAnswer:");
  CHECK(commonsense.choices == Texts{"A", "B", "C", "D", "E"});
  CHECK(commonsense.gold == 1);

  // MMLU's own CSV files have no header row and letters as answers.
  testing::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "mmlu/data/test");
  std::filesystem::create_directories(folder / "mmlu/data/dev");
  WriteFileAtomically(folder / "mmlu/data/test/anatomy_test.csv",
                      "\" Where, then?\",here,\"th\nere\",no,yes,C\n");
  WriteFileAtomically(folder / "mmlu/data/dev/anatomy_dev.csv", "One?,1,2,3,4,A\nTwo?,1,2,3,4,B\n");
  const Item mmlu =
      Task(LoadTaskSpec("mmlu_anatomy"), {.data_dir = folder.path(), .num_fewshot = 1}).BuildPrompts().at(0);
  CHECK(mmlu.prompt ==
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
        "One?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: A\n\n"
        "Where, then?\nA. here\nB. th\nere\nC. no\nD. yes\nAnswer:");
  CHECK(mmlu.continuations == Texts{" A", " B", " C", " D"});
  CHECK(mmlu.gold == 2);
}

TEST_CASE("layouts of the hub and of llm-foundry give the same prompts") {
  const Item hub = Only("mmlu_high_school_physics", "mmlu/high_school_physics/test.jsonl",
                        {{"question", "Why? "}, {"choices", {"a", "b", "c", "d"}}, {"answer", 3}});
  CHECK(hub.prompt ==
        "The following are multiple choice questions (with answers) about high school physics.\n\n"
        "Why?\nA. a\nB. b\nC. c\nD. d\nAnswer:");
  CHECK(hub.gold == 3);
  CHECK(Only("mmlu_anatomy_continuation", "mmlu/anatomy/test.jsonl",
             {{"question", "Why? "}, {"choices", {"a", "b", "c", "d"}}, {"answer", 3}})
            .continuations == Texts{" a", " b", " c", " d"});

  const Item trivia =
      Only("triviaqa", "triviaqa/validation.jsonl",
           {{"context", "Question: Who?\nAnswer:"}, {"aliases", {"Me", "I"}}, {"answer", "Me"}});
  CHECK(trivia.prompt == "Question: Who??\nAnswer:");
  CHECK(trivia.references == Texts{"Me", "I"});

  const Item copa = Only("copa", "copa/validation.jsonl",
                         {{"premise", "The lamp went out. "},
                          {"question", "effect"},
                          {"choice1", "It got dark."},
                          {"choice2", "The door opened."},
                          {"label", 0}});
  const Item foundry = Only("copa", "copa/validation.jsonl",
                            {{"query", "The lamp went out, therefore"},
                             {"choices", {"it got dark.", "the door opened."}},
                             {"gold", 0}});
  CHECK(copa.prompt == "The lamp went out therefore");
  CHECK(copa.prompt == foundry.prompt);
  CHECK(copa.continuations == Texts{"  it got dark.", "  the door opened."});
  CHECK(copa.continuations == foundry.continuations);

  const Item social = Only("social_iqa", "siqa/validation.jsonl",
                           {{"context", "Ana ran."},
                            {"question", "Why?"},
                            {"answerA", "to win"},
                            {"answerB", "to lose"},
                            {"answerC", "to sit"},
                            {"label", "3"}});
  CHECK(social.prompt == "Q: Ana ran. Why?\nA:");
  CHECK(social.continuations == Texts{" to win", " to lose", " to sit"});
  CHECK(social.gold == 2);
  const Item two =
      Only("social_iqa", "siqa/validation.jsonl",
           {{"query", "Context: Ana ran.\nQuestion: Why?\nChoices:\nA. to win\nB. to lose\nAnswer:"},
            {"choices", {"A", "B"}},
            {"gold", 1}});
  CHECK(two.prompt == social.prompt);
  CHECK(two.continuations == Texts{" to win", " to lose"});
  CHECK(two.target == "to lose");

  const Item four = Only("commonsense_qa", "commonsense_qa/validation.jsonl",
                         {{"query", "Question: Why?\nChoices:\nA. a\nB. b\nC. c\nD. d\nAnswer:"},
                          {"choices", {"A", "B", "C", "D"}},
                          {"gold", 2}});
  CHECK(four.prompt == "Question: Why?\nA. a\nB. b\nC. c\nD. d\nAnswer:");
  CHECK(four.target == "C");

  const Item svamp =
      Only("svamp", "svamp/test.jsonl",
           {{"Body", "Ed has 3 pens."}, {"Question", "How many are 3 more?"}, {"Answer", "6.0"}});
  CHECK(svamp.prompt.starts_with("Q: There are 15 trees in the grove."));
  CHECK(svamp.prompt.ends_with("The answer is 8.\n\nQ: Ed has 3 pens. How many are 3 more?\nA:"));
  CHECK(svamp.target == "6");
}

TEST_CASE("truthfulqa: six fixed examples; labels say what is true") {
  const Json document = {{"question", "Do fish vote?"},
                         {"mc1_targets", {{"choices", {"Yes", "No"}}, {"labels", {0, 1}}}},
                         {"mc2_targets", {{"choices", {"No", "Never", "Yes"}}, {"labels", {1, 1, 0}}}}};
  const Item one = Only("truthfulqa_mc1", "truthfulqa/validation.jsonl", document);
  CHECK(one.prompt.starts_with("Q: What is human life expectancy in the United States?\nA: Human life"));
  CHECK(one.prompt.ends_with("were held in Barcelona, Spain.\n\nQ: Do fish vote?\nA:"));
  CHECK(one.gold == 1);
  const Item several = Only("truthfulqa_mc2", "truthfulqa/validation.jsonl", document);
  CHECK(several.prompt == one.prompt);
  CHECK(several.labels == std::vector<bool>{true, true, false});
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
