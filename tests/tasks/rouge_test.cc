#include "tasks/rouge.h"

#include <string>
#include <utility>
#include <vector>

#include "tasks/porter.h"
#include "tests/support/catch.h"

using namespace tnb;

namespace {

struct Vector {
  std::string reference, prediction;
  bool stem;
  RougeScores scores;  // rouge1, rouge2, rougeL, rougeLsum; each precision, recall, F1
};

// Computed by rouge_score 0.1.2 (RougeScorer.score) with NLTK 3.10.
const std::vector<Vector> kVectors = {
    {"The cats were running quickly.\nDogs slept.",
     "A cat ran quickly.\nThe dogs were sleeping in U.S. beds",
     true,
     {{0.4166666666666667, 0.7142857142857143, 0.5263157894736842},
      {0.0, 0.0, 0.0},
      {0.25, 0.42857142857142855, 0.3157894736842105},
      {0.4166666666666667, 0.7142857142857143, 0.5263157894736842}}},
    {"police killed the gunman",
     "the gunman police killed",
     true,
     {{1.0, 1.0, 1.0},
      {0.6666666666666666, 0.6666666666666666, 0.6666666666666666},
      {0.5, 0.5, 0.5},
      {0.5, 0.5, 0.5}}},
    {"Mañana 3.5% GDP's rise",
     "manana 3.5% gdp rise",
     true,
     {{0.8, 0.5714285714285714, 0.6666666666666666},
      {0.5, 0.3333333333333333, 0.4},
      {0.8, 0.5714285714285714, 0.6666666666666666},
      {0.8, 0.5714285714285714, 0.6666666666666666}}},
    {"", "x", true, {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}}},
    {"x", "", true, {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}}},
    {"... !?", "x", true, {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}}},
    {"a b c d e f",
     "f e d c b a",
     true,
     {{1.0, 1.0, 1.0},
      {0.0, 0.0, 0.0},
      {0.16666666666666666, 0.16666666666666666, 0.16666666666666666},
      {0.16666666666666666, 0.16666666666666666, 0.16666666666666666}}},
    {"Relational organizations generalization happiness",
     "relate organize general happy",
     true,
     {{1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}}},
    {"Relational organizations generalization happiness",
     "relate organize general happy",
     false,
     {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}}},
    {"the the the the",
     "the the",
     true,
     {{1.0, 0.5, 0.6666666666666666},
      {1.0, 0.3333333333333333, 0.5},
      {1.0, 0.5, 0.6666666666666666},
      {1.0, 0.5, 0.6666666666666666}}},
    {"the the\nthe the",
     "the\n\nthe the the\n",
     true,
     {{1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}}},
    {"a b c d\ne f g h",
     "d c b a\ne g h f\na d",
     true,
     {{0.8, 1.0, 0.888888888888889},
      {0.1111111111111111, 0.14285714285714285, 0.125},
      {0.4, 0.5, 0.4444444444444445},
      {0.5, 0.625, 0.5555555555555556}}},
    {"one", "one", true, {{1.0, 1.0, 1.0}, {0.0, 0.0, 0.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}}},
    {"one two",
     "two",
     true,
     {{1.0, 0.5, 0.6666666666666666},
      {0.0, 0.0, 0.0},
      {1.0, 0.5, 0.6666666666666666},
      {1.0, 0.5, 0.6666666666666666}}},
    {"a b a b a b",
     "b a b a",
     true,
     {{1.0, 0.6666666666666666, 0.8},
      {1.0, 0.6, 0.7499999999999999},
      {1.0, 0.6666666666666666, 0.8},
      {1.0, 0.6666666666666666, 0.8}}},
    {"w1 w2 w3 w4 w5",
     "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5",
     true,
     {{0.4, 0.8, 0.5333333333333333},
      {0.1111111111111111, 0.25, 0.15384615384615383},
      {0.4, 0.8, 0.5333333333333333},
      {0.4, 0.8, 0.5333333333333333}}},
    {"\u212Aelvin \u0130zmir",
     "kelvin i zmir",
     true,
     {{1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}}},
    {"AT&T's chief-executive",
     "at t s chief executive",
     true,
     {{1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}}},
    {"The storm left 30,000 homes without power.\nTrains were stopped.",
     "Trains stopped in the storm.\n30000 homes had no power.",
     true,
     {{0.6, 0.5454545454545454, 0.5714285714285713},
      {0.1111111111111111, 0.1, 0.10526315789473685},
      {0.4, 0.36363636363636365, 0.380952380952381},
      {0.6, 0.5454545454545454, 0.5714285714285713}}},
};

// Computed by NLTK 3.10 (PorterStemmer with its default mode).
const std::vector<std::pair<std::string, std::string>> kStems = {{"skies", "sky"},
                                                                 {"sky", "sky"},
                                                                 {"dying", "die"},
                                                                 {"lying", "lie"},
                                                                 {"tying", "tie"},
                                                                 {"news", "news"},
                                                                 {"innings", "inning"},
                                                                 {"outings", "outing"},
                                                                 {"cannings", "canning"},
                                                                 {"howe", "howe"},
                                                                 {"proceed", "proceed"},
                                                                 {"exceed", "exceed"},
                                                                 {"succeed", "succeed"},
                                                                 {"flies", "fli"},
                                                                 {"dies", "die"},
                                                                 {"lies", "lie"},
                                                                 {"ties", "tie"},
                                                                 {"tied", "tie"},
                                                                 {"died", "die"},
                                                                 {"spied", "spi"},
                                                                 {"cries", "cri"},
                                                                 {"cried", "cri"},
                                                                 {"agreed", "agre"},
                                                                 {"feed", "feed"},
                                                                 {"bleed", "bleed"},
                                                                 {"seed", "seed"},
                                                                 {"plastered", "plaster"},
                                                                 {"bled", "bled"},
                                                                 {"motoring", "motor"},
                                                                 {"sing", "sing"},
                                                                 {"conflated", "conflat"},
                                                                 {"troubled", "troubl"},
                                                                 {"sized", "size"},
                                                                 {"hopping", "hop"},
                                                                 {"tanned", "tan"},
                                                                 {"falling", "fall"},
                                                                 {"hissing", "hiss"},
                                                                 {"fizzed", "fizz"},
                                                                 {"failing", "fail"},
                                                                 {"filing", "file"},
                                                                 {"happy", "happi"},
                                                                 {"enjoy", "enjoy"},
                                                                 {"enjoying", "enjoy"},
                                                                 {"boy", "boy"},
                                                                 {"by", "by"},
                                                                 {"say", "say"},
                                                                 {"cry", "cri"},
                                                                 {"relational", "relat"},
                                                                 {"conditional", "condit"},
                                                                 {"rational", "ration"},
                                                                 {"valenci", "valenc"},
                                                                 {"digitizer", "digit"},
                                                                 {"conformabli", "conform"},
                                                                 {"radically", "radic"},
                                                                 {"vietnamization", "vietnam"},
                                                                 {"hopefully", "hope"},
                                                                 {"geology", "geolog"},
                                                                 {"apologi", "apolog"},
                                                                 {"theologi", "theolog"},
                                                                 {"decisiveness", "decis"},
                                                                 {"formaliti", "formal"},
                                                                 {"sensibiliti", "sensibl"},
                                                                 {"triplicate", "triplic"},
                                                                 {"formative", "form"},
                                                                 {"electrical", "electr"},
                                                                 {"goodness", "good"},
                                                                 {"revival", "reviv"},
                                                                 {"allowance", "allow"},
                                                                 {"inference", "infer"},
                                                                 {"airliner", "airlin"},
                                                                 {"adjustable", "adjust"},
                                                                 {"irritant", "irrit"},
                                                                 {"replacement", "replac"},
                                                                 {"adjustment", "adjust"},
                                                                 {"dependent", "depend"},
                                                                 {"adoption", "adopt"},
                                                                 {"religion", "religion"},
                                                                 {"homologous", "homolog"},
                                                                 {"effective", "effect"},
                                                                 {"bowdlerize", "bowdler"},
                                                                 {"probate", "probat"},
                                                                 {"rate", "rate"},
                                                                 {"cease", "ceas"},
                                                                 {"controll", "control"},
                                                                 {"roll", "roll"},
                                                                 {"generalizations", "gener"},
                                                                 {"oscillators", "oscil"},
                                                                 {"ability", "abil"},
                                                                 {"added", "ad"},
                                                                 {"owed", "owe"},
                                                                 {"used", "use"},
                                                                 {"aged", "age"},
                                                                 {"ied", "i"},
                                                                 {"yyy", "yyy"},
                                                                 {"ying", "ying"},
                                                                 {"a1s", "a1"},
                                                                 {"2nds", "2nd"},
                                                                 {"universally", "univers"}};

void CheckEqual(const RougeScore& found, const RougeScore& expected) {
  // Both sides do the same few divisions in double precision.
  CHECK(found.precision == Approx(expected.precision).margin(1e-12).epsilon(0));
  CHECK(found.recall == Approx(expected.recall).margin(1e-12).epsilon(0));
  CHECK(found.f1 == Approx(expected.f1).margin(1e-12).epsilon(0));
}

}  // namespace

TEST_CASE("Porter stems are NLTK's") {
  for (const auto& [word, stem] : kStems) {
    CAPTURE(word);
    CHECK(PorterStem(word) == stem);
  }
}

TEST_CASE("Porter leaves nothing, one and two letters alone") {
  for (const std::string word : {"", "s", "as", "ed", "is", "y", "42"}) CHECK(PorterStem(word) == word);
}

TEST_CASE("ROUGE is rouge_score's") {
  for (const Vector& vector : kVectors) {
    CAPTURE(vector.reference, vector.prediction, vector.stem);
    const RougeScores scores = Rouge(vector.reference, vector.prediction, vector.stem);
    CheckEqual(scores.rouge1, vector.scores.rouge1);
    CheckEqual(scores.rouge2, vector.scores.rouge2);
    CheckEqual(scores.rougeL, vector.scores.rougeL);
    CheckEqual(scores.rougeLsum, vector.scores.rougeLsum);
  }
}

TEST_CASE("ROUGE swaps precision and recall with its texts") {
  const std::string a = "the cat sat on the mat and the dog did not", b = "the dog sat and a cat did too";
  const RougeScores forth = Rouge(a, b), back = Rouge(b, a);
  CHECK(forth.rouge1.precision == back.rouge1.recall);
  CHECK(forth.rouge2.recall == back.rouge2.precision);
  CHECK(forth.rougeL.precision == back.rougeL.recall);
  CHECK(forth.rouge1.precision != forth.rouge1.recall);
}

TEST_CASE("ROUGE takes any bytes") {
  const std::string junk("\x00\xFF caf\xC3 \xE2\x84", 11);
  CHECK(Rouge(junk, junk).rouge1.f1 == 1.0);
  CHECK(Rouge("\xFF\xFE", "\xFF\xFE").rouge1.f1 == 0.0);
}
