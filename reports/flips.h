// Flips: single answers that a compressed model gives in another way than the base model, paired by document.
// An accuracy can stay the same while many answers change ("Accuracy is Not All You Need", arXiv 2407.09141).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "records/store.h"

namespace tnb {

struct TaskFlips {
  std::string task;
  std::string metric;  // the task's main one; with its filter: "exact_match,strict-match"
  int64_t items = 0;   // documents that both answered
  // By the main metric; absent where that does not say right or wrong (ROUGE).
  std::optional<int64_t> right_to_wrong{}, wrong_to_right{};
  // Another answer, right or not: another text, another choice of the largest log-likelihood, or right in one
  // and wrong in the other (which decides for metrics that weigh log-likelihoods by length).
  int64_t changed = 0;
};

// One entry a task that both quality phases (PhaseRow::data_id) measured with the same protocol and that has
// answers: perplexities of texts have none. By name.
std::vector<TaskFlips> CountFlips(const Store& store, int64_t base_data_id, int64_t data_id);

// Whether a canonical method is that storage format for the whole model: "fp32@all", "bf16:act=bf16@all".
bool IsUncompressed(const std::string& method, const std::string& format);
// The newest run with quality of the same model and settings that is uncompressed: fp32, else fp16, else
// bf16. Nothing when there is none, or when the run is that run.
std::optional<RunView> BaseRunOf(const Store& store, const RunView& run);

}  // namespace tnb
