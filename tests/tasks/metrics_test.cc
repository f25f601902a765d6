#include "tasks/metrics.h"

#include <cmath>

#include "base/error.h"
#include "tests/support/catch.h"

using namespace tnb;

namespace {

TaskSpec Spec(TaskForm form, std::vector<std::string> metrics) {
  TaskSpec spec;
  spec.name = std::string("test");
  spec.form = form;
  spec.main_metric = metrics[0];
  spec.metrics = std::move(metrics);
  return spec;
}

}  // namespace

TEST_CASE("acc_norm counts code points, acc_bytes bytes") {
  // Three characters in nine bytes against four in four.
  const std::vector<std::string> choices = {"\u65E5\u672C\u8A9E", "abcd"};
  const Scores scores = ScoreChoices({-6.0, -7.0}, choices, 1);
  CHECK(scores.at("acc") == 0.0);
  CHECK(scores.at("acc_norm") == 1.0);   // -2 a character against -1.75
  CHECK(scores.at("acc_bytes") == 0.0);  // -0.67 a byte against -1.75
}

TEST_CASE("mc2 is the normalized probability of the right choices") {
  // Probabilities 0.1, 0.3 and 0.4 of which the first two are right: 0.4 / 0.8.
  const std::vector<double> values = {std::log(0.1), std::log(0.3), std::log(0.4)};
  CHECK(TrueMass(values, {true, true, false}) == Approx(0.5));
  // Far below what exp can hold the ratio is the same.
  CHECK(TrueMass({values[0] - 2000, values[1] - 2000, values[2] - 2000}, {true, true, false}) == Approx(0.5));
}

TEST_CASE("of equal choices the first is taken") {
  CHECK(FirstArgmax({-2, -1, -1}) == 1);
  CHECK(ScoreChoices({-1, -1, -1}, {"same", "same", "same"}, 0).at("acc") == 1.0);
  CHECK(ScoreChoices({-1, -1, -1}, {"same", "same", "same"}, 1).at("acc_norm") == 0.0);
}

TEST_CASE("filters: the selected match, its first group that is not empty, or [invalid]") {
  const AnswerFilter whole{"w", Regex("[0-9]+", "t"), 1}, last{"l", Regex("x(\\d*)|y( ?\\d+)", "t"), -1};
  CHECK(ApplyFilter(whole, "1 22 333") == "22");
  CHECK(ApplyFilter(whole, "1") == "[invalid]");
  CHECK(ApplyFilter(last, "x1 y 2") == "2");
  CHECK(ApplyFilter(last, "y1 x") == "[invalid]");
  CHECK(ApplyFilter(last, "") == "[invalid]");
}

TEST_CASE("exact match normalizes both sides; any reference counts") {
  TaskSpec spec = Spec(TaskForm::kGenerate, {"exact_match"});
  CHECK(ScoreText(spec, " Paris.", {"paris"}).at("exact_match") == 0.0);
  spec.ignore_case = spec.ignore_punctuation = spec.collapse_space = true;
  CHECK(ScoreText(spec, " Paris.", {"London", "paris"}).at("exact_match") == 1.0);
  CHECK(ScoreText(spec, "\u00C9t\u00E9", {"\u00E9T\u00C9"}).at("exact_match") == 1.0);
  CHECK(ScoreText(spec, " \n", {"x"}).at("empty") == 1.0);
}

TEST_CASE("expressions are removed in the order given") {
  TaskSpec spec = Spec(TaskForm::kGenerate, {"exact_match"});
  spec.remove = {Regex("\\.$", "t"), Regex("b", "t")};
  CHECK(ScoreText(spec, "a.b", {"a."}).at("exact_match") == 0.0);  // "a." against "a"
  spec.remove = {Regex("b", "t"), Regex("\\.$", "t")};
  CHECK(ScoreText(spec, "a.b", {"a."}).at("exact_match") == 1.0);
}

TEST_CASE("ROUGE takes the best reference") {
  const TaskSpec spec = Spec(TaskForm::kSummarize, {"rouge1", "rouge2", "rougeL"});
  const Scores scores =
      ScoreText(spec, "the gunman police killed", {"nothing alike", "police killed the gunman"});
  CHECK(scores.at("rouge1") == Approx(1.0));
  CHECK(scores.at("rouge2") == Approx(2.0 / 3));
  CHECK(scores.at("rougeL") == Approx(0.5));
}

TEST_CASE("means and their standard errors") {
  const TaskSpec spec = Spec(TaskForm::kMultipleChoice, {"acc"});
  const auto rows = Aggregate(spec, {{{"acc", 1}}, {{"acc", 0}}, {{"acc", 1}}, {{"acc", 1}}});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].value == 0.75);
  CHECK(rows[0].se.value() == Approx(0.25));  // sqrt(0.75 / 3) / 2
  CHECK(rows[0].n == 4);
  CHECK(rows[0].main);
  CHECK(rows[0].filter == "none");
  CHECK_FALSE(Aggregate(spec, {{{"acc", 1}}})[0].se);
}

TEST_CASE("perplexities are ratios of sums") {
  const TaskSpec spec = Spec(TaskForm::kRolling, {"ppl.lmeval", "ppl.lmeval_byte", "bits_per_byte"});
  const std::vector<Scores> items = {{{"loglikelihood", -10}, {"words", 2}, {"bytes", 10}},
                                     {{"loglikelihood", -50}, {"words", 18}, {"bytes", 90}}};
  const auto rows = Aggregate(spec, items);
  CHECK(rows[0].value == Approx(std::exp(3.0)));
  CHECK(rows[1].value == Approx(std::exp(0.6)));
  CHECK(rows[2].value == Approx(0.6 / std::log(2.0)));
  // Residuals 10 - 3 * 2 and 50 - 3 * 18 are 4 and -4: sqrt(2 / 1 * 32) / 20 = 0.4 before exp.
  CHECK(rows[0].se.value() == Approx(0.4 * std::exp(3.0)));
  CHECK_FALSE(rows[0].higher_is_better);
  const auto ruined = Aggregate(spec, {{{"loglikelihood", -1e6}, {"words", 1}, {"bytes", 1}}});
  CHECK(std::isinf(ruined[0].value));
}

TEST_CASE("a missing or infinite score is an error, never a zero") {
  const TaskSpec spec = Spec(TaskForm::kMultipleChoice, {"acc"});
  CHECK_THROWS_AS(Aggregate(spec, {}), Error);
  CHECK_THROWS_AS(Aggregate(spec, {{{"acc", 1}}, {}}), Error);
  CHECK_THROWS_AS(Aggregate(spec, {{{"acc", std::nan("")}}}), Error);
  CHECK_THROWS_AS(
      Aggregate(Spec(TaskForm::kRolling, {"ppl.lmeval"}), {{{"loglikelihood", -1}, {"words", 0}}}), Error);
}
