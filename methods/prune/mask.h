// Which elements stay: what the pruning stages share.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "methods/stage.h"

namespace tnb {

// A fraction of all elements, or `keep` of every `of` neighbors in a row.
struct PrunePattern {
  double sparsity = 0.5;     // unstructured: fraction that becomes zero
  int64_t keep = 0, of = 0;  // 0: unstructured
  bool structured() const { return of > 0; }
};
PrunePattern PatternFrom(const StageValues& values);
// `pattern` and `sparsity`.
std::vector<ParameterDescription> PatternParameters();
// Error{kUnsupported} when rows of `cols` elements are not whole groups.
void CheckPattern(const PrunePattern& pattern, int64_t cols);

// Among what the fraction is counted when the pattern is unstructured.
enum class PruneScope { kMatrix, kRow };

// bool [rows, cols]: all but the elements with the least scores. Exactly floor(sparsity * count) of every
// scope, or of - keep of every group, are dropped; of equal scores the first. Error{kData} for NaN scores.
at::Tensor KeepLargest(const at::Tensor& scores, const PrunePattern& pattern, PruneScope scope);

}  // namespace tnb
