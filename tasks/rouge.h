// ROUGE (C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004) as Google's rouge_score
// 0.1.2 computes it, which is what lm-evaluation-harness, HELM and MLPerf print: ROUGE-1, ROUGE-2, ROUGE-L
// over the whole text, ROUGE-Lsum over sentences. Text is lower-cased, every run of characters other than a-z
// and 0-9 separates words, words of four and more letters are stemmed (tasks/porter.h). ROUGE-Lsum takes the
// lines of a text as its sentences: put a '\n' between sentences to get it as published, else it differs from
// ROUGE-L only in counting each word once. Scores are fractions in [0, 1]; a text without words scores 0.
// Never fails. Time and memory of one pair: product of the numbers of words.
#pragma once

#include <string_view>

namespace tnb {

struct RougeScore {
  double precision = 0;  // share of the prediction's units that the reference has
  double recall = 0;     // share of the reference's units that the prediction has
  double f1 = 0;
};

struct RougeScores {
  RougeScore rouge1, rouge2, rougeL, rougeLsum;
};

RougeScores Rouge(std::string_view reference, std::string_view prediction, bool stem = true);

}  // namespace tnb
