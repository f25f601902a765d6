// Which documents are shown as examples before an evaluated one, draw for draw as lm-evaluation-harness 0.4
// chooses them, so that its few-shot prompts can be reproduced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/random.h"

namespace tnb {

struct FewshotRule {
  size_t count = 0;
  std::string sampler = "random";  // random | first_n
  // Draw count + 1 and leave out documents equal to the evaluated one (lm-evaluation-harness does so when
  // pool and evaluated documents come from the same, or an unnamed, split).
  bool exclude_evaluated = false;
  int64_t seed = 1234;
  // "lm-eval": one generator, consumed document after document, so the shots of document i depend on all
  // before it. "document": a fresh generator for each document, so that they do not.
  std::string compat = "lm-eval";
};

class FewshotSampler {
 public:
  // `pool` must outlive the sampler.
  FewshotSampler(const FewshotRule& rule, const std::vector<Json>& pool);

  // Indices into the pool for the evaluated document number `index`. Call in order, 0, 1, 2 ...
  // Throws Error{kData} when the pool is too small.
  std::vector<size_t> Draw(size_t index, const Json& evaluated);

 private:
  std::vector<size_t> Sample(size_t population, size_t count);

  FewshotRule rule_;
  const std::vector<Json>& pool_;
  PythonRandom random_;
};

}  // namespace tnb
