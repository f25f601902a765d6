#include "methods/factorize/sparse_part.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "methods/prune/mask.h"

namespace tnb {
namespace {

PrunePattern PatternOf(const SparseOptions& options) {
  PrunePattern pattern;
  if (options.two_of_four) {
    pattern.keep = 2;
    pattern.of = 4;
  } else {
    pattern.sparsity = 1 - options.density;
  }
  return pattern;
}

bool HasResidual(const SparseOptions& options) { return options.two_of_four || options.density > 0; }

}  // namespace

int64_t SparseCount(const SparseOptions& options, int64_t rows, int64_t cols) {
  const int64_t all = rows * cols;
  int64_t count = std::min(options.superweights, all);
  if (options.two_of_four) {
    CheckPattern(PatternOf(options), cols);
    count += all / 2;
  } else {
    count += all - static_cast<int64_t>((1 - options.density) * static_cast<double>(all));
  }
  return std::min(count, all);
}

at::Tensor Superweights(const SparseOptions& options, const at::Tensor& w) {
  if (options.superweights == 0) return {};
  const int64_t count = std::min(options.superweights, w.numel());
  at::Tensor kept = at::zeros({w.numel()}, at::kBool);
  kept.index_fill_(0, std::get<1>(at::topk(w.abs().reshape({-1}), count)), true);
  return kept.view(w.sizes());
}

std::unique_ptr<Linear> AddSparse(const SparseOptions& options, std::unique_ptr<Linear> network,
                                  const at::Tensor& w, const at::Tensor& importance) {
  at::Tensor kept = Superweights(options, w);
  if (!kept.defined() && !HasResidual(options)) return network;
  const at::Tensor residual = w - network->Rebuild();
  if (HasResidual(options)) {
    at::Tensor scores = residual.abs();
    if (importance.defined()) scores = scores * importance;
    if (kept.defined()) scores = scores.masked_fill(kept, 0);
    const at::Tensor largest = KeepLargest(scores, PatternOf(options), PruneScope::kMatrix);
    kept = kept.defined() ? at::logical_or(kept, largest) : largest;
  }
  std::vector<std::unique_ptr<Linear>> parts;
  parts.push_back(std::move(network));
  parts.push_back(MakeDenseLinear(MakeSparseWeight(kept, residual)));
  return MakeSumLinear(std::move(parts));
}

}  // namespace tnb
