#include "methods/prune/mask.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace tnb {

PrunePattern PatternFrom(const StageValues& values) {
  PrunePattern pattern;
  const std::string& text = values.Text("pattern");
  if (text == "unstructured") {
    pattern.sparsity = values.Real("sparsity");
  } else {
    const size_t colon = text.find(':');
    pattern.keep = std::stoll(text.substr(0, colon));
    pattern.of = std::stoll(text.substr(colon + 1));
    pattern.sparsity = 1 - static_cast<double>(pattern.keep) / static_cast<double>(pattern.of);
  }
  return pattern;
}

std::vector<ParameterDescription> PatternParameters() {
  using Type = ParameterDescription::Type;
  return {{"pattern",
           Type::kChoice,
           "unstructured",
           "unstructured: a fraction of the elements; 2:4, 4:8: so many of so many neighbors in a row stay",
           0,
           0,
           {"unstructured", "2:4", "4:8"}},
          {"sparsity",
           Type::kReal,
           "0.5",
           "fraction of the elements that become zero",
           0,
           0.999,
           {},
           "pattern=unstructured"}};
}

void CheckPattern(const PrunePattern& pattern, int64_t cols) {
  if (!pattern.structured() || cols % pattern.of == 0) return;
  throw Error(ErrorKind::kUnsupported,
              {"the rows of a matrix are not whole groups of the pattern",
               "a multiple of " + std::to_string(pattern.of), std::to_string(cols), "",
               "use pattern=unstructured, or leave the matrix out of the selector"});
}

at::Tensor KeepLargest(const at::Tensor& scores, const PrunePattern& pattern, PruneScope scope) {
  if (scores.isnan().any().item<bool>()) {
    throw Error(ErrorKind::kData, {"a weight or a statistic is NaN", "", "", "", "check the checkpoint"});
  }
  CheckPattern(pattern, scores.size(1));
  at::Tensor lines;  // one scope a line
  int64_t dropped;
  if (pattern.structured()) {
    lines = scores.reshape({-1, pattern.of});
    dropped = pattern.of - pattern.keep;
  } else {
    lines = scope == PruneScope::kMatrix ? scores.reshape({1, -1}) : scores;
    dropped = static_cast<int64_t>(pattern.sparsity * static_cast<double>(lines.size(1)));
  }
  const at::Tensor order = std::get<1>(at::sort(lines, /*stable=*/true, 1, /*descending=*/false));
  return at::ones(lines.sizes(), at::kBool)
      .scatter_(1, order.narrow(1, 0, dropped), false)
      .view(scores.sizes());
}

}  // namespace tnb
