// Documents as they are found: what is odd is an error that names file and line, or has the documented
// meaning. Nothing is skipped.
#include "base/error.h"
#include "base/files.h"
#include "tasks/run.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::FunctionModel;
using Texts = std::vector<std::string>;

namespace {

// The message of the error that reading, asking and scoring the documents ends with; "" without one.
std::string Failure(const std::string& task, const std::string& file, const std::string& text,
                    int64_t context_length = 1 << 20) {
  testing::TemporaryFolder folder;
  std::filesystem::create_directories((folder / file).parent_path());
  WriteFileAtomically(folder / file, text);
  try {
    const Task loaded(LoadTaskSpec(task), {.data_dir = folder.path()});
    FunctionModel model(
        [](const ScoreRequest&) {
          return ScoreResult{-1, false};
        },
        [](const std::string&) { return std::string("x"); }, context_length);
    size_t results = 0;
    RunTask(loaded, model, [&](const ItemResult&) { ++results; });
    CHECK(results == loaded.size());
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kData);
    return error.what();
  }
  return "";
}

const char kArc[] = "arc_easy/test.jsonl";
const char kGood[] = R"({"question": "Q?", "choices": ["a", "b", "c"], "gold": 2})"
                     "\n";

}  // namespace

TEST_CASE("bytes that are not UTF-8 are an error with file and line") {
  using Catch::Matchers::Contains;
  const std::string bad = "{\"question\": \"caf\xE9\", \"choices\": [\"a\", \"b\"], \"gold\": 0}\n";
  CHECK_THAT(Failure("arc_easy", kArc, kGood + bad), Contains("test.jsonl:2") && Contains("not UTF-8"));
  CHECK_THAT(Failure("arc_easy", kArc,
                     std::string(kGood) + "{\"question\": \"\\ud800\", \"choices\": [], \"gold\": 0}\n"),
             Contains("test.jsonl:2"));  // half of a surrogate pair
  CHECK_THAT(Failure("mmlu_anatomy", "mmlu/test/anatomy_test.csv",
                     "question,choice0,choice1,choice2,choice3,answer\n\"two\nlines\",a,b,c,\xFF,0\n"),
             Contains("anatomy_test.csv:3") && Contains("not UTF-8"));
}

TEST_CASE("empty documents, fields and files are errors with file and line") {
  using Catch::Matchers::Contains;
  CHECK_THAT(Failure("arc_easy", kArc, ""), Contains("test.jsonl") && Contains("no documents"));
  CHECK_THAT(Failure("arc_easy", kArc, std::string(kGood) + "{}\n"), Contains("test.jsonl:2"));
  CHECK_THAT(Failure("arc_easy", kArc, std::string(kGood) + "\n" + kGood),
             Contains("test.jsonl:2") && Contains("blank"));
  CHECK_THAT(Failure("arc_easy", kArc, R"({"question": "Q?", "choices": ["a", ""], "gold": 0})"),
             Contains("test.jsonl:1") && Contains("choice 1 is empty"));
  CHECK_THAT(Failure("arc_easy", kArc, R"({"question": "Q?", "choices": [], "gold": 0})"),
             Contains("test.jsonl:1"));
  CHECK_THAT(
      Failure("triviaqa", "triviaqa/validation.jsonl", R"({"question": "Q?", "answer": {"aliases": []}})"),
      Contains("validation.jsonl:1") && Contains("aliases"));
  // An empty question is a question: other harnesses ask it too.
  CHECK(Failure("arc_easy", kArc, R"({"question": "", "choices": ["a", "b"], "gold": 0})").empty());
}

TEST_CASE("missing fields name the field, what there is, file and line") {
  using Catch::Matchers::Contains;
  CHECK_THAT(Failure("arc_easy", kArc, std::string(kGood) + R"({"question": "Q?", "gold": 0})"),
             Contains("test.jsonl:2") && Contains("'choices'") && Contains("gold, question"));
  CHECK_THAT(Failure("mmlu_anatomy", "mmlu/test/anatomy_test.csv",
                     "question,choice0,choice1,choice2,answer\nq,a,b,c,0\n"),
             Contains("anatomy_test.csv:2") && Contains("'d'"));
  CHECK_THAT(Failure("copa", "copa/validation.jsonl",
                     R"({"premise": "P.", "question": "why", "choice1": "A", "choice2": "B", "label": 0})"),
             Contains("validation.jsonl:1") && Contains("'connector'"));
  CHECK_THAT(Failure("truthfulqa_mc2", "truthfulqa/validation.jsonl",
                     R"({"question": "Q?", "mc2_targets": {"choices": ["a", "b"], "labels": [1]}})"),
             Contains("validation.jsonl:1") && Contains("as many labels"));
  CHECK_THAT(Failure("truthfulqa_mc2", "truthfulqa/validation.jsonl",
                     R"({"question": "Q?", "mc2_targets": {"choices": ["a", "b"], "labels": [0, 0]}})"),
             Contains("validation.jsonl:1") && Contains("no choice is right"));
}

TEST_CASE("three, four and five choices in one file; equal choices: the first is taken") {
  testing::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "arc_easy");
  WriteFileAtomically(folder / kArc,
                      std::string(kGood) +
                          R"({"question": "R?", "choices": ["a", "b", "c", "d", "e"], "gold": 4})"
                          "\n"
                          R"({"question": "S?", "choices": ["x", "x", "y", "x"], "gold": 1})"
                          "\n");
  const Task task(LoadTaskSpec("arc_easy"), {.data_dir = folder.path()});
  FunctionModel model([](const ScoreRequest&) { return ScoreResult{-1, false}; });
  std::vector<size_t> counts(3);
  RunTask(task, model, [&](const ItemResult& result) {
    counts.at(result.doc) = result.log_likelihoods.size();
    CHECK(result.scores.at("acc") ==
          0.0);  // the first choice is wrong, the equal one after it does not count
  });
  CHECK(counts == std::vector<size_t>{3, 5, 4});
}

TEST_CASE(
    "a document longer than the context loses its beginning and says so; one that cannot fit is an error") {
  using Catch::Matchers::Contains;
  testing::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "arc_easy");
  WriteFileAtomically(folder / kArc, kGood);
  const Task task(LoadTaskSpec("arc_easy"), {.data_dir = folder.path()});
  FunctionModel model(
      [](const ScoreRequest& request) {
        return ScoreResult{-1.0 * static_cast<double>(request.tokens.size()), false};
      },
      nullptr, 10);
  RunTask(task, model, [&](const ItemResult& result) {
    CHECK(result.truncated_tokens == 11);  // 20 of context and 2 of choice in 11
    CHECK(result.log_likelihoods == std::vector<double>{-11, -11, -11});
  });
  const std::string message =
      Failure("arc_easy", kArc, R"({"question": "Q?", "choices": ["a", "much too long"], "gold": 0})", 10);
  CHECK_THAT(message, Contains("test.jsonl:1") && Contains("longer than the model's context"));
}
