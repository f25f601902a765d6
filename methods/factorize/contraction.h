// In which order the tensors of a small network are contracted. A bad order of a ring of four cores needs a
// hundred times the arithmetic of a good one, and as much more memory.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "models/engine/linear.h"

namespace tnb {

// Contracts tensors over all legs they share, two at a time, in the order with the fewest multiply-adds: the
// best of all orders up to 12 tensors (dynamic programming over subsets, Pfeifer, Haegeman and Verstraete
// 2014), beyond the cheapest pair again and again. A leg belongs to one or two tensors. One tensor may be
// exchanged between runs: what does not depend on it is contracted once.
class Contraction {
 public:
  // `changing`: the number of the tensor that is exchanged, about `runs` times.
  explicit Contraction(std::vector<NetworkTensor> parts, std::optional<size_t> changing = std::nullopt,
                       int64_t runs = 1);
  NetworkTensor Run();
  // With another tensor of the same legs and sizes in the place of the changing one.
  NetworkTensor Run(const NetworkTensor& changed);
  double multiply_adds() const { return multiply_adds_; }  // of all runs

 private:
  NetworkTensor Value(size_t node);

  std::vector<NetworkTensor> values_;  // of the tensors, then of the pairs as far as they are known
  std::vector<std::pair<size_t, size_t>> pairs_;
  std::vector<bool> depends_;  // on the changing tensor
  std::optional<size_t> changing_;
  double multiply_adds_ = 0;
};

}  // namespace tnb
