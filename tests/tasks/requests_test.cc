#include "tasks/requests.h"

#include "base/error.h"
#include "tests/support/catch.h"
#include "tests/tasks/fake_model.h"

using namespace tnb;
using testing::ByteTokenizer;

namespace {

// As ByteTokenizer, but "ab" is one token: tokens may reach across the end of a context.
class PairTokenizer : public ByteTokenizer {
 public:
  using ByteTokenizer::ByteTokenizer;
  TokenIds Encode(std::string_view text, bool, int64_t*) const override {
    TokenIds ids;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text.substr(i, 2) == "ab") {
        ids.push_back(300);
        ++i;
      } else {
        ids.push_back(1 + static_cast<unsigned char>(text[i]));
      }
    }
    return ids;
  }
};

TokenIds Bytes(const std::string& text) { return ByteTokenizer().Encode(text, false, nullptr); }

TokenIds operator+(TokenIds a, const TokenIds& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TaskSpec Spec(TaskForm form) {
  TaskSpec spec;
  spec.name = std::string("test");
  spec.form = form;
  spec.max_new_tokens = 4;
  return spec;
}

}  // namespace

TEST_CASE("white space at the end of the context belongs to the continuation") {
  const auto [context, continuation] = EncodePair(ByteTokenizer(), "Q: \n", " yes");
  CHECK(context == Bytes("Q:"));
  CHECK(continuation == Bytes(" \n yes"));
}

TEST_CASE("BOS is added where the tokenizer says so, and not twice") {
  const ByteTokenizer with(true);
  CHECK(EncodePair(with, "a", " b") == std::make_pair(TokenIds{0} + Bytes("a"), Bytes(" b")));
  CHECK(EncodeSequence(with, "<s>a") == Bytes("<s>a"));
  CHECK(EncodeSequence(with, "a") == TokenIds{0} + Bytes("a"));
  CHECK(EncodeSequence(ByteTokenizer(), "a") == Bytes("a"));
}

TEST_CASE("the pair is encoded as one text and cut at the context's own length") {
  // "xa" + "b": the whole is x, ab; the context alone is x, a; nothing is left.
  const auto [context, continuation] = EncodePair(PairTokenizer(), "xa", "b");
  CHECK(context == Bytes("xa"));
  CHECK(continuation.empty());
  const auto [head, tail] = EncodePair(PairTokenizer(), "xa", "bc");
  CHECK(head == Bytes("xa"));
  CHECK(tail == Bytes("c"));
}

TEST_CASE("an empty context is the prefix token, without BOS before the continuation") {
  CHECK(EncodePair(ByteTokenizer(true), "", " b") == std::make_pair(TokenIds{0}, Bytes(" b")));
  CHECK(EncodePair(ByteTokenizer(true), " \n", "b") == std::make_pair(TokenIds{0}, Bytes(" \nb")));
}

TEST_CASE("a context that is too long loses its beginning") {
  Item item;
  item.contexts = {"abcdef", "f"};
  item.continuations = {" xy", " xy"};
  AddRequests(Spec(TaskForm::kMultipleChoice), ByteTokenizer(), 5, "d:1", item);
  CHECK(item.scores[0].tokens == Bytes("def xy"));  // five inputs and the last token
  CHECK(item.scores[0].first_scored == 3);
  CHECK(item.scores[1].tokens == Bytes("f xy"));
  CHECK(item.scores[1].first_scored == 1);
  CHECK(item.truncated_tokens == 3);

  Item exact;
  exact.contexts = {"ab"};
  exact.continuations = {" wxyz"};
  AddRequests(Spec(TaskForm::kLogLikelihood), ByteTokenizer(), 5, "d:1", exact);
  CHECK(exact.scores[0].first_scored == 1);  // at least one token of context stays
  Item longer;
  longer.contexts = {"ab"};
  longer.continuations = {" vwxyz"};
  CHECK_THROWS_AS(AddRequests(Spec(TaskForm::kLogLikelihood), ByteTokenizer(), 5, "d:1", longer), Error);
  Item nothing;
  nothing.contexts = {"xa"};
  nothing.continuations = {"b"};
  CHECK_THROWS_AS(AddRequests(Spec(TaskForm::kLogLikelihood), PairTokenizer(), 5, "d:1", nothing), Error);
}

TEST_CASE("a prompt leaves room for what is generated") {
  Item item;
  item.prompt = "abcdefgh";
  AddRequests(Spec(TaskForm::kGenerate), ByteTokenizer(), 10, "d:1", item);
  CHECK(item.generation->prompt == Bytes("cdefgh"));
  CHECK(item.generation->max_new_tokens == 4);
  CHECK(item.truncated_tokens == 2);
  CHECK_THROWS_AS(AddRequests(Spec(TaskForm::kGenerate), ByteTokenizer(), 4, "d:1", item), Error);
}

TEST_CASE("a rolling text is encoded as a sequence after the prefix token") {
  Item item;
  item.target = "abc";
  AddRequests(Spec(TaskForm::kRolling), ByteTokenizer(true), 10, "d:1", item);
  REQUIRE(item.scores.size() == 1);
  CHECK(item.scores[0].tokens == TokenIds{0, 0} + Bytes("abc"));
  CHECK(item.scores[0].first_scored == 1);
}
