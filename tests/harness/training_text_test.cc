// Every form of a text to train on, on byte tokens: what is read, and what of it counts.
#include "harness/training_text.h"

#include "base/error.h"
#include "base/files.h"
#include "tests/support/catch.h"
#include "tests/support/support.h"
#include "tests/tasks/fake_model.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;

class Reader {
 public:
  std::vector<TrainingDocument> Read(const std::string& name, const std::string& content) const {
    WriteFileAtomically(folder_ / name, content);
    return ReadTrainingDocuments(folder_ / name, {}, tokenizer_);
  }
  // The text, what counts of it in brackets.
  std::string Shown(const TrainingDocument& document) const {
    std::string text;
    bool counts = false;
    for (size_t i = 0; i < document.tokens.size(); ++i) {
      const bool now = document.weights.empty() || document.weights[i] > 0;
      if (now != counts) text += now ? "[" : "]";
      counts = now;
      text += document.tokens[i] == tokenizer_.eos() ? "$" : tokenizer().Decode({document.tokens[i]});
    }
    return text + (counts ? "]" : "");
  }
  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  testing::TemporaryFolder folder_;
  testing::ByteTokenizer tokenizer_;
};

}  // namespace

TEST_CASE("a plain text is one document, of which everything counts") {
  const Reader reader;
  const auto documents = reader.Read("a.txt", "One.\nTwo.");
  REQUIRE(documents.size() == 1);
  CHECK(reader.Shown(documents[0]) == "[One.\nTwo.]");
}

TEST_CASE("of instructions only the answers count") {
  const Reader reader;
  const std::string end = reader.tokenizer().eos() >= 0 ? "$" : "";
  const auto shown = [&](const std::string& record) {
    const auto documents = reader.Read("a.jsonl", record + "\n");
    REQUIRE(documents.size() == 1);
    return reader.Shown(documents[0]);
  };
  CHECK(shown(R"({"text":"Hello."})") == "[Hello.]");
  CHECK(shown(R"({"instruction":"Add.","input":"1 2","output":"3"})") ==
        "### Instruction:\nAdd.\n\n1 2\n\n### Response:\n[3" + end + "]");
  CHECK(shown(R"({"instruction":"Add.","context":"","response":"3"})") ==
        "### Instruction:\nAdd.\n\n### Response:\n[3" + end + "]");
  CHECK(shown(R"({"prompt":"Q: ","response":"A"})") == "Q: [A" + end + "]");
  CHECK(shown(R"({"messages":[{"role":"system","content":"Be."},{"role":"user","content":"Hi"},)"
              R"({"role":"assistant","content":"Ho"},{"role":"user","content":"Hm"},)"
              R"({"role":"assistant","content":"Ha"}]})") ==
        "Be.\n\n### Instruction:\nHi\n\n### Response:\n[Ho" + end +
            "]### Instruction:\nHm\n\n### Response:\n[Ha" + end + "]");
  CHECK(shown(R"({"conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Ho"}]})") ==
        "### Instruction:\nHi\n\n### Response:\n[Ho" + end + "]");
}

TEST_CASE("records of no known form are errors that name the line") {
  const Reader reader;
  CHECK_THROWS_WITH(reader.Read("a.jsonl", "{\"text\":\"x\"}\n{\"question\":\"y\"}\n"),
                    Contains("none of the known forms") && Contains("a.jsonl:2"));
  CHECK_THROWS_WITH(reader.Read("a.jsonl", "{\"instruction\":\"x\"}\n"), Contains("response"));
  CHECK_THROWS_WITH(reader.Read("a.jsonl", "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}\n"),
                    Contains("unknown role") && Contains("tool"));
  CHECK_THROWS_WITH(reader.Read("a.jsonl", "{\"messages\":3}\n"), Contains("not a list of turns"));
}

}  // namespace tnb
