#include "datasets/overlap.h"

#include <string>

#include "tests/support/catch.h"

namespace tnb {
namespace {

const char kSentence[] = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";

}  // namespace

TEST_CASE("thirteen words in a row are found, twelve are not") {
  WordRuns runs;
  CHECK(runs.empty());
  runs.Add(std::string("Something else. ") + kSentence + ". And more.");
  const Overlap all = runs.Look(kSentence);
  CHECK(all.runs == 2);
  CHECK(all.found == 2);
  const Overlap changed =
      runs.Look("ONE, two: three--four (five) six 'seven' eight\nnine ten eleven twelve thirteen apples");
  CHECK(changed.runs == 2);
  CHECK(changed.found == 1);  // case and punctuation do not matter
  CHECK(runs.Look("zero two three four five six seven eight nine ten eleven twelve thirteen apples").found ==
        0);
  CHECK(runs.Look("one two three four five six seven eight nine ten eleven twelve").runs == 0);
  CHECK(runs.Look("").runs == 0);
}

TEST_CASE("order, letters of other scripts and the ends of texts count") {
  WordRuns runs;
  runs.Add(kSentence);
  CHECK(runs.Look("two one three four five six seven eight nine ten eleven twelve thirteen fourteen").found ==
        0);
  WordRuns apart;
  apart.Add("one two three four five six seven");
  apart.Add("eight nine ten eleven twelve thirteen fourteen");
  CHECK(apart.empty());
  WordRuns other;
  std::string text;
  for (int i = 0; i < 13; ++i) text += "größe" + std::to_string(i) + " ";
  other.Add(text);
  CHECK(other.Look(text).found == 1);
  CHECK(other.Look(text.substr(0, text.size() - 2) + "x").found == 0);
}

}  // namespace tnb
