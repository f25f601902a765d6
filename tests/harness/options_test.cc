#include "harness/options.h"

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "tests/support/catch.h"

namespace tnb {
namespace {

using Catch::Matchers::Contains;
using Words = std::vector<std::string>;

struct Values {
  std::string text = "as before", place;
  int whole = 1;
  int64_t large = 2;
  double real = 0.5;
  std::optional<int> maybe;
  std::optional<int64_t> maybe_large;
  std::vector<int> wholes = {1};
  Words texts;
  bool flag = false;
};

Values Parse(const Words& arguments) {
  Values values;
  const auto declare = [&](OptionList& options) {
    options.Add("--text", values.text, "").OneOf({"as before", "other"}).ShowDefault();
    options.Add("place", values.place, "").Required();
    options.Add("-w,--whole", values.whole, "").Between(1, 9);
    options.Add("--large", values.large, "");
    options.Add("--real", values.real, "").Between(0.0, 1.0);
    const DeclaredOption maybe = options.Add("--maybe", values.maybe, "").NonNegative();
    options.Add("--maybe-large", values.maybe_large, "").Positive().Needs(maybe);
    options.Add("--wholes", values.wholes, "").CommaSeparated();
    options.Add("--texts", values.texts, "").ShownAs("NAME...");
    options.Flag("--flag", values.flag, "");
    options.Add("--gone", values.text, "");
    options.Remove("--gone");
  };
  ParseOptions(arguments, declare, "block 3", "tnbench play");
  return values;
}

std::string Failure(const Words& arguments) {
  try {
    Parse(arguments);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUsage);
    CHECK(error.detail().where == "block 3");
    CHECK(error.detail().hint == "tnbench play --help");
    return error.detail().what;
  }
  return "no error";
}

TEST_CASE("options of every type are read, and those not given stay what they were") {
  const Values few = Parse({"here"});
  CHECK(few.place == "here");
  CHECK(few.text == "as before");
  CHECK((few.whole == 1 && few.large == 2 && few.real == 0.5 && !few.flag));
  CHECK((!few.maybe && !few.maybe_large && few.texts.empty() && few.wholes == std::vector<int>{1}));
  const Values all = Parse({"--text", "other", "-w", "9", "--large=9000000000", "--real", "0.25", "here",
                            "--maybe", "0", "--wholes", "4,5", "--flag", "--maybe-large", "8000000000"});
  CHECK(all.text == "other");
  CHECK((all.whole == 9 && all.large == 9000000000 && all.real == 0.25 && all.flag));
  CHECK((all.maybe == 0 && all.maybe_large == 8000000000));
  CHECK(all.wholes == std::vector<int>{4, 5});
  CHECK(Parse({"here", "--texts", "a", "b"}).texts == Words{"a", "b"});
}

TEST_CASE("of an option given twice the last one counts") {
  CHECK(Parse({"here", "--whole", "3", "--whole", "4"}).whole == 4);
}

TEST_CASE("values that do not fit are named") {
  CHECK_THAT(Failure({}), Contains("place"));
  CHECK_THAT(Failure({"here", "--text", "third"}), Contains("--text") && Contains("third"));
  CHECK_THAT(Failure({"here", "--whole", "0"}), Contains("--whole"));
  CHECK_THAT(Failure({"here", "--whole", "10"}), Contains("--whole"));
  CHECK_THAT(Failure({"here", "--whole", "1.5"}), Contains("--whole"));
  CHECK_THAT(Failure({"here", "--real", "1.01"}), Contains("--real"));
  CHECK_THAT(Failure({"here", "--maybe", "-1"}), Contains("--maybe"));
  CHECK_THAT(Failure({"here", "--maybe", "1", "--maybe-large", "0"}), Contains("--maybe-large"));
  CHECK_THAT(Failure({"here", "--maybe-large", "1"}), Contains("--maybe"));
  CHECK_THAT(Failure({"here", "--wholes", "4,x"}), Contains("--wholes"));
  CHECK_THAT(Failure({"here", "--gone", "x"}), Contains("--gone"));
}

}  // namespace
}  // namespace tnb
